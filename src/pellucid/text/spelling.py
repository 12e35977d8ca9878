"""Which pieces may come where a text has to be spelt: pieces as the bytes they write, found by those bytes.

A text has many spellings, and its end need not be the end of a piece: "l" begins "le" and "la". Read
``subword.py`` for who asks, ``translation/prefixes.py`` for what it is good for.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["Beginning", "PieceIndex"]


class PieceIndex:
    """The pieces of a vocabulary by what they write.

    Args:
        surfaces: what each id writes, in UTF-8; a piece may be a single byte of a character.
        left_out: ids that never spell text, such as the unknown piece; those that write nothing do not either.
    """

    def __init__(self, surfaces: Sequence[bytes], *, left_out: Collection[int]) -> None:
        self.lengths = [len(surface) for surface in surfaces]
        self._ids: dict[bytes, list[int]] = {}
        for index, surface in enumerate(surfaces):
            if surface and index not in left_out:
                self._ids.setdefault(surface, []).append(index)
        self._ordered = sorted(self._ids)
        self.longest = max(map(len, self._ids), default=0)
        """Bytes of the longest piece."""

    def inside(self, text: bytes, place: int) -> list[tuple[int, list[int]]]:
        """Return the pieces that write the text from ``place`` on and not more, with the place that each leads to."""
        ends = range(place + 1, min(place + self.longest, len(text)) + 1)
        return [(end, ids) for end in ends if (ids := self._ids.get(text[place:end]))]

    def beyond(self, text: bytes, place: int) -> list[int]:
        """Return the pieces that write the text from ``place`` to its end and more."""
        left = len(text) - place
        if not 0 < left < self.longest:
            return []
        rest = text[place:]
        after = rest[:-1] + bytes([rest[-1] + 1])  # text is UTF-8, so that no byte is 255
        first, last = bisect.bisect_right(self._ordered, rest), bisect.bisect_left(self._ordered, after)
        return [index for surface in self._ordered[first:last] for index in self._ids[surface]]


@dataclass(frozen=True)
class Beginning:
    """How a text begins that begins with given characters."""

    ids: tuple[int, ...]
    """The pieces of the words that are complete: what comes behind them does not change them."""
    rest: bytes
    """What is left to be spelt, and may end inside a piece."""
    pieces: PieceIndex
