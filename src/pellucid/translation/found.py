"""The hypotheses that a beam search has found for one sentence. Read ``beam.py`` first."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from pellucid.translation.hypothesis import Hypothesis

__all__ = ["Found"]


@dataclass(frozen=True)
class _Ranked:
    hypothesis: Hypothesis
    handicap: float

    @property
    def rank(self) -> tuple[bool, float]:
        """Sort by this: the best first."""
        return not self.hypothesis.is_finished, -(self.hypothesis.score + self.handicap)


class Found:
    """The hypotheses of one sentence so far, sorted as they will be returned; the best of those with equal keys.

    Args:
        key_of: of a hypothesis's ids; None where all hypotheses differ.
    """

    def __init__(self, key_of: Callable[[Sequence[int]], Hashable] | None = None) -> None:
        self._key_of = key_of
        self._hypotheses: list[_Ranked] = []
        self._spares: list[_Ranked] = []
        self._best_of: dict[Hashable, _Ranked] = {}
        self.num_finished = 0
        """Finished hypotheses of the search, those with equal keys each."""

    def add(self, hypothesis: Hypothesis, *, handicap: float = 0.0) -> None:
        """Take in a hypothesis of the search; where scores are equal, the earlier one is first.

        It is ranked by its score plus the handicap.
        """
        self.num_finished += hypothesis.is_finished
        one = _Ranked(hypothesis, handicap)
        if self._key_of is not None:
            key = self._key_of(hypothesis.ids)
            other = self._best_of.get(key)
            if other is not None and other.rank <= one.rank:
                return
            if other is not None:
                self._hypotheses.remove(other)
            self._best_of[key] = one
        bisect.insort_right(self._hypotheses, one, key=lambda ranked: ranked.rank)

    def add_spare(self, hypothesis: Hypothesis, *, handicap: float = 0.0) -> None:
        """Take in a hypothesis that is returned only where the search itself finds too few."""
        self._spares.append(_Ranked(hypothesis, handicap))

    def best(self, count: int) -> list[Hypothesis]:
        """Return the best ``count`` hypotheses, or as many as there are."""
        found = self._hypotheses
        if len(found) < count:
            found = sorted([*found, *self._fitting_spares()], key=lambda ranked: ranked.rank)
        return [one.hypothesis for one in found[:count]]

    def num_different(self) -> int:
        """Return how many hypotheses there are to be returned."""
        return len(self._hypotheses) + len(self._fitting_spares())

    def score_to_beat(self, count: int) -> float:
        """Return the score of the hypothesis on place ``count`` if it is finished, else minus infinity."""
        if len(self._hypotheses) < count or not self._hypotheses[count - 1].hypothesis.is_finished:
            return -math.inf
        return -self._hypotheses[count - 1].rank[1]

    def _fitting_spares(self) -> list[_Ranked]:
        """Return the spares that differ from everything better, and are not better than the search's best."""
        if self._key_of is None or not self._hypotheses:
            return []
        known = set(self._best_of)
        fitting = []
        for spare in sorted(self._spares, key=lambda ranked: ranked.rank):
            key = self._key_of(spare.hypothesis.ids)
            if key not in known and spare.rank >= self._hypotheses[0].rank:
                known.add(key)
                fitting.append(spare)
        return fitting
