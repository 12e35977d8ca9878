"""Find the texts that may be like a given one, by the groups of three characters that they share.

The work for a text has a limit, whatever the number of texts: the lists of its rarest groups are read, up to
``MOST_READ`` entries in all, and the texts that share most are compared, at most ``MOST_COMPARED``. So a similar text
can be missed if everything that it shares is frequent; ``tests/unit/translation/test_memory.py`` counts how often. Read
``units.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_COMPARED", "MOST_READ", "Candidates", "GroupIndex"]

MOST_READ: Final = 1 << 16
MOST_COMPARED: Final = 256
_BUCKETS_BITS: Final = 18
_BUCKETS: Final = 1 << _BUCKETS_BITS
_FACTORS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
"""Odd numbers that spread the characters of a group over the buckets."""
_TEXTS_AT_ONCE: Final = 8192
_EDGE: Final = "\0"


@dataclass(frozen=True)
class Candidates:
    """Numbers of texts to compare, and how many entries of the index were read for them."""

    numbers: Sequence[int]
    read: int


class GroupIndex:
    """An index of texts, which are numbered from 0; four bytes for each different group of each.

    Args:
        texts: to find.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._lengths = np.fromiter(map(len, texts), np.uint32, len(texts))
        sizes = np.zeros(_BUCKETS, np.int64)
        places = range(0, len(texts), _TEXTS_AT_ONCE)
        for place in places:
            sizes += np.bincount(_groups(texts[place : place + _TEXTS_AT_ONCE])[0], minlength=_BUCKETS)
        self._starts = np.concatenate(([0], np.cumsum(sizes)))
        self._numbers = np.empty(self._starts[-1], np.uint32)
        free = self._starts[:-1].copy()
        for place in places:
            buckets, numbers = _groups(texts[place : place + _TEXTS_AT_ONCE])
            counts = np.bincount(buckets, minlength=_BUCKETS)
            before = np.concatenate(([0], np.cumsum(counts)))[:-1]
            self._numbers[free[buckets] + np.arange(len(buckets)) - before[buckets]] = numbers + place
            free += counts

    def candidates(self, text: str, *, least: float) -> Candidates:
        """Return the texts that share most with a text and whose lengths allow for a score of ``least`` percent."""
        buckets = _groups([text])[0]
        sizes = self._starts[buckets + 1] - self._starts[buckets]
        buckets, sizes = buckets[sizes > 0], sizes[sizes > 0]
        order = np.argsort(sizes, kind="stable")
        within = np.cumsum(sizes[order]) <= MOST_READ
        within[:1] = True
        buckets, sizes = buckets[order][within], sizes[order][within]
        if not len(buckets):
            return Candidates((), 0)
        lists = [self._numbers[self._starts[bucket] : self._starts[bucket + 1]] for bucket in buckets]
        rarity = np.log1p(len(self._lengths) / sizes)
        shared = np.bincount(np.concatenate(lists), weights=np.repeat(rarity, sizes), minlength=len(self._lengths))
        # Both texts together have twice what they share, so the shorter one has at least this part of the longer one.
        part = least / (200 - least)
        shared[(self._lengths < part * len(text)) | (self._lengths * part > len(text))] = 0
        (found,) = np.nonzero(shared)
        if len(found) > MOST_COMPARED:
            found = found[np.argpartition(-shared[found], MOST_COMPARED)[:MOST_COMPARED]]
        return Candidates(found.tolist(), int(sizes.sum()))


def _groups(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bucket and the text of each different group, sorted; the edges of a text are part of its groups."""
    joined = _EDGE + "".join(text.casefold() + _EDGE for text in texts)
    characters = np.frombuffer(joined.encode("utf-32-le", errors="surrogatepass"), np.uint32).astype(np.uint64)
    numbers = np.cumsum(characters == 0)[:-2] - 1
    is_within = characters[1:-1] != 0
    mixed = sum(
        (characters[place : len(characters) - 2 + place] * np.uint64(factor) for place, factor in enumerate(_FACTORS)),
        start=np.uint64(0),
    )
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(_FACTORS[0])
    buckets = (mixed >> np.uint64(64 - _BUCKETS_BITS)).astype(np.int64)
    keys: NDArray[np.int64] = np.sort((buckets << 32 | numbers)[is_within])
    keys = keys[np.concatenate(([True], np.diff(keys) > 0))[: len(keys)]]  # np.unique takes ten times as long
    return keys >> 32, keys & 0xFFFFFFFF
