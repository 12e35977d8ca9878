"""Find what a translation says again and again: a block of pieces that repeats in a row. Read ``flags.py`` next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import eq
from typing import Final

__all__ = ["Repeat", "repeats_in"]

_LONGEST_BLOCK: Final = 24


@dataclass(frozen=True)
class Repeat:
    """A block of ``size`` ids from ``start`` on that comes ``times`` times in a row."""

    start: int
    size: int
    times: int


def repeats_in(ids: Sequence[int]) -> Iterator[Repeat]:
    """Yield for each size of a block, up to 24, its longest row of repeats; nothing where no block comes twice."""
    num_seen_before = len(ids) - len(set(ids))  # every id of a second block is one of them
    for size in range(1, min(_LONGEST_BLOCK, num_seen_before) + 1):
        is_equal = [*map(eq, ids, ids[size:])]
        if True not in is_equal:
            continue
        best, start, place = 0, 0, 0
        for is_same, run in groupby(is_equal):
            length = sum(1 for _ in run)
            if is_same and length > best:
                best, start = length, place
            place += length
        if best >= size:
            yield Repeat(start, size, 1 + best // size)
