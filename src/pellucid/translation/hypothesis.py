"""The records of translation: a hypothesis of the search, a translation of a text, a scored pair.

|y| counts the end-of-sentence piece everywhere (``LengthPenalty``). Read ``stepper.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from pellucid.config import LengthPenalty
from pellucid.translation.memory.matches import MemoryMatch

__all__ = [
    "AlignedHypothesis",
    "Alignment",
    "Hypothesis",
    "ScoredPair",
    "Translation",
    "length_divisor",
    "make_hypothesis",
]


@dataclass(frozen=True)
class Hypothesis:
    """One target sentence that a search came to.

    ``ids``, ``pieces`` and ``token_log_probabilities`` go together one to one and, where ``is_finished``,
    include the end-of-sentence piece at the end. Searches leave ``pieces`` and ``text`` empty; the
    translator fills them. An unfinished hypothesis came to the maximum length (or to a point where no piece
    was possible), and its ids are what there is.
    """

    ids: tuple[int, ...]
    score: float
    """``log_probability`` divided by the length penalty; what n-best lists are sorted by."""
    log_probability: float
    """The plain sum of ``token_log_probabilities``: natural logarithm, the model's own, before any
    temperature, and not renormalised over what constraints left."""
    token_log_probabilities: tuple[float, ...]
    is_finished: bool
    pieces: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class AlignedHypothesis(Hypothesis):
    """A hypothesis of a search that was asked for the attention of one head."""

    attention: NDArray[np.float32] = field(
        compare=False, repr=False, default_factory=lambda: np.zeros((0, 0), np.float32)
    )
    """Weights [tokens, source] of the cross-attention: row t is of the step that chose token t."""

    @staticmethod
    def of(hypothesis: Hypothesis, attention: NDArray[np.float32]) -> AlignedHypothesis:
        """Add the attention to a hypothesis."""
        own = {one.name: getattr(hypothesis, one.name) for one in fields(Hypothesis)}
        return AlignedHypothesis(**own, attention=attention)


@dataclass(frozen=True)
class Alignment:
    """Which words of a text and of its translation belong together; ``alignment/links.py`` has the rule.

    A word is what stands between spaces without the punctuation around it, which is a word too; in scripts that are
    written without spaces it is a piece. ``links`` are sorted pairs of numbers in ``source_words`` and
    ``target_words``.
    A language tag is no word.
    """

    source_words: tuple[str, ...] = ()
    target_words: tuple[str, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    source_pieces: tuple[str, ...] = ()
    piece_links: tuple[tuple[int, int], ...] = ()
    """The same between ``source_pieces`` and the ``tokens`` of the translation."""
    source_places: tuple[int, ...] = ()
    """For each word of the source, the number of the stretch between spaces that it is part of; a tag is one, too."""
    target_places: tuple[int, ...] = ()

    @property
    def links_between_spaces(self) -> tuple[tuple[int, int], ...]:
        """The links, the numbers counting the stretches between spaces in source and translation."""
        return tuple(sorted({(self.source_places[i], self.target_places[j]) for i, j in self.links}))

    @property
    def pharaoh(self) -> str:
        """The links between spaces as ``0-0 1-2``."""
        return " ".join(f"{i}-{j}" for i, j in self.links_between_spaces)


@dataclass(frozen=True)
class Translation:
    """What became of one text. ``flags`` are defined in ``flags.py``; ``error`` is set where it failed.

    ``alternatives`` holds the n best hypotheses, the winner first; ``text``, ``score`` and ``tokens`` are the
    winner's (``tokens``: its pieces without the end of sentence). A text that was split has the k-th
    hypotheses of its parts joined as its k-th alternative.
    """

    source: str
    text: str
    score: float
    tokens: tuple[str, ...]
    alternatives: tuple[Hypothesis, ...]
    flags: tuple[str, ...] = ()
    error: str | None = None
    alignment: Alignment | None = None
    """Where the setting ``alignment`` asks for it, and the text did not fail."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """For each flag that has more to say than its rule: what is missing, what repeats, how long both sides are."""
    matches: tuple[MemoryMatch, ...] = ()
    """Units of a translation memory with this source or one like it; none of them is the translation."""

    @property
    def origin(self) -> str:
        """Where the text is from: ``memory``, or ``model``."""
        return "memory" if "memory" in self.flags else "model"


@dataclass(frozen=True)
class ScoredPair:
    """How probable a model finds a given translation; the end of sentence is part of it."""

    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    log_probability: float
    token_log_probabilities: tuple[float, ...]

    @property
    def perplexity(self) -> float:
        """Exponential of the mean negative log-probability of a token; infinite where that overflows."""
        mean = -self.log_probability / len(self.token_log_probabilities)
        return math.exp(mean) if mean < 700 else math.inf


def length_divisor(length: int, *, form: LengthPenalty, alpha: float) -> float:
    """Return what a log-probability of ``length`` tokens (end of sentence included) is divided by.

    Never falls with length, for every form and every alpha >= 0; the beam's bound rests on that.
    ``gnmt``: Wu et al. 2016, section 7, equation 14 without coverage.
    """
    if form is LengthPenalty.AVERAGE:
        return float(max(length, 1) ** alpha)
    if form is LengthPenalty.GNMT:
        return float(((5 + length) / 6) ** alpha)
    return 1.0


def make_hypothesis(
    ids: Sequence[int],
    token_log_probabilities: Sequence[float],
    *,
    is_finished: bool,
    form: LengthPenalty,
    alpha: float,
) -> Hypothesis:
    """Sum and score a sequence of tokens."""
    log_probability = math.fsum(token_log_probabilities)
    return Hypothesis(
        ids=tuple(ids),
        score=log_probability / length_divisor(len(ids), form=form, alpha=alpha),
        log_probability=log_probability,
        token_log_probabilities=tuple(token_log_probabilities),
        is_finished=is_finished,
    )
