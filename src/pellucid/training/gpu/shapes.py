"""Round the shapes of batches up to a small set, so that every shape comes back often.

A GPU runs a step as one graph, which has fixed shapes, and cuBLAS and the compiler also prefer shapes that they know. A
number is rounded up to a multiple of a power of two that grows with it: with two parts in an octave the lengths are 8,
12, 16, 24, 32, 48, 64, 96, 128 ..., with four 8, 10, 12, 14, 16, 20, 24 ... More parts mean less padding and more
shapes. The batches of the first epoch decide, so a run that is continued has the same shapes. Which rows form a batch
does not change. Read ``corpus.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import counted

__all__ = ["Shape", "ShapeGrid"]

_MOST_SHAPES: Final = 64
"""Each one is captured as a graph: some tenths of a second, and some megabytes on the device."""
_PARTS: Final = (8, 4, 2, 1)
_SHORTEST: Final = 8
"""The smallest length."""


class Shape(NamedTuple):
    """The shape of a batch: rows, source length and target length, both with end of sentence."""

    rows: int
    source: int
    target: int


@dataclass(frozen=True)
class ShapeGrid:
    """The rounding of a run: ``parts`` sizes between one power of two and the next."""

    parts: int
    num_shapes: int
    """Shapes in the first epoch."""
    real_share: float
    """Share of the source and target positions of the first epoch that are tokens."""

    @staticmethod
    def for_batches(
        batches: Sequence[NDArray[np.int64]], source_lengths: NDArray[np.integer], target_lengths: NDArray[np.integer]
    ) -> ShapeGrid:
        """Choose the finest rounding with which the batches have at most 64 shapes; lengths are without specials."""
        exact = [
            Shape(len(rows), int(source_lengths[rows].max()) + 1, int(target_lengths[rows].max()) + 1)
            for rows in batches
        ]
        tokens = sum(int(source_lengths[rows].sum() + target_lengths[rows].sum()) + 2 * len(rows) for rows in batches)
        for parts in _PARTS:
            padded = [_rounded(shape, parts=parts) for shape in exact]
            if len(set(padded)) <= _MOST_SHAPES or parts == _PARTS[-1]:
                break
        positions = sum(shape.rows * (shape.source + shape.target) for shape in padded)
        return ShapeGrid(parts, len(set(padded)), tokens / max(1, positions))

    def shape_of(
        self, rows: NDArray[np.int64], source_lengths: NDArray[np.integer], target_lengths: NDArray[np.integer]
    ) -> Shape:
        """Return the shape of a batch of rows; lengths of all rows are without specials."""
        exact = Shape(len(rows), int(source_lengths[rows].max()) + 1, int(target_lengths[rows].max()) + 1)
        return _rounded(exact, parts=self.parts)

    def to_text(self) -> str:
        """Return the line for the screen."""
        return f"{counted(self.num_shapes, 'shape')} of batches, {self.real_share:.1%} of their positions are text"


def round_up(number: int, *, parts: int) -> int:
    """Return the next number of the grid: of ``parts`` equal steps between powers of two."""
    octave = 1 << max(0, (number - 1).bit_length() - 1)
    step = max(1, octave // parts)
    return -(-number // step) * step


def _rounded(shape: Shape, *, parts: int) -> Shape:
    source, target = (round_up(max(length, _SHORTEST), parts=parts) for length in (shape.source, shape.target))
    return Shape(round_up(shape.rows, parts=parts), source, target)
