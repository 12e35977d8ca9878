"""Warning signs in a translation, each with its number, its limit and what it was worth when it was measured.

    repetition   a block of 1 to 24 pieces occurs at least 4 times in a row, and more often than any block in the
                 source (the rule of ``translation/flags.py``)
    source_share the mean contribution of the source to a step (ALTI+, see ``attribution/alti.py``) is low: the
                 translation was written from its own earlier pieces (Dale et al. 2023)
    to_uniform   the cross-attention looks at few pieces (Wass-to-Unif, see ``transport.py``)
    to_data      its mass lies where that of sound translations does not (Wass-to-Data, see ``transport.py``)
    entropy      uncertain steps: the entropy of the next piece, in nats; 2 nats are a choice among 7 equally
                 probable pieces
    new_words    words of the source that no training sentence has, where the words of training are known
    unknown      pieces of the source or the target that are the unknown piece
    bytes        pieces of the source or the target that are a single byte: the vocabulary lacks the character
    truncation   the translation was cut off before its end (flags max_length, dead_end)
    end          earlier steps where the end of sentence had a high probability, or a last step where it had a low one
    score        the mean log-probability of a piece is low

``measured.py`` has the limits and their worth; ``THRESHOLDS`` are rules of thumb for what was not measured. A sign is
not an error. Read ``transport.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pellucid.analysis.atlas import is_special
from pellucid.analysis.attribution.methods import contributions
from pellucid.analysis.measured import Measured, Worth, measured_for
from pellucid.analysis.transport import distance_to_data, distance_to_uniform, source_mass
from pellucid.errors import RequestError, counted
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.translation.flags import most_repeats

__all__ = ["LOW", "THRESHOLDS", "HealthSign", "bare_word", "end_probabilities", "health_of"]

THRESHOLDS: Final = {
    "repetition": 4.0,
    "source_share": 0.3,
    "to_uniform": 0.6,
    "to_data": 0.2,
    "entropy": 2.0,
    "new_words": 1.0,
    "unknown": 1.0,
    "bytes": 1.0,
    "truncation": 1.0,
    "end": 0.2,
    "score": -1.0,
}
LOW: Final = frozenset({"source_share", "score"})
"""The signs whose number is raised under the limit; the others are raised over it, or at it if they count."""
_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")
_AROUND_WORD: Final = re.compile(r"^[\W_]+|[\W_]+$")


@dataclass(frozen=True)
class HealthSign:
    """One sign: whether it is raised, its number, and its positions.

    ``values`` has one number per word or step, if the sign has such numbers; ``source`` and ``target`` are the
    positions that raised it.
    """

    name: str
    is_raised: bool
    value: float
    threshold: float
    text: str
    values: tuple[float, ...] = ()
    source: tuple[int, ...] = ()
    target: tuple[int, ...] = ()
    worth: Worth | None = None
    """How often the sign was right; None if that was not measured."""


def health_of(
    trace: Trace, *, training_words: Collection[str] | None = None, measured: Measured | None = None
) -> tuple[HealthSign, ...]:
    """Return all signs, raised or not, for which the trace has the numbers.

    Args:
        trace: the trace.
        training_words: the source words of the training data, as ``bare_word`` writes them; None if nobody knows.
        measured: the limits and their worth; None takes those of ``measured_for``.

    Raises:
        BundleError: the measurement in the model folder is damaged.
    """
    measured = measured or measured_for(trace).measured
    limits = THRESHOLDS | {name: worth.threshold for name, worth in measured.signs.items()}
    signs = _signs(trace, training_words, limits, measured.references)
    return tuple(replace(sign, worth=measured.signs.get(sign.name)) for sign in signs if sign is not None)


def bare_word(word: str) -> str:
    """Return a word in small letters without the punctuation around it; empty if nothing is left."""
    return _AROUND_WORD.sub("", word).lower()


def _signs(
    trace: Trace,
    training_words: Collection[str] | None,
    limits: Mapping[str, float],
    references: Sequence[Sequence[float]],
) -> Iterator[HealthSign | None]:
    yield _repetition(trace, limits["repetition"])
    yield _source_share(trace, limits["source_share"])
    yield from _transported(trace, limits, references)
    yield _doubt(trace, limits["entropy"])
    if training_words is not None:
        yield _new_words(trace, training_words)
    configuration = trace.provenance.configuration
    if configuration is not None:
        unk = configuration.specials.unk
        yield _pieces(
            "unknown",
            [i == unk for i in trace.tokens.source_ids],
            [i == unk for i in trace.tokens.predicted_ids],
            "unknown to the model",
        )
    yield _pieces(
        "bytes",
        [bool(_BYTE.fullmatch(piece)) for piece in trace.tokens.source_pieces],
        [bool(_BYTE.fullmatch(piece)) for piece in trace.tokens.predicted_pieces],
        "written as a single byte",
    )
    yield _truncation(trace)
    yield _end(trace, limits["end"])
    yield _score(trace, limits["score"])


def _repetition(trace: Trace, least: float) -> HealthSign:
    tokens = trace.tokens
    source, target = (
        list(ids or _numbered(pieces))
        for ids, pieces in (
            (tokens.source_ids, tokens.source_pieces),
            (tokens.predicted_ids, tokens.predicted_pieces),
        )
    )
    most = most_repeats(target)
    raised = most >= max(least, most_repeats(source) + 1)
    return HealthSign("repetition", raised, most, least, f"a block of pieces occurs at most {most} times in a row")


def _numbered(pieces: Sequence[str]) -> list[int]:
    first = {piece: number for number, piece in reversed(list(enumerate(pieces)))}
    return [first[piece] for piece in pieces]


def _source_share(trace: Trace, least: float) -> HealthSign | None:
    if trace.model is None or not trace.tokens.source_ids:
        return None
    try:
        values = contributions(trace).source_share
    except RequestError:
        return None  # an edit replaces what ALTI+ would split
    mean = float(values.mean())
    raised = mean < least
    steps = tuple(np.flatnonzero(values < least).tolist()) if raised else ()
    text = f"{mean:.0%} of the translation comes from its source, the rest from its own earlier pieces"
    return HealthSign("source_share", raised, mean, least, text, values=tuple(values.tolist()), target=steps)


def _transported(
    trace: Trace, limits: Mapping[str, float], references: Sequence[Sequence[float]]
) -> Iterator[HealthSign]:
    mass = source_mass(trace)
    if mass is None:
        return
    found = {
        "to_uniform": (distance_to_uniform(mass), "of the attention would have to move to look at all pieces alike"),
        "to_data": (distance_to_data(mass, references), "of the length is its way to where sound translations look"),
    }
    for name, (value, text) in found.items():
        yield HealthSign(name, value > limits[name], value, limits[name], f"{value:.0%} {text}")


def _doubt(trace: Trace, most: float) -> HealthSign | None:
    if trace.predictions is None:
        return None
    values = trace.predictions.entropy.astype(np.float64)
    steps = tuple(np.flatnonzero(values > most).tolist())
    text = f"uncertain at {len(steps)} of {counted(len(values), 'step')}; at most {values.max():.2f} nats"
    return HealthSign("entropy", bool(steps), float(values.max()), most, text, target=steps)


def _new_words(trace: Trace, known: Collection[str]) -> HealthSign:
    special = is_special(trace.tokens.source_pieces, trace.tokens.source_ids, trace)
    bare = [(word, bare_word(word.text)) for word in trace.tokens.source_words if not special[word.start]]
    new = [word for word, text in bare if text and text not in known]
    named = ", ".join(f"“{word.text}”" for word in new)
    return HealthSign(
        "new_words",
        bool(new),
        len(new),
        THRESHOLDS["new_words"],
        f"in no training sentence: {named}" if new else "training had every word of the source",
        source=tuple(place for word in new for place in range(word.start, word.end)),
    )


def _pieces(name: str, source: Sequence[bool], target: Sequence[bool], what: str) -> HealthSign:
    on_source, on_target = ([i for i, is_one in enumerate(side) if is_one] for side in (source, target))
    count = len(on_source) + len(on_target)
    text = f"{len(on_source)} source and {counted(len(on_target), 'target piece')} are {what}"
    return HealthSign(name, count > 0, count, THRESHOLDS[name], text, source=tuple(on_source), target=tuple(on_target))


def _truncation(trace: Trace) -> HealthSign:
    flags = [flag for flag in trace.flags if flag in ("max_length", "dead_end")]
    unfinished = trace.hypothesis is not None and not trace.hypothesis.is_finished
    raised = bool(flags) or unfinished
    text = f"cut off: {', '.join(flags) or 'no end of sentence'}" if raised else "the translation is complete"
    return HealthSign("truncation", raised, float(raised), THRESHOLDS["truncation"], text)


def end_probabilities(trace: Trace) -> Array | None:
    """Return the probability of the end of sentence at each step; None if the trace does not have it.

    If the distribution is not stored and the end is not among the best 50 pieces, 0 stands for its probability.
    """
    configuration, made = trace.provenance.configuration, trace.predictions
    if configuration is None or made is None:
        return None
    eos = configuration.specials.eos
    if "log_probabilities" in trace.arrays:
        found: Array = np.exp(trace.arrays["log_probabilities"][:, eos].astype(np.float64))
        return found
    top: Array = np.where(made.top_ids == eos, np.exp(made.top_log_probabilities.astype(np.float64)), 0.0).sum(-1)
    return top


def _end(trace: Trace, most: float) -> HealthSign | None:
    values = end_probabilities(trace)
    if values is None:
        return None
    early = np.flatnonzero(values[:-1] > most).tolist()
    late = [len(values) - 1] if values[-1] < most else []
    findings = []
    if early:
        findings.append(f"could have ended at {counted(len(early), 'earlier step')}")
    if late:
        findings.append(f"ended with a probability of only {values[-1]:.2f}")
    text = "; ".join(findings) or "ends at the right place, and nowhere else"
    largest = float(values[:-1].max()) if len(values) > 1 else 0.0
    return HealthSign(
        "end", bool(early or late), largest, most, text, values=tuple(values.tolist()), target=(*early, *late)
    )


def _score(trace: Trace, least: float) -> HealthSign | None:
    if trace.predictions is None:
        return None
    terms = trace.predictions.target_log_probability.astype(np.float64)
    mean = float(terms.mean())
    sides = f"{trace.tokens.source_length} source and {counted(trace.tokens.target_length, 'target piece')}"
    return HealthSign("score", mean < least, mean, least, f"{mean:.3f} per piece on average; {sides}")
