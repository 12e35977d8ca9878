"""Warning signs in a translation, each with its number and its threshold.

    repetition   a block of 1 to 8 pieces occurs at least 4 times in a row, and more often than any block in the
                 source (the rule of ``translation/flags.py``)
    coverage     source words that receive less than 0.2 of one row's attention, summed over the target rows and
                 averaged over all layers and heads of cross-attention: the translation may lack them
    entropy      uncertain steps: the entropy of the next piece is over 2 nats, as in a choice among 7 equally
                 probable pieces
    new_words    words of the source that no training sentence has, where the words of training are known
    unknown      pieces of the source or the target that are the unknown piece
    bytes        pieces of the source or the target that are a single byte: the vocabulary lacks the character
    truncation   the translation was cut off before its end (flags max_length, dead_end)
    end          earlier steps where the end of sentence had a probability over 0.2, or a last step where it had
                 less than 0.2
    score        the mean log-probability of a piece is under -1: the geometric mean is under 0.37

The thresholds are rules of thumb, not measured on a corpus. A sign is not an error. Read ``page/answers_trace.py``
next.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pellucid.analysis.atlas import is_special
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind
from pellucid.translation.flags import most_repeats

__all__ = ["THRESHOLDS", "HealthSign", "bare_word", "end_probabilities", "health_of"]

THRESHOLDS: Final = {
    "repetition": 4.0,
    "coverage": 0.2,
    "entropy": 2.0,
    "new_words": 1.0,
    "unknown": 1.0,
    "bytes": 1.0,
    "truncation": 1.0,
    "end": 0.2,
    "score": -1.0,
}
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


def health_of(trace: Trace, *, training_words: Collection[str] | None = None) -> tuple[HealthSign, ...]:
    """Return all signs, raised or not, for which the trace has the numbers.

    Args:
        trace: the trace.
        training_words: the source words of the training data, as ``bare_word`` writes them; None if nobody knows.
    """
    return tuple(sign for sign in _signs(trace, training_words) if sign is not None)


def bare_word(word: str) -> str:
    """Return a word in small letters without the punctuation around it; empty if nothing is left."""
    return _AROUND_WORD.sub("", word).lower()


def _signs(trace: Trace, training_words: Collection[str] | None) -> Iterator[HealthSign | None]:
    yield _repetition(trace)
    yield _coverage(trace)
    yield _doubt(trace)
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
    yield _end(trace)
    yield _score(trace)


def _repetition(trace: Trace) -> HealthSign:
    tokens = trace.tokens
    source, target = (
        list(ids or _numbered(pieces))
        for ids, pieces in (
            (tokens.source_ids, tokens.source_pieces),
            (tokens.predicted_ids, tokens.predicted_pieces),
        )
    )
    most, least = most_repeats(target), THRESHOLDS["repetition"]
    raised = most >= max(least, most_repeats(source) + 1)
    return HealthSign("repetition", raised, most, least, f"a block of pieces occurs at most {most} times in a row")


def _numbered(pieces: Sequence[str]) -> list[int]:
    first = {piece: number for number, piece in reversed(list(enumerate(pieces)))}
    return [first[piece] for piece in pieces]


def _coverage(trace: Trace) -> HealthSign | None:
    sites = AttentionKind.CROSS.weights_among(trace.sites)
    if not sites or (trace.model is None and not all(site in trace.arrays for site in sites)):
        return None
    # [heads, target, source] summed over the rows that write the translation, averaged over layers and heads.
    totals = np.mean([trace[site].astype(np.float64).sum(1).mean(0) for site in sites], axis=0)
    special = is_special(trace.tokens.source_pieces, trace.tokens.source_ids, trace)
    words = [word for word in trace.tokens.source_words if not special[word.start]]
    sums = [float(totals[word.start : word.end].sum()) for word in words]
    least = THRESHOLDS["coverage"]
    few = [word for word, total in zip(words, sums, strict=True) if total < least]
    named = ", ".join(f"“{word.text}”" for word in few)
    text = f"little attention for {named}" if few else "every source word gets attention"
    return HealthSign(
        "coverage",
        bool(few),
        min(sums, default=0.0),
        least,
        text,
        values=tuple(sums),
        source=tuple(place for word in few for place in range(word.start, word.end)),
    )


def _doubt(trace: Trace) -> HealthSign | None:
    if trace.predictions is None:
        return None
    values, most = trace.predictions.entropy.astype(np.float64), THRESHOLDS["entropy"]
    steps = tuple(np.flatnonzero(values > most).tolist())
    text = f"uncertain at {len(steps)} of {len(values)} steps; at most {values.max():.2f} nats"
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
    text = f"{len(on_source)} source and {len(on_target)} target pieces are {what}"
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


def _end(trace: Trace) -> HealthSign | None:
    values, most = end_probabilities(trace), THRESHOLDS["end"]
    if values is None:
        return None
    early = np.flatnonzero(values[:-1] > most).tolist()
    late = [len(values) - 1] if values[-1] < most else []
    findings = []
    if early:
        findings.append(f"could have ended at {len(early)} earlier steps")
    if late:
        findings.append(f"ended with a probability of only {values[-1]:.2f}")
    text = "; ".join(findings) or "ends at the right place, and nowhere else"
    largest = float(values[:-1].max()) if len(values) > 1 else 0.0
    return HealthSign(
        "end", bool(early or late), largest, most, text, values=tuple(values.tolist()), target=(*early, *late)
    )


def _score(trace: Trace) -> HealthSign | None:
    if trace.predictions is None:
        return None
    terms = trace.predictions.target_log_probability.astype(np.float64)
    mean, least = float(terms.mean()), THRESHOLDS["score"]
    sides = f"{trace.tokens.source_length} source and {trace.tokens.target_length} target pieces"
    return HealthSign("score", mean < least, mean, least, f"{mean:.3f} per piece on average; {sides}")
