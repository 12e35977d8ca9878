from __future__ import annotations

import math

import pytest
import torch

from pellucid.translation.candidates import best_of_rows


@pytest.mark.parametrize("width", [3, 11, 1023, 1024, 1031, 8191])
@pytest.mark.parametrize("count", [1, 2, 7, 13])
def test_is_a_stable_sort(width: int, count: int) -> None:
    generator = torch.Generator().manual_seed(width)
    values = torch.randn(5, width, generator=generator)
    values[1] = values[1].round()  # many ties
    values[2] = 0.0
    values[3, : width - 2] = -math.inf
    top, columns = best_of_rows(values, count)
    expected, order = torch.sort(values, dim=1, descending=True, stable=True)
    assert torch.equal(top, expected[:, :count])
    possible = top > -math.inf
    assert torch.equal(columns[possible], order[:, :count][possible])


def test_a_tie_across_the_border_goes_to_the_lower_column() -> None:
    values = torch.zeros(2, 2003)
    values[0, 1500] = values[0, 100] = values[0, 101] = 1.0
    values[1, 2002] = 2.0
    _, columns = best_of_rows(values, 2)
    assert columns.tolist() == [[100, 101], [2002, 0]]


def test_not_a_number_comes_first() -> None:
    values = torch.zeros(1, 1500)
    values[0, 700] = math.nan
    assert best_of_rows(values, 3)[0][0, 0].isnan()
