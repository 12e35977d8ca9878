"""The colours of all pictures, equal to those of ``web/modules/pictures/palette.js``; a test compares the two.

One sequential scale, light to dark on paper and dark to light on a dark screen; one diverging scale around zero;
eight colours for heads after Okabe and Ito (2008), each with a dash pattern, because colour alone is never
enough to identify a head. Read ``plots.py`` or ``terminal.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = [
    "HEAD_COLOURS",
    "HEAD_DASHES",
    "NEGATIVE",
    "POSITIVE",
    "SEQUENTIAL",
    "SEQUENTIAL_DARK",
    "Colour",
    "head_colour",
    "head_dashes",
    "ink_on",
    "mix",
]

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


def _points(*codes: str) -> tuple[Colour, ...]:
    return tuple((code[0], code[1], code[2]) for code in (bytes.fromhex(code.removeprefix("#")) for code in codes))


SEQUENTIAL: Final = _points("#fbfaf7", "#cde3d3", "#7ebeb4", "#2d8997", "#225680", "#242354")
SEQUENTIAL_DARK: Final = _points("#15181c", "#1f384f", "#216476", "#38968a", "#8cc68b", "#f6eeaa")
NEGATIVE: Final = _points("#fbfaf7", "#b7d1e9", "#609ad0", "#245aa0", "#112a62")
POSITIVE: Final = _points("#fbfaf7", "#f5ceaa", "#e78e4f", "#b8521b", "#682608")

HEAD_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b8a500", "#7a7a7a")
HEAD_DASHES: Final[tuple[tuple[float, ...], ...]] = (
    (),
    (6, 3),
    (2, 2),
    (8, 3, 2, 3),
    (12, 4),
    (4, 2, 1, 2),
    (1, 3),
    (10, 2, 2, 2),
)
"""Lengths of strokes and gaps in points; an empty pattern means a solid line."""


def head_colour(head: int) -> str:
    """Return the colour of a head; there are eight, and head 8 has that of head 0."""
    return HEAD_COLOURS[head % len(HEAD_COLOURS)]


def head_dashes(head: int) -> tuple[float, ...]:
    """Return the dash pattern of a head."""
    return HEAD_DASHES[head % len(HEAD_DASHES)]


def mix(points: Sequence[Colour], share: float) -> Colour:
    """Return the colour at a place from 0 to 1 along the points."""
    place = min(max(share, 0.0), 1.0) * (len(points) - 1)
    low = min(int(place), len(points) - 2)
    red, green, blue = (
        int(start + (end - start) * (place - low) + 0.5)
        for start, end in zip(points[low], points[low + 1], strict=True)
    )
    return red, green, blue


def ink_on(colour: Colour) -> Colour:
    """Return near-black or white, whichever is easier to read on this colour."""
    red, green, blue = colour
    return (27, 29, 33) if red * 0.299 + green * 0.587 + blue * 0.114 > 140 else (255, 255, 255)
