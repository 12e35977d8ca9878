"""The colours of every picture, the twin of ``web/modules/pictures/palette.js``; a test holds the two together.

One sequential scale, light to dark on paper and the other way round on a dark screen; one diverging scale with
zero as the ground; eight colours for heads after Okabe and Ito (2008), each with a dash pattern, since a head is
never told by its colour alone. Read ``plots.py`` or ``terminal.py`` next.
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
    "ink_on",
    "mix",
]

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

SEQUENTIAL: Final[tuple[Colour, ...]] = (
    (251, 250, 247),
    (205, 227, 211),
    (126, 190, 180),
    (45, 137, 151),
    (34, 86, 128),
    (36, 35, 84),
)
SEQUENTIAL_DARK: Final[tuple[Colour, ...]] = (
    (21, 24, 28),
    (31, 56, 79),
    (33, 100, 118),
    (56, 150, 138),
    (140, 198, 139),
    (246, 238, 170),
)
NEGATIVE: Final[tuple[Colour, ...]] = ((251, 250, 247), (183, 209, 233), (96, 154, 208), (36, 90, 160), (17, 42, 98))
POSITIVE: Final[tuple[Colour, ...]] = ((251, 250, 247), (245, 206, 170), (231, 142, 79), (184, 82, 27), (104, 38, 8))

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
"""Lengths of strokes and gaps in points; an empty pattern is a solid line."""


def mix(points: Sequence[Colour], share: float) -> Colour:
    """Return the colour at a share, 0 to 1, of the way along the points."""
    place = min(max(share, 0.0), 1.0) * (len(points) - 1)
    low = min(int(place), len(points) - 2)
    red, green, blue = (
        int(start + (end - start) * (place - low) + 0.5)
        for start, end in zip(points[low], points[low + 1], strict=True)
    )
    return red, green, blue


def ink_on(colour: Colour) -> Colour:
    """Return near-black or white, whichever is easier to read on a colour."""
    red, green, blue = colour
    return (27, 29, 33) if red * 0.299 + green * 0.587 + blue * 0.114 > 140 else (255, 255, 255)
