"""The next words of a translation that is being typed, each with its probability and the translation that it leads to.

Beginnings are extended piece by piece, the most probable first, until a word is whole. Its probability is the sum over
all ways of writing it among the pieces that are looked at, the 64 best after each beginning.

Where the typed text ends inside a word, the words are those that begin so.

Where the source has several sentences that are translated one by one, whole sentences at the start of the typed text
stand for the first of them.
"""

from __future__ import annotations

import codecs
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.text.sentences import sentences_of
from pellucid.translation.completion.expansion import Beginnings, Searcher
from pellucid.translation.completion.words import first_word
from pellucid.translation.constraints import configured, constraints_for, max_length_of
from pellucid.translation.document.translating import TextTranslator
from pellucid.translation.engines.engine import SearchRequest
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis
from pellucid.translation.prefixes import Prefix, prefix_of
from pellucid.translation.requests import Request, prepare
from pellucid.translation.segments import join_parts
from pellucid.translation.terms.watch import Pen
from pellucid.translation.units import Unit

if TYPE_CHECKING:
    pass

__all__ = ["NextWord", "alternatives"]

_TOGETHER: Final = 16
"""Beginnings that are extended in one search."""
_MOST_ROUNDS: Final = 40
_ENDS_OF_A_WORD: Final = 3
"""Ways to go on after a word that are translated to the end; the best is shown."""
_LEAST: Final = 1e-4
"""Beginnings that are less probable than this are not extended."""


@dataclass(frozen=True)
class NextWord:
    """A word that may come next."""

    word: str
    """Whole, with what is typed of it; "" is the end of the translation."""
    rest: str
    """What is to be typed after the typed text, for this word: with the white space before it."""
    probability: float
    """Of the word after the typed text."""
    text: str
    """The best translation of the whole text that begins so."""
    score: float
    """Of the translation of the sentence in which the word stands."""


class CompletingTranslator(TextTranslator, Searcher, Protocol):
    """What this needs of a ``Translator``."""

    max_length: int
    """Most positions of the model."""

    def key_of(self, ids: Sequence[int]) -> str:
        """Return what a reader can tell apart."""


@dataclass
class _Found:
    """What is known of a word: its probability so far, and the most probable ways to write it and go on."""

    probability: float = 0.0
    ways: list[tuple[float, Hypothesis]] = field(default_factory=list)

    def add(self, log_probability: float, way: Hypothesis) -> None:
        self.probability += math.exp(log_probability)
        self.ways = heapq.nlargest(_ENDS_OF_A_WORD, [*self.ways, (log_probability, way)], key=lambda one: one[0])


def alternatives(
    translator: CompletingTranslator, text: str, prefix: str = "", count: int = 5, **settings: object
) -> list[NextWord]:
    """Return the words that may come next in the translation of a text, the most probable first.

    Args:
        translator: whose method this is.
        text: the source.
        prefix: what is typed of the translation. White space at its end says that its last word is whole.
        count: words that are wanted; there may be fewer.
        **settings: of ``TranslationConfig``, for the translations that the words lead to.

    Raises:
        ConfigError: a setting is unknown or wrong.
        RequestError: there is nothing to translate, or no piece of the model can write the prefix.
    """
    if not isinstance(text, str) or not isinstance(prefix, str):
        raise RequestError("text and prefix are each a str; give one text and what is typed of its translation")
    if count < 1:
        raise RequestError(f"count = {count}: give 1 or more words")
    config = configured(translator.config, {**settings, "n_best": 1})
    if config.sampling or config.num_beam_groups > 1 or config.placeholders == "keep":
        raise RequestError("alternatives need plain search; leave sampling, num_beam_groups and placeholders out")
    (request,) = prepare(
        [text],
        tokenizer=translator.tokenizer,
        limit=min(config.max_input_length, translator.max_length - 1),
        long_input=config.long_input,
        language=translator.source_language,
        splits_sentences=config.split_sentences.acts_on(single_sentences=translator.single_sentences),
    )
    if request.error is not None or not request.parts:
        raise RequestError(request.error or "the text has nothing to translate; give a text with letters or digits")
    done, typed = _sentences_done(prefix, len(request.parts), translator.target_language)
    return _Completion(translator, request, config, done, typed).words(count)


