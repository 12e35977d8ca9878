"""Drop training pairs that are useless or harmful, and count them by reason.

``FILTERS`` lists all filters but the one for duplicates, which comes last. A pair counts under the first filter that
drops it. Lengths are in characters. Read ``tokenizer.py`` next.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import CleaningConfig
from pellucid.durable import naming
from pellucid.text.corpus import SentencePair
from pellucid.text.normalisation import is_blank

__all__ = ["DUPLICATE", "FILTERS", "Cleaner", "CleaningReport", "DigestSet", "digest_of", "is_empty", "is_too_long"]

DIGEST_BYTES: Final = 16

Filter = Callable[[SentencePair, CleaningConfig], bool]


def is_empty(pair: SentencePair, config: CleaningConfig) -> bool:
    """Return whether a side has only white space and invisible characters."""
    return config.drop_empty and (is_blank(pair.source) or is_blank(pair.target))


def is_too_long(pair: SentencePair, config: CleaningConfig) -> bool:
    """Return whether a side has more than ``max_characters``."""
    return len(pair.source) > config.max_characters or len(pair.target) > config.max_characters


def has_uneven_lengths(pair: SentencePair, config: CleaningConfig) -> bool:
    """Return whether one side is more than ``max_ratio`` times as long as the other."""
    shorter, longer = sorted((len(pair.source), len(pair.target)))
    return longer >= config.ratio_minimum_characters and longer > config.max_ratio * shorter


def is_copy(pair: SentencePair, config: CleaningConfig) -> bool:
    """Return whether the target equals the source: most often an untranslated line."""
    if not config.drop_copies or len(pair.source) < config.copy_minimum_characters:
        return False
    return pair.source.strip() == pair.target.strip()


FILTERS: Final[Mapping[str, Filter]] = MappingProxyType(
    {
        "empty": is_empty,
        "too_long": is_too_long,
        "length_ratio": has_uneven_lengths,
        "copy": is_copy,
    }
)
DUPLICATE: Final = "duplicate"


@dataclass(frozen=True)
class CleaningReport:
    """The numbers of pairs that were read, kept, and dropped for each reason."""

    read: int
    kept: int
    dropped: dict[str, int]

    def __post_init__(self) -> None:
        if self.read != self.kept + sum(self.dropped.values()):
            raise ValueError(f"the cleaning report does not add up: {self.read} != {self.kept} + {self.dropped}")


class Cleaner:
    """Applies the filters to any number of corpora; duplicates are dropped across all of them.

    ``folder`` is where the digests of many pairs go, on disk; without it, memory has them.
    """

    def __init__(self, config: CleaningConfig, *, folder: Path | None = None) -> None:
        self.config = config
        self._read = 0
        self._kept = 0
        self._dropped = dict.fromkeys((*FILTERS, DUPLICATE), 0)
        self._seen = DigestSet(folder=folder)

    def clean(self, pairs: Iterable[SentencePair]) -> Iterator[SentencePair]:
        """Yield the pairs that pass every filter, in order."""
        return (pair for pair in pairs if self.keeps(pair))

    def keeps(self, pair: SentencePair) -> bool:
        """Count the next pair; return whether it passes every filter."""
        self._read += 1
        reason = self._reason(pair)
        if reason is None:
            self._kept += 1
            return True
        self._dropped[reason] += 1
        return False

    def report(self) -> CleaningReport:
        """Return the counts so far; reasons that dropped nothing have 0."""
        return CleaningReport(self._read, self._kept, dict(self._dropped))

    def _reason(self, pair: SentencePair) -> str | None:
        for name, drops in FILTERS.items():
            if drops(pair, self.config):
                return name
        if self.config.drop_duplicates and self._is_repeated(pair):
            return DUPLICATE
        return None

    def _is_repeated(self, pair: SentencePair) -> bool:
        """Return whether this pair came before. Memory holds 128-bit digests, not strings."""
        return not self._seen.add(digest_of(pair))


def digest_of(pair: SentencePair) -> bytes:
    """Return a 128-bit digest of both sides, ignoring white space at their ends.

    With a billion pairs the probability that two different ones have the same digest is about 1 in 10^21.
    """
    source, target = pair.source.strip(), pair.target.strip()
    text = f"{len(source)} {source}{target}"  # the length marks the end of the first side
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()


class DigestSet:
    """A set of 128-bit digests with about 16 bytes for each; a Python set needs a hundred.

    New digests go to a small set. When it is full it becomes a sorted array, and arrays of similar sizes are merged, so
    there are never more than a few arrays to search. With a folder they are in files without a name, and memory holds
    the small set and a part of a merge; the system keeps as much of the files as it has room for.
    """

    def __init__(self, *, young_limit: int = 1 << 19, folder: Path | None = None) -> None:
        self._young: set[bytes] = set()
        self._young_limit = young_limit
        self._folder = folder
        self._runs: list[_Run] = []

    def add(self, digest: bytes) -> bool:
        """Add a digest; return whether it is new."""
        if digest in self._young or any(run.holds(digest) for run in self._runs):
            return False
        self._young.add(digest)
        if len(self._young) >= self._young_limit:
            self._freeze()
        return True

    def _freeze(self) -> None:
        # Joining the digests takes 104 bytes for each, because the join fills a table of buffers first.
        young = np.fromiter(self._young, dtype=f"S{DIGEST_BYTES}", count=len(self._young))
        halves = young.view("<u8").reshape(-1, 2).T
        self._young = set()
        merged = [_Run(halves[:, np.argsort(halves[0])])]
        while self._runs and len(self._runs[-1]) <= 2 * sum(map(len, merged)):
            merged.append(self._runs.pop())
        self._runs.append(merged[0] if len(merged) == 1 and self._folder is None else self._merged(merged))

    def _merged(self, runs: Sequence[_Run]) -> _Run:
        """Merge runs part by part: those with the lowest first halves, then the next."""
        total = sum(map(len, runs))
        halves = self._room(total)
        parts = -(-total // self._young_limit)
        begins, place = [0] * len(runs), 0
        for part in range(1, parts + 1):
            border = part * (1 << 64) // parts
            ends = [
                len(run) if part == parts else int(np.searchsorted(run.halves[0], np.uint64(border))) for run in runs
            ]
            own = np.concatenate(
                [run.halves[:, begin:end] for run, begin, end in zip(runs, begins, ends, strict=True)], axis=1
            )
            halves[:, place : place + own.shape[1]] = own[:, np.argsort(own[0])]
            begins, place = ends, place + own.shape[1]
        return _Run(halves)

    def _room(self, digests: int) -> NDArray[np.uint64]:
        if self._folder is None:
            return np.empty((2, digests), dtype=np.uint64)
        size = 2 * np.dtype(np.uint64).itemsize * digests
        with naming(self._folder), tempfile.TemporaryFile(dir=self._folder) as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is an error now, and would end the process later
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, dtype=np.uint64, mode="w+", shape=(2, digests)))


class _Run:
    """Digests sorted by their first half, [2, digests]; the search is by bisection."""

    def __init__(self, halves: NDArray[np.uint64]) -> None:
        self.halves = np.ascontiguousarray(halves)
        self._high: memoryview[int] = self.halves[0].data  # bisecting a memoryview is faster than an array
        self._low: memoryview[int] = self.halves[1].data

    def __len__(self) -> int:
        return len(self._high)

    def holds(self, digest: bytes) -> bool:
        high, low = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
        place = bisect_left(self._high, high)
        while place < len(self._high) and self._high[place] == high:
            if self._low[place] == low:
                return True
            place += 1
        return False
