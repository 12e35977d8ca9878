"""Lists of several hypotheses: the device writes down all candidates; the rules of ``translation/found.py`` keep some.

A list holds each text once, and only the processor can spell a hypothesis. What the rows of a step are does not depend
on what has finished, so the device goes ahead, and the processor follows some steps behind and says when a sentence has
enough. Read ``batching.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from pellucid.config import TranslationConfig
from pellucid.translation.found import Found
from pellucid.translation.hypothesis import Hypothesis, length_divisor, make_hypothesis

__all__ = ["Listed", "NotANumber"]


class NotANumber(Exception):
    """The log-probabilities of a sentence are no numbers."""


class _Row(NamedTuple):
    """A row of the beam as it was after some step."""

    before: _Row | None
    token: int
    gain: float

    def tokens(self) -> tuple[list[int], list[float]]:
        """Return its ids and their log-probabilities from the beginning."""
        ids, gains = [], []
        row: _Row | None = self
        while row is not None:
            ids.append(row.token)
            gains.append(row.gain)
            row = row.before
        return ids[::-1], gains[::-1]


class Listed:
    """One sentence whose candidates arrive step by step.

    Args:
        config: of the search.
        eos_id: ends a hypothesis.
        limit: most tokens.
        key_of: see ``SearchRequest``.
    """

    def __init__(
        self, config: TranslationConfig, *, eos_id: int, limit: int, key_of: Callable[[Sequence[int]], Hashable]
    ) -> None:
        self._config = config
        self._eos_id = eos_id
        self._limit = limit
        self._found = Found(key_of)
        self._rows: list[_Row | None] = [None]
        self._step = 0
        self._is_full = False
        self._only_fills_up = False

    def best(self) -> list[Hypothesis]:
        """Return what the search came to."""
        return self._found.best(self._config.n_best)

    def take(self, links: Sequence[int], gains: Sequence[float], sums: Sequence[float]) -> bool:
        """Take the candidates of a step, the best first, and return whether the sentence has been searched enough.

        Raises:
            NotANumber: the best sum is none.
        """
        if not sums[0] < math.inf:
            raise NotANumber
        beam = self._config.beam_size
        if sums[0] == -math.inf:
            for row in self._rows:
                self._add(row, is_finished=False)
            return True
        rows: list[_Row | None] = []
        best_live = -math.inf
        late_ends = []
        for place, (link, gain, total) in enumerate(zip(links, gains, sums, strict=True)):
            if total == -math.inf:
                break
            token, parent = divmod(link, beam)
            if token == self._eos_id:
                row = _Row(self._rows[parent], token, gain)
                if place < beam:
                    self._add(row, is_finished=True)
                else:
                    late_ends.append(row)
            elif len(rows) < beam:
                best_live = max(best_live, total)
                rows.append(_Row(self._rows[parent], token, gain))
        for row in late_ends:
            self._found.add_spare(self._hypothesis(row, is_finished=True))
        self._step += 1
        at_limit = self._step >= self._limit
        if at_limit:
            for continued in rows:
                self._add(continued, is_finished=False)
        self._rows = rows
        return at_limit or self._is_over(best_live)

    def _is_over(self, best_live: float) -> bool:
        if best_live == -math.inf or best_live / self._divisor(self._limit) <= self._found.score_to_beat(
            self._config.n_best
        ):
            return True
        self._only_fills_up = self._is_full
        return self._is_full and self._found.num_different() >= self._config.n_best

    def _add(self, row: _Row | None, *, is_finished: bool) -> None:
        hypothesis = self._hypothesis(row, is_finished=is_finished)
        if self._only_fills_up:
            self._found.add_spare(hypothesis)
            return
        self._found.add(hypothesis)
        self._is_full = self._found.num_finished >= self._config.beam_size

    def _hypothesis(self, row: _Row | None, *, is_finished: bool) -> Hypothesis:
        ids, gains = ([], []) if row is None else row.tokens()
        form, alpha = self._config.length_penalty, self._config.alpha
        return make_hypothesis(ids, gains, is_finished=is_finished, form=form, alpha=alpha)

    def _divisor(self, length: int) -> float:
        return length_divisor(length, form=self._config.length_penalty, alpha=self._config.alpha)
