"""The set of shapes is small, covers every batch, and wastes little."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.config import BatchType
from pellucid.text.batching import epoch_batches
from pellucid.training.gpu.shapes import Shape, ShapeGrid, round_up


def test_two_parts_give_the_usual_lengths() -> None:
    lengths = sorted({round_up(number, parts=2) for number in range(7, 129)})
    assert lengths == [8, 12, 16, 24, 32, 48, 64, 96, 128]


@pytest.mark.parametrize("parts", [1, 2, 4, 8])
def test_rounding_goes_up_by_at_most_a_part_and_is_stable(parts: int) -> None:
    for number in range(1, 3000):
        rounded = round_up(number, parts=parts)
        assert number <= rounded <= number * (1 + 1 / parts)
        assert round_up(rounded, parts=parts) == rounded


def lengths(rows: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    source = np.minimum(generator.geometric(1 / 14, rows), longest)
    return source, np.clip(source + generator.integers(-3, 4, rows), 1, longest)


def batches_of(source: np.ndarray, target: np.ndarray, epoch: int = 0) -> list[np.ndarray]:
    return epoch_batches(source, target, batch_size=512, batch_type=BatchType.TOKENS, seed=5, epoch=epoch)


def test_every_batch_fits_its_shape_and_shapes_are_few() -> None:
    source, target = lengths(20_011, 97)
    batches = batches_of(source, target)
    grid = ShapeGrid.for_batches(batches, source, target)
    shapes = [grid.shape_of(rows, source, target) for rows in batches]
    for rows, shape in zip(batches, shapes, strict=True):
        assert len(rows) <= shape.rows
        assert source[rows].max() < shape.source
        assert target[rows].max() < shape.target
    assert len(set(shapes)) == grid.num_shapes < len(batches) / 5
    real = sum(int((source[rows] + target[rows] + 2).sum()) for rows in batches)
    assert grid.real_share == pytest.approx(real / sum(s.rows * (s.source + s.target) for s in shapes))
    assert 0.6 < grid.real_share < 1
    assert f"{grid.num_shapes} shapes" in grid.to_text()


def test_later_epochs_have_mostly_the_same_shapes() -> None:
    source, target = lengths(20_011, 97)
    grid = ShapeGrid.for_batches(batches_of(source, target), source, target)
    first, second = (
        [grid.shape_of(rows, source, target) for rows in batches_of(source, target, epoch)] for epoch in (0, 1)
    )
    assert sum(shape in set(first) for shape in second) > 0.9 * len(second)


def test_few_batches_get_fine_shapes() -> None:
    source = np.array([16, 16, 9, 9])
    grid = ShapeGrid.for_batches([np.array([0, 1]), np.array([2, 3])], source, source)
    assert grid.shape_of(np.array([0, 1]), source, source) == Shape(2, 18, 18)
    assert grid.shape_of(np.array([2, 3]), source, source) == Shape(2, 10, 10)
