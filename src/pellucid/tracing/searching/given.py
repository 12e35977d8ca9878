"""A hypothesis that is given as ids, such as those of a node: scored by the model, as the search scores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pellucid.errors import RequestError, counted
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis
from pellucid.translation.scoring import forced_log_probabilities, forced_log_probabilities_by_steps
from pellucid.translation.stepper import Stepper
from pellucid.translation.translator import Translator

__all__ = ["given_ids"]


def given_ids(
    translator: Translator, source_ids: Sequence[int], target_ids: Sequence[int], *, stepper: Stepper | None = None
) -> Hypothesis:
    """Return the hypothesis of some ids; it is finished if the end of sentence stands at its end.

    A stepper scores them in place of the model, for example an edited one.

    Raises:
        RequestError: there are no ids, too many, or one that is outside of the vocabulary or an end in the middle.
    """
    tokenizer, config = translator.tokenizer, translator.config
    size, longest, eos = tokenizer.target_vocab_size, translator.model.config.max_positions, tokenizer.specials.eos
    if not 1 <= len(target_ids) <= longest:
        raise RequestError(f"target_ids has {counted(len(target_ids), 'id')}; allowed are 1 to {longest}")
    for place, token in enumerate(target_ids):
        if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < size:
            raise RequestError(f"target_ids[{place}] = {token!r}; allowed are whole numbers from 0 to {size - 1}")
        if token == eos and place + 1 < len(target_ids):
            raise RequestError(f"target_ids[{place}] = {token} ends the sentence; it may stand at the end only")
    if stepper is None:
        (terms,) = forced_log_probabilities(translator.models, [source_ids], [target_ids])
    else:
        (terms,) = forced_log_probabilities_by_steps(stepper, [source_ids], [target_ids])
    found = make_hypothesis(
        target_ids,
        terms,
        is_finished=target_ids[-1] == eos,
        form=config.length_penalty,
        alpha=config.alpha,
    )
    pieces = tuple(tokenizer.target_pieces(target_ids))
    return replace(found, pieces=pieces, text=tokenizer.decode_target([target_ids])[0])
