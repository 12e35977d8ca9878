"""Lists of several hypotheses: ``engine.c`` reports each that ends; the rules of ``translation/found.py`` keep them.

Read ``engine.c`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final

from pellucid.translation.engines.native.layout import HAS_ENOUGH, ON_END
from pellucid.translation.found import Found
from pellucid.translation.hypothesis import Hypothesis

__all__ = ["Lists"]


class Lists:
    """The hypotheses of several sentences while they are searched; threads report of different sentences.

    Args:
        count: of the sentences.
        n_best: hypotheses wanted of each.
        key_of: see ``SearchRequest``; None where all hypotheses differ.
        read: returns the hypothesis that the C file has written down for a sentence.
        stop: called after an error, which ``problem`` then holds; the search is to end.
    """

    def __init__(
        self,
        count: int,
        n_best: int,
        *,
        key_of: Callable[[Sequence[int]], Hashable] | None,
        read: Callable[[int], Hypothesis],
        stop: Callable[[], None],
    ) -> None:
        self._found = [Found(_remembered(key_of)) for _ in range(count)]
        self._n_best = n_best
        self._fills_up = key_of is not None
        self._read = read
        self._stop = stop
        self.problem: BaseException | None = None
        # ctypes would print an error of a callback and go on.
        self.on_end: Final = ON_END(self._guarded(self._on_end))
        self.has_enough: Final = HAS_ENOUGH(self._guarded(self._has_enough))

    def best(self, sentence: int) -> list[Hypothesis]:
        """Return what a sentence's search came to."""
        return self._found[sentence].best(self._n_best)

    def _on_end(self, sentence: int, is_spare: int) -> float:
        found = self._found[sentence]
        if is_spare and not self._fills_up:
            return found.score_to_beat(self._n_best)
        hypothesis = self._read(sentence)
        if is_spare:
            found.add_spare(hypothesis)
        else:
            found.add(hypothesis)
        return found.score_to_beat(self._n_best)

    def _has_enough(self, sentence: int) -> int:
        return not self._fills_up or self._found[sentence].num_different() >= self._n_best

    def _guarded(self, function: Callable[..., float]) -> Callable[..., float]:
        def call(*facts: int) -> float:
            try:
                return function(*facts)
            except BaseException as error:
                self.problem = error
                self._stop()
                return 0

        return call


def _remembered(key_of: Callable[[Sequence[int]], Hashable] | None) -> Callable[[Sequence[int]], Hashable] | None:
    """Return the same keys, each asked for once: a list is compared with its spares again and again."""
    if key_of is None:
        return None
    known: dict[Sequence[int], Hashable] = {}

    def key(ids: Sequence[int]) -> Hashable:
        if ids not in known:
            known[ids] = key_of(ids)
        return known[ids]

    return key
