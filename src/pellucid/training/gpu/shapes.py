"""Round the shapes of batches up to a small set, so that every shape comes back often.

A GPU runs a step as one graph, which has fixed shapes, and cuBLAS and the compiler also prefer shapes that they know. A
number is rounded up to a multiple of a power of two that grows with it: with two parts in an octave the lengths are 8,
12, 16, 24, 32, 48, 64, 96, 128 ..., with four 8, 10, 12, 14, 16, 20, 24 ... More parts mean less padding and more
shapes. The batches of the first epoch decide, so a run that is continued has the same shapes. Which rows form a batch
does not change.

A packed shape has no lengths but numbers of tokens, so almost nothing is padding; it needs a block of attention that
holds the longest sentence. A batch whose longest sentence no block holds has a padded shape. Read ``corpus.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import counted

__all__ = ["PackedShape", "Shape", "ShapeGrid"]

_MOST_SHAPES: Final = 64
"""Each one is captured as a graph: a tenth of a second, and some megabytes on the device."""
_MOST_PACKED_SHAPES: Final = 32
"""More would save a hundredth of the positions, and later epochs would bring more shapes that are new."""
_PARTS: Final = (8, 4, 2, 1)
_TOKEN_PARTS: Final = (32, 16, 8, 4, 2, 1)
_BLOCKS: Final = (32, 64, 128)
"""Sentences that the kernels of attention hold, in tokens. Each block has kernels of its own, compiled at first use."""
_ROW_PARTS: Final = 2
"""Of packed shapes: a row without tokens costs next to nothing."""
_SHORTEST: Final = 8
"""The smallest length."""


class Shape(NamedTuple):
    """The shape of a batch: rows, source length and target length, both with end of sentence."""

    rows: int
    source: int
    target: int


class PackedShape(NamedTuple):
    """The shape of a packed batch: rows, tokens of both sides, and the block that holds a sentence of either side."""

    rows: int
    source_tokens: int
    target_tokens: int
    block: int


AnyShape = Shape | PackedShape


@dataclass(frozen=True)
class ShapeGrid:
    """The rounding of a run: ``parts`` sizes between one power of two and the next."""

    parts: int
    num_shapes: int
    """Shapes in the first epoch."""
    real_share: float
    """Share of the source and target positions of the first epoch that are tokens."""
    is_packed: bool = False

    @staticmethod
    def for_batches(
        batches: Sequence[NDArray[np.int64]],
        source_lengths: NDArray[np.integer],
        target_lengths: NDArray[np.integer],
        *,
        is_packed: bool = False,
    ) -> ShapeGrid:
        """Choose the finest rounding with which the batches have at most 64 shapes, or 32 if they are packed.

        Lengths are without specials.
        """
        exact = [_exact(rows, source_lengths, target_lengths) for rows in batches]
        most = _MOST_PACKED_SHAPES if is_packed else _MOST_SHAPES
        for parts in _TOKEN_PARTS if is_packed else _PARTS:
            shapes = [_rounded(one, parts=parts, is_packed=is_packed) for one in exact]
            if len(set(shapes)) <= most:
                break
        tokens = sum(one.source_tokens + one.target_tokens for one in exact)
        positions = sum(sum(positions_of(shape)) for shape in shapes)
        return ShapeGrid(parts, len(set(shapes)), tokens / max(1, positions), is_packed)

    def shape_of(
        self, rows: NDArray[np.int64], source_lengths: NDArray[np.integer], target_lengths: NDArray[np.integer]
    ) -> AnyShape:
        """Return the shape of a batch of rows; lengths of all rows are without specials."""
        exact = _exact(rows, source_lengths, target_lengths)
        return _rounded(exact, parts=self.parts, is_packed=self.is_packed)

    def to_text(self) -> str:
        """Return the line for the screen."""
        return f"{counted(self.num_shapes, 'shape')} of batches, {self.real_share:.1%} of their positions are text"


def round_up(number: int, *, parts: int) -> int:
    """Return the next number of the grid: of ``parts`` equal steps between powers of two."""
    octave = 1 << max(0, (number - 1).bit_length() - 1)
    step = max(1, octave // parts)
    return -(-number // step) * step


def positions_of(shape: AnyShape) -> tuple[int, int]:
    """Return the positions that a shape has on each side, padding included."""
    if isinstance(shape, PackedShape):
        return shape.source_tokens, shape.target_tokens
    return shape.rows * shape.source, shape.rows * shape.target


class _Exact(NamedTuple):
    """What a batch needs: rows, the longest sentence and all tokens of each side, with ends of sentence."""

    rows: int
    source: int
    target: int
    source_tokens: int
    target_tokens: int


def _exact(rows: NDArray[np.int64], source_lengths: NDArray[np.integer], target_lengths: NDArray[np.integer]) -> _Exact:
    sides = [lengths[rows] for lengths in (source_lengths, target_lengths)]
    longest = [int(side.max()) + 1 for side in sides]
    tokens = [int(side.sum()) + len(rows) for side in sides]
    return _Exact(len(rows), *longest, *tokens)


def _rounded(exact: _Exact, *, parts: int, is_packed: bool) -> AnyShape:
    if is_packed and max(exact.source, exact.target) <= _BLOCKS[-1]:
        return _packed(exact, parts=parts)
    # Lengths and rows need no finer rounding than that of padded batches.
    parts = min(parts, _PARTS[0])
    source, target = (round_up(max(length, _SHORTEST), parts=parts) for length in (exact.source, exact.target))
    return Shape(round_up(exact.rows, parts=parts), source, target)


def _packed(exact: _Exact, *, parts: int) -> PackedShape:
    block = next(block for block in _BLOCKS if block >= max(exact.source, exact.target))
    counts = (exact.source_tokens, exact.target_tokens)
    source, target = (round_up(max(count, _SHORTEST), parts=parts) for count in counts)
    # The tokens that are left over need rows of their own, with no more than a block each.
    spare = -(-max(source - exact.source_tokens, target - exact.target_tokens) // block)
    return PackedShape(round_up(exact.rows + spare, parts=_ROW_PARTS), source, target, block)
