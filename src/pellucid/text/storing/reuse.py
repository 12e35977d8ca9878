"""Copy the pieces of pairs that an earlier store has, and cut only the others.

A store keeps a digest of the text of each row. A pair with the same digest, from the same tokenizer, has the same
pieces, so the new store has the bytes that it would have without the earlier one. Nothing is kept for this but the
digests, 16 bytes a row, in the store that they belong to. Read ``../store.py`` next.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import compress
from typing import Final

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from pellucid.text.corpus import SentencePair
from pellucid.text.storing.crew import Chunk, cut_in_order
from pellucid.text.storing.cutting import CutPairs, CutSide
from pellucid.text.tokenizer import Tokenizer
from pellucid.version import __version__

__all__ = ["DIGEST", "Digests", "EarlierRows", "cut_new", "cutter", "digests_of"]

DIGEST: Final = np.dtype([("high", "<u8"), ("low", "<u8")])
_LANDMARK_ROWS: Final = 256
"""A row in so many is looked up in memory. One billion rows have 31 MB of them."""

Row = Callable[[int], NDArray[np.integer]]
Digests = NDArray[np.void]


def cutter() -> str:
    """Return what, beside the tokenizer, decides which pieces a text gets."""
    return f"pellucid {__version__}, sentencepiece {sentencepiece.__version__}, Unicode {unicodedata.unidata_version}"


def digests_of(pairs: Sequence[SentencePair]) -> Digests:
    """Return a 128-bit digest of both sides of each pair."""
    return np.frombuffer(b"".join(map(_digest, pairs)), dtype=DIGEST)


def _digest(pair: SentencePair) -> bytes:
    text = f"{len(pair.source)} {pair.source}{pair.target}"  # the length marks the end of the source
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=DIGEST.itemsize).digest()


class EarlierRows:
    """The rows of an earlier store, found by the digests of their texts.

    Text that grows or changes keeps most rows beside those that were beside them. So memory holds the digest of a row
    in 256, a landmark; where a text has one, its neighbours are compared with those of the landmark.

    Args:
        digests: of the rows, which may be a memory map.
        source: returns the source pieces of a row.
        target: returns the target pieces of a row.
    """

    def __init__(self, digests: Digests, *, source: Row, target: Row) -> None:
        self._digests = digests
        self.sides = (source, target)
        self.copied = 0
        """The number of pairs that were copied so far."""
        self.cut = 0
        """The number of pairs that were not found so far."""
        marks = digests["high"][::_LANDMARK_ROWS]
        order = np.argsort(marks, kind="stable")
        self._marks, self._marked_rows = marks[order], order * _LANDMARK_ROWS

    def __len__(self) -> int:
        return len(self._digests)

    def find(self, digests: Digests) -> NDArray[np.int64]:
        """Return the row of each pair, or -1, and count both kinds."""
        rows = np.full(len(digests), -1, dtype=np.int64)
        near = self._near(digests)
        if len(near):
            known = self._digests[near]
            order = np.argsort(known["high"], kind="stable")
            places = np.searchsorted(known["high"], digests["high"], sorter=order)
            places = order[np.minimum(places, len(near) - 1)]
            is_same = known[places] == digests
            rows[is_same] = near[places[is_same]]
        self.copied += int(np.count_nonzero(rows >= 0))
        self.cut += int(np.count_nonzero(rows < 0))
        return rows

    def _near(self, digests: Digests) -> NDArray[np.int64]:
        """Return the rows around the landmarks that are among these pairs, in order."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        places = np.minimum(np.searchsorted(self._marks, digests["high"]), len(self._marks) - 1)
        found = self._marked_rows[places[self._marks[places] == digests["high"]]]
        around = found[:, np.newaxis] + np.arange(1 - _LANDMARK_ROWS, _LANDMARK_ROWS)
        return np.unique(around[(around >= 0) & (around < len(self))])


def cut_new(
    chunks: Iterable[Chunk], tokenizer: Tokenizer, *, most: int, processes: int, earlier: EarlierRows | None
) -> Generator[tuple[Chunk, Digests, CutPairs]]:
    """Yield each chunk of pairs, their digests, and their pieces, in order.

    The arguments are those of ``cut_in_order``; ``earlier`` has the pieces of some pairs, cut by the same tokenizer.
    """
    under_way: deque[tuple[Chunk, Digests, NDArray[np.int64]]] = deque()

    def new() -> Iterator[Chunk]:
        for chunk in chunks:
            digests = digests_of(chunk)
            rows = np.full(len(chunk), -1, dtype=np.int64) if earlier is None else earlier.find(digests)
            under_way.append((chunk, digests, rows))
            yield [pair for pair, row in zip(chunk, rows.tolist(), strict=True) if row < 0]

    with closing(cut_in_order(new(), tokenizer, most=most, processes=processes)) as ready:
        for _, found in ready:
            chunk, digests, rows = under_way.popleft()
            yield chunk, digests, found if earlier is None else _joined(found, rows, earlier, most=most)


def _joined(new: CutPairs, rows: NDArray[np.int64], earlier: EarlierRows, *, most: int) -> CutPairs:
    """Return the pieces of all pairs of a chunk: new ones where the row is -1, else those of that row."""
    fits = np.empty(len(rows), dtype=np.bool_)
    fits[rows < 0] = new.fits
    is_old = rows >= 0
    copied = [[row_of(row) for row in rows[is_old].tolist()] for row_of in earlier.sides]
    fits[is_old] = [max(map(len, both)) <= most for both in zip(*copied, strict=True)]
    sides = []
    for own, old in zip(new.sides, copied, strict=True):
        fresh = iter(np.split(own.ids, np.cumsum(own.lengths)))
        known = compress(old, fits[is_old].tolist())
        parts = [next(known if was_copied else fresh) for was_copied in is_old[fits].tolist()]
        lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
        ids = np.concatenate(parts).astype(np.uint32) if parts else np.zeros(0, dtype=np.uint32)
        sides.append(CutSide(ids, lengths))
    return CutPairs(fits, (sides[0], sides[1]))
