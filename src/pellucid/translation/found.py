"""The hypotheses that a beam search has found for one sentence. Read ``beam.py`` first."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Hashable, Sequence

from pellucid.translation.hypothesis import Hypothesis

__all__ = ["Found"]


def _rank(hypothesis: Hypothesis) -> tuple[bool, float]:
    return not hypothesis.is_finished, -hypothesis.score


class Found:
    """The hypotheses of one sentence so far, sorted as they will be returned; the best of those with equal keys.

    Args:
        key_of: of a hypothesis's ids; None where all hypotheses differ.
    """

    def __init__(self, key_of: Callable[[Sequence[int]], Hashable] | None = None) -> None:
        self._key_of = key_of
        self._hypotheses: list[Hypothesis] = []
        self._spares: list[Hypothesis] = []
        self._best_of: dict[Hashable, Hypothesis] = {}
        self.num_finished = 0
        """Finished hypotheses of the search, those with equal keys each."""

    def add(self, hypothesis: Hypothesis) -> None:
        """Take in a hypothesis of the search; where scores are equal, the earlier one is first."""
        self.num_finished += hypothesis.is_finished
        if self._key_of is not None:
            key = self._key_of(hypothesis.ids)
            other = self._best_of.get(key)
            if other is not None and _rank(other) <= _rank(hypothesis):
                return
            if other is not None:
                self._hypotheses.remove(other)
            self._best_of[key] = hypothesis
        bisect.insort_right(self._hypotheses, hypothesis, key=_rank)

    def add_spare(self, hypothesis: Hypothesis) -> None:
        """Take in a hypothesis that is returned only where the search itself finds too few."""
        self._spares.append(hypothesis)

    def best(self, count: int) -> list[Hypothesis]:
        """Return the best ``count`` hypotheses, or as many as there are."""
        if len(self._hypotheses) >= count:
            return self._hypotheses[:count]
        return sorted([*self._hypotheses, *self._fitting_spares()], key=_rank)[:count]

    def num_different(self) -> int:
        """Return how many hypotheses there are to be returned."""
        return len(self._hypotheses) + len(self._fitting_spares())

    def score_to_beat(self, count: int) -> float:
        """Return the score of the hypothesis on place ``count`` if it is finished, else minus infinity."""
        is_there = len(self._hypotheses) >= count and self._hypotheses[count - 1].is_finished
        return self._hypotheses[count - 1].score if is_there else -math.inf

    def _fitting_spares(self) -> list[Hypothesis]:
        """Return the spares that differ from everything better, and are not better than the search's best."""
        if self._key_of is None or not self._hypotheses:
            return []
        known = set(self._best_of)
        fitting = []
        for spare in sorted(self._spares, key=_rank):
            key = self._key_of(spare.ids)
            if key not in known and _rank(spare) >= _rank(self._hypotheses[0]):
                known.add(key)
                fitting.append(spare)
        return fitting
