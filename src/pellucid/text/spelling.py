"""Find the pieces that can write the next bytes of a required text.

A text can be written with many sequences of pieces, and its end can be inside a piece: "l" begins "le" and "la".
``subword.py`` builds these records, and ``translation/prefixes.py`` uses them to force the start of a translation.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["Beginning", "PieceIndex"]


class PieceIndex:
    """The pieces of a vocabulary by the bytes that they write.

    Args:
        surfaces: the text of each id in UTF-8; a piece can be a single byte of a character.
        left_out: ids that never write text, such as the unknown piece; ids with an empty surface are also left out.
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
        """Return the pieces that write a part of the text from ``place`` on, by the place after that part."""
        ends = range(place + 1, min(place + self.longest, len(text)) + 1)
        return [(end, ids) for end in ends if (ids := self._ids.get(text[place:end]))]

    def fewest(self, text: bytes) -> list[int]:
        """Return the fewest pieces that write a text, the first of them as long as possible; none where none do."""
        ways: list[list[int] | None] = [None] * len(text) + [[]]
        for place in reversed(range(len(text))):
            for end, ids in self.inside(text, place):  # by rising length, so that a longer piece wins a tie
                rest, known = ways[end], ways[place]
                if rest is not None and (known is None or len(rest) + 1 <= len(known)):
                    ways[place] = [ids[0], *rest]
        return ways[0] or []

    def beyond(self, text: bytes, place: int) -> list[int]:
        """Return the pieces that write the text from ``place`` to its end, and more after it."""
        left = len(text) - place
        if not 0 < left < self.longest:
            return []
        rest = text[place:]
        after = rest[:-1] + bytes([rest[-1] + 1])  # text is UTF-8, so no byte is 255
        first, last = bisect.bisect_right(self._ordered, rest), bisect.bisect_left(self._ordered, after)
        return [index for surface in self._ordered[first:last] for index in self._ids[surface]]


@dataclass(frozen=True)
class Beginning:
    """The pieces that a text starting with given characters can start with."""

    ids: tuple[int, ...]
    """The pieces of the complete words; later text does not change them."""
    rest: bytes
    """The bytes after these pieces, which can end inside a piece."""
    pieces: PieceIndex
