"""What may come next, whatever the model thinks: prefix, bans, minimum and maximum length, n-grams.

The rules, in the order of their force:

1. While the prefix of a sentence lasts, a piece comes that agrees with it, and nothing else; a banned one only where
   the prefix cannot be written without. Its log-probability counts in the score like any other.
2. ``pad`` and ``bos`` never come (unless bos is also the end of sentence, as in Hugging Face Marian), nor
   does a banned piece. ``unk`` is a piece like others: it comes unless it is banned.
3. The end of sentence does not come before ``min_length`` pieces.
4. With ``no_repeat_ngram_size`` = n, a piece does not come that would complete n pieces in the same order
   as earlier in the sentence, forced ones included.
5. Where 2 and 4 leave a row nothing, the end of sentence may come although it is too early: rule 3 yields.

What is left is not renormalised: scores stay the model's own. Read ``candidates.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pellucid.config import TranslationConfig, validated
from pellucid.errors import ConfigError, RequestError
from pellucid.translation.prefixes import Prefix

if TYPE_CHECKING:
    from torch import Tensor

    from pellucid.text.tokenizer import Tokenizer

__all__ = ["Constraints", "configured", "constraints_for", "max_length_of"]


def max_length_of(source_length: int, *, config: TranslationConfig, stepper_max_length: int) -> int:
    """Return the most tokens, end of sentence included, for a source of ``source_length`` ids with its end.

    ``max_length_factor`` times the source, rounded down, plus ``max_length_constant``, and never more
    positions than the model has.

    Raises:
        RequestError: ``min_length`` is more than that leaves beside the end of sentence.
    """
    wanted = int(config.max_length_factor * source_length) + config.max_length_constant
    limit = min(wanted, stepper_max_length)
    if config.min_length >= limit:
        remedy = "" if limit == stepper_max_length else ", or raise max_length_constant or max_length_factor"
        raise RequestError(
            f"min_length = {config.min_length}, but a translation of this text has at most {limit - 1} tokens; "
            f"lower min_length{remedy}"
        )
    return limit


@dataclass(frozen=True)
class Constraints:
    """The constraints of a search."""

    eos_id: int
    forbidden_ids: tuple[int, ...] = ()
    min_length: int = 0
    no_repeat_ngram_size: int = 0
    prefixes: tuple[Prefix, ...] = ()
    """None, one that every sentence begins with, or one for each sentence."""

    def __post_init__(self) -> None:
        forced = [index for prefix in self.prefixes for index in prefix.ids]
        if self.eos_id in self.forbidden_ids or self.eos_id in forced:
            raise ValueError(f"the end of sentence, id {self.eos_id}, cannot be forbidden or forced")

    def apply(self, log_probabilities: Tensor, history: Tensor, sentences: Tensor) -> Tensor:
        """Write minus infinity over every token that may not come, in place.

        Args:
            log_probabilities: [rows, vocab].
            history: [rows, step] int64, the tokens so far.
            sentences: [rows] int64, the number of each row's sentence.
        """
        begun = self._within_prefixes(history, sentences)
        kept = {row: log_probabilities[row, ids].clone() for row, ids in begun.items()}
        step = history.shape[1]
        for token in self.forbidden_ids:
            log_probabilities[:, token] = -math.inf
        if 0 < self.no_repeat_ngram_size <= step:
            self._block_ngrams(log_probabilities, history)
        if step < self.min_length:
            self._hold_back_the_end(log_probabilities)
        for row, ids in begun.items():
            log_probabilities[row] = -math.inf
            log_probabilities[row, ids] = kept[row]
        return log_probabilities

    def _within_prefixes(self, history: Tensor, sentences: Tensor) -> dict[int, Tensor]:
        """Return the tokens that may come in the rows whose prefix is not written yet."""
        if history.shape[1] >= max((prefix.longest for prefix in self.prefixes), default=0):
            return {}
        found: dict[int, Tensor] = {}
        for row, (sentence, ids) in enumerate(zip(sentences.tolist(), history.tolist(), strict=True)):
            prefix = self.prefixes[sentence if len(self.prefixes) > 1 else 0]
            if (allowed := prefix.next_ids(ids)) is not None:
                found[row] = history.new_tensor(allowed)
        return found

    def _block_ngrams(self, log_probabilities: Tensor, history: Tensor) -> None:
        size = self.no_repeat_ngram_size
        ngrams = history.unfold(1, size, 1)  # [rows, places, size]
        context = history[:, history.shape[1] - size + 1 :]  # [rows, size - 1]
        is_here = (ngrams[:, :, :-1] == context[:, None, :]).all(dim=2)
        rows, places = is_here.nonzero(as_tuple=True)
        tokens = ngrams[rows, places, -1]
        log_probabilities[rows, tokens] = -math.inf

    def _hold_back_the_end(self, log_probabilities: Tensor) -> None:
        end = log_probabilities[:, self.eos_id].clone()
        log_probabilities[:, self.eos_id] = -math.inf
        has_nothing = log_probabilities.amax(dim=1) == -math.inf
        log_probabilities[:, self.eos_id] = end.masked_fill(~has_nothing, -math.inf)


def constraints_for(config: TranslationConfig, tokenizer: Tokenizer) -> Constraints:
    """Turn the pieces of the settings into ids. Prefixes differ from text to text: see ``prefix_of``.

    Raises:
        ConfigError: a banned token is no piece, or is the end of sentence.
    """
    specials = tokenizer.specials
    banned = []
    for piece in config.banned_tokens:
        found = tokenizer.target_id(piece)
        if found is None:
            pieces = tokenizer.target_pieces(tokenizer.encode_target([piece])[0])
            raise ConfigError(
                f"translation.banned_tokens: {piece!r} is no piece of the target vocabulary; it is written "
                f"with {', '.join(map(repr, pieces))}; ban pieces as a Translation's tokens show them"
            )
        if found == specials.eos:
            raise ConfigError(
                f"translation.banned_tokens: {piece!r} ends a sentence and cannot be banned; "
                "use min_length for longer output"
            )
        banned.append(found)
    never = {specials.pad, specials.bos, *banned} - {specials.eos}
    return Constraints(
        eos_id=specials.eos,
        forbidden_ids=tuple(sorted(never)),
        min_length=config.min_length,
        no_repeat_ngram_size=config.no_repeat_ngram_size,
    )


def configured(config: TranslationConfig, settings: Mapping[str, object]) -> TranslationConfig:
    """Return the settings of a call: its own over those of the translator.

    Raises:
        ConfigError: a setting is unknown or wrong.
    """
    if not settings:
        return config
    facts = tuple((name, type(value), value) for name, value in settings.items())
    if all(kind in (bool, int, float, str) for _, kind, _ in facts):
        # Checking settings takes 0.1 ms, a fifth of the time around the search of one short text.
        return _known(config, frozenset(config.model_fields_set), facts)
    return _checked(config, settings)


@lru_cache(maxsize=64)
def _known(
    config: TranslationConfig, names: frozenset[str], facts: tuple[tuple[str, type, object], ...]
) -> TranslationConfig:
    """Check settings once. Those that ``config`` sets, and the types of the others, tell equal ones apart."""
    return _checked(config, {name: value for name, _, value in facts})


def _checked(config: TranslationConfig, settings: Mapping[str, object]) -> TranslationConfig:
    table = config.model_dump(exclude_unset=True)
    if settings.get("sampling"):
        table.pop("beam_size", None)  # the model's own beam is no wish of this call
    elif "sampling" in settings:
        table = {key: value for key, value in table.items() if key not in {"temperature", "top_k", "top_p"}}
    return validated(TranslationConfig, {**table, **settings}, place="translate")