def _sentences_done(prefix: str, parts: int, language: str) -> tuple[list[str], str]:
    """Return the typed translations of the first parts, and what is typed of the next."""
    if parts == 1 or not prefix.strip():
        return [], prefix
    start = prefix[: len(prefix) - len(prefix.lstrip())]
    sentences = sentences_of(prefix.lstrip(), language)
    is_whole = sentences[-1] != sentences[-1].rstrip() and sentences[-1].rstrip()[-1] in ".!?。！？…"
    sentences += [""] * is_whole
    done = min(len(sentences), parts) - 1
    return [one.strip() for one in sentences[:done]], (start if not done else "") + "".join(sentences[done:])


class _Completion:
    """The completion of one part of a text."""

    def __init__(
        self,
        translator: CompletingTranslator,
        request: Request,
        config: TranslationConfig,
        done: Sequence[str],
        typed: str,
    ) -> None:
        self._translator = translator
        self._tokenizer = translator.tokenizer
        self._request = request
        self._config = config
        self._done = list(done)
        self._source_ids = (*request.part_ids[len(done)], self._tokenizer.specials.eos)
        self._constraints = constraints_for(config, self._tokenizer)
        self._pen = Pen(self._tokenizer)
        limit = max_length_of(len(self._source_ids), config=config, stepper_max_length=translator.max_length)
        avoided = self._constraints.forbidden_ids
        self._beginnings = Beginnings(
            translator,
            self._source_ids,
            prefix_of(typed, self._tokenizer, most=limit - 1, avoided=avoided),
            pen=self._pen,
            config=config,
            constraints=self._constraints,
        )
        self._typed = self._beginnings.typed.decode("utf-8", errors="replace")
        is_inside_word = bool(self._typed.strip()) and not self._typed[-1].isspace()
        self._typed_word = self._typed.split()[-1] if is_inside_word else ""
        self._word_start = len(self._typed.encode("utf-8")) - len(self._typed_word.encode("utf-8"))
        self._steps = limit

    def words(self, count: int) -> list[NextWord]:
        """Return the ``count`` most probable words."""
        found, total = self._explored(count)
        best = sorted(found.items(), key=lambda item: -item[1].probability)[:count]
        texts = self._translated([one.ways for _, one in best])
        later = self._later_parts()
        result = []
        for (word, one), hypothesis in zip(best, texts, strict=True):
            (own,) = self._tokenizer.decode_target([hypothesis.ids])
            whole = join_parts(
                [*self._done, own, *later], self._request.parts, language=self._translator.target_language
            )
            result.append(NextWord(word, self._rest_of(word, one), one.probability / total, whole, hypothesis.score))
        return result

    def _explored(self, count: int) -> tuple[dict[str, _Found], float]:
        """Return words with their probabilities, and the probability of what may follow the typed text."""
        waiting: list[tuple[float, tuple[int, ...]]] = [(0.0, self._beginnings.certain)]
        found: dict[str, _Found] = {}
        total = 0.0
        for _ in range(_MOST_ROUNDS):
            # Before the text is written there is no word yet, so nothing tells which beginnings are too improbable.
            least = self._least(found, total, count)
            some = {ids: -cost for cost, ids in heapq.nsmallest(_TOGETHER, waiting) if -cost > least}
            if not some:
                break
            waiting = [one for one in waiting if one[1] not in some]
            for ways in self._beginnings.next_pieces([*some]):
                before = ways[0].ids[:-1] if ways else ()
                is_free = len(self._pen.bytes_of(before)) >= len(self._beginnings.typed)
                gains = [way.token_log_probabilities[-1] for way in ways]
                # Where any piece may come, those that are looked at share the probability of all.
                shared = math.log(math.fsum(map(math.exp, gains))) if is_free and ways else 0.0
                total += is_free and before == self._beginnings.certain
                for way, gain in zip(ways, gains, strict=True):
                    log_probability = some[before] + gain - shared
                    written = self._pen.bytes_of(way.ids[:-1] if way.is_finished else way.ids)
                    if not is_free and len(written) >= len(self._beginnings.typed):
                        total += math.exp(log_probability)
                    word = self._word_of(written, is_over=way.is_finished)
                    if word is not None:
                        found.setdefault(word, _Found()).add(log_probability, way)
                    elif len(way.ids) < self._steps:
                        waiting.append((-log_probability, way.ids))
        return found, total

    def _least(self, found: dict[str, _Found], total: float, count: int) -> float:
        """Return the log-probability under which a beginning changes nothing of note."""
        if not total:
            return -math.inf
        known = sorted((one.probability for one in found.values()), reverse=True)
        last = known[count - 1] if len(known) >= count else 0.0
        return math.log(max(total * _LEAST, last / _TOGETHER))

    def _word_of(self, written: bytes, *, is_over: bool) -> str | None:
        if len(written) < len(self._beginnings.typed):
            return None
        text = _decoded(written[self._word_start :], is_over=is_over)
        word = first_word(text, is_over=is_over)
        if word is None or len(word) >= len(self._typed_word):
            return word
        # The typed text ends behind its own last word, as after a full stop: what comes next is a word of its own.
        return first_word(text[len(self._typed_word) :], is_over=is_over)

    def _rest_of(self, word: str, found: _Found) -> str:
        """Return what is to be typed for a word."""
        ids = found.ways[0][1].ids
        raw = self._pen.bytes_of([index for index in ids if index != self._tokenizer.specials.eos])
        written = raw.decode("utf-8", errors="replace")
        start, typed = len(self._typed) - len(self._typed_word), len(self._typed)
        goes_on = bool(self._typed_word) and word.startswith(self._typed_word)
        end = (start if goes_on else written.find(word, typed)) + len(word)
        return written[typed:end] if word and typed else word

    def _translated(self, ways: Sequence[Sequence[tuple[float, Hypothesis]]]) -> list[Hypothesis]:
        """Return the best translation that begins in one of some ways, for each word."""
        found: list[list[Hypothesis]] = [[] for _ in ways]
        open_ways: list[tuple[int, Hypothesis]] = []
        form, alpha = self._config.length_penalty, self._config.alpha
        for number, (_, one) in ((number, way) for number, some in enumerate(ways) for way in some):
            if one.is_finished:
                terms = one.token_log_probabilities
                found[number].append(make_hypothesis(one.ids, terms, is_finished=True, form=form, alpha=alpha))
            else:
                open_ways.append((number, one))
        units = [Unit(0, place, self._source_ids, Prefix(one.ids)) for place, (_, one) in enumerate(open_ways)]
        request = SearchRequest(units, self._config, self._constraints, key_of=self._translator.key_of)
        for place, outcome in self._translator.search(request) if units else ():
            if isinstance(outcome, str):
                raise RequestError(outcome)
            found[open_ways[place][0]].append(outcome[0])
        return [max(some, key=lambda one: (one.is_finished, one.score)) for some in found]

    def _later_parts(self) -> list[str]:
        parts = self._request.parts[len(self._done) + 1 :]
        settings: dict[str, Any] = self._config.model_dump(exclude_unset=True, exclude={"target_prefix", "alignment"})
        settings["split_sentences"] = "never"
        found = self._translator.translate_stream(
            [part.text for part in parts], chunk=max(len(parts), 1), target_prefix="", progress=_nobody, **settings
        )
        return [one.text for one in found] if parts else []


def _decoded(raw: bytes, *, is_over: bool) -> str:
    """Return what bytes write; those of a last character that is not whole yet write nothing until the text is over."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(raw, final=is_over)


def _nobody(done: int) -> None:
    pass
