"""Position tables: every layout by its formula, offsets, the end of the table."""

from __future__ import annotations

import math

import pytest
import torch

from pellucid.config import ModelConfig, PositionLayout
from pellucid.errors import PellucidError
from pellucid.model.positions import Positions, sinusoids

SINUSOIDS = [layout for layout in PositionLayout if layout is not PositionLayout.LEARNED]


@pytest.mark.parametrize("layout", SINUSOIDS)
def test_each_pair_turns_with_its_frequency(layout: PositionLayout) -> None:
    d_model, half = 22, 11
    table = sinusoids(layout, num_positions=13, d_model=d_model)
    assert table.dtype == torch.float64
    for position in range(13):
        for pair in range(half):
            t2t = layout is PositionLayout.HALF_SPLIT_T2T
            angle = position / 10000 ** (pair / (half - 1) if t2t else 2 * pair / d_model)
            interleaved = layout is PositionLayout.INTERLEAVED
            sine, cosine = (2 * pair, 2 * pair + 1) if interleaved else (pair, half + pair)
            assert table[position, sine].item() == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[position, cosine].item() == pytest.approx(math.cos(angle), abs=1e-12)


@pytest.mark.parametrize("layout", SINUSOIDS)
def test_a_step_is_the_same_rotation_everywhere(layout: PositionLayout) -> None:
    # The paper's reason for sinusoids: the row at t + k is a fixed linear map of the row at t.
    table = sinusoids(layout, num_positions=29, d_model=14)
    products = table @ table.T
    for distance in (1, 5):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[0].expand_as(along), rtol=0, atol=1e-10)


def test_the_three_layouts_differ() -> None:
    tables = [sinusoids(layout, num_positions=5, d_model=14) for layout in SINUSOIDS]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(tables[first], tables[second])


def positions(layout: PositionLayout, offset: int = 3) -> Positions:
    return Positions(
        ModelConfig(d_model=14, num_heads=2, position_layout=layout, position_offset=offset, max_positions=7)
    )


def test_the_offset_shifts_rows() -> None:
    plain, shifted = positions(PositionLayout.INTERLEAVED, 0), positions(PositionLayout.INTERLEAVED, 3)
    assert torch.equal(shifted(4), plain(7)[3:])
    assert torch.equal(shifted(2, start=1), shifted(3)[1:])


@pytest.mark.parametrize("layout", PositionLayout)
def test_the_last_position_exists_and_the_next_is_refused(layout: PositionLayout) -> None:
    table = positions(layout)
    assert table(7).shape == (7, 14)
    assert table(1, start=6).shape == (1, 14)
    for count, start in ((8, 0), (1, 7)):
        with pytest.raises(PellucidError, match=r"8 tokens.*max_positions = 7.*split the text"):
            table(count, start=start)


def test_a_table_is_rounded_once_in_every_type() -> None:
    exact = sinusoids(PositionLayout.INTERLEAVED, num_positions=10, d_model=14)
    table = positions(PositionLayout.INTERLEAVED)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        assert torch.equal(table.to(dtype).table, exact.to(dtype))


def test_sinusoids_are_not_stored_and_learned_positions_are() -> None:
    assert list(positions(PositionLayout.HALF_SPLIT_T2T).state_dict()) == []
    learned = positions(PositionLayout.LEARNED)
    assert list(learned.state_dict()) == ["table"]
    assert learned.table.shape == (10, 14)
    with pytest.raises(ValueError, match="learned"):
        sinusoids(PositionLayout.LEARNED, num_positions=2, d_model=4)
