"""Drop training pairs that are useless or harmful, and count them by reason.

``FILTERS`` lists all filters but the one for duplicates, which comes last. A pair counts under the first filter that
drops it. Lengths are in characters. Read ``tokenizer.py`` next.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import CleaningConfig
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
    """Applies the filters to any number of corpora; duplicates are dropped across all of them."""

    def __init__(self, config: CleaningConfig) -> None:
        self.config = config
        self._read = 0
        self._kept = 0
        self._dropped = dict.fromkeys((*FILTERS, DUPLICATE), 0)
        self._seen = DigestSet()

    def clean(self, pairs: Iterable[SentencePair]) -> Iterator[SentencePair]:
        """Yield the pairs that pass every filter, in order."""
        for pair in pairs:
            self._read += 1
            reason = self._reason(pair)
            if reason is None:
                self._kept += 1
                yield pair
            else:
                self._dropped[reason] += 1

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
    there are never more than a few arrays to search.
    """

    def __init__(self, *, young_limit: int = 1 << 20) -> None:
        self._young: set[bytes] = set()
        self._young_limit = young_limit
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
        halves = np.frombuffer(b"".join(self._young), dtype=">u8").astype(np.uint64).reshape(-1, 2).T
        while self._runs and len(self._runs[-1]) <= 2 * halves.shape[1]:
            halves = np.concatenate((self._runs.pop().halves, halves), axis=1)
        self._runs.append(_Run(halves[:, np.argsort(halves[0])]))
        self._young = set()


class _Run:
    """Digests sorted by their first half, [2, digests]; the search is by bisection."""

    def __init__(self, halves: NDArray[np.uint64]) -> None:
        self.halves = np.ascontiguousarray(halves)
        self._high: memoryview[int] = self.halves[0].data  # bisecting a memoryview is faster than an array
        self._low: memoryview[int] = self.halves[1].data

    def __len__(self) -> int:
        return len(self._high)

    def holds(self, digest: bytes) -> bool:
        high, low = int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
        place = bisect_left(self._high, high)
        while place < len(self._high) and self._high[place] == high:
            if self._low[place] == low:
                return True
            place += 1
        return False
