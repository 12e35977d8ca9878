"""Dropout: the rate, the mean, independence, and that the generator's state decides everything.

The bounds are five standard errors: a right implementation passes with the seeds written here.
"""

from __future__ import annotations

import math

import pytest
import torch

from pellucid.model.dropout import Dropout, keep_mask

COUNT = 400_003  # not a multiple of the four lanes of a draw


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_rate_is_right_in_every_lane(rate: float, dtype: torch.dtype) -> None:
    torch.manual_seed(7)
    dropped = keep_mask(torch.empty(COUNT, dtype=dtype), rate) == 0
    for lane in range(4):
        share = dropped[lane::4].double().mean().item()
        assert abs(share - rate) < 5 * math.sqrt(rate * (1 - rate) / (COUNT // 4)) + 2**-17


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_kept_elements_are_scaled_so_that_the_mean_stays(rate: float) -> None:
    mask = keep_mask(torch.empty(COUNT, dtype=torch.float64), rate)
    kept = mask[mask != 0]
    assert len(kept.unique()) == 1
    assert kept[0].item() == pytest.approx(1 / (1 - rate), rel=2**-16)


def test_bfloat16_has_its_rate_too() -> None:
    torch.manual_seed(3)
    mask = keep_mask(torch.empty(COUNT, dtype=torch.bfloat16), 0.1)
    assert mask.dtype == torch.bfloat16
    assert (mask == 0).double().mean().item() == pytest.approx(0.1, abs=0.003)


def test_neighbours_lanes_and_calls_are_independent() -> None:
    torch.manual_seed(11)
    first, second = ((keep_mask(torch.empty(COUNT), 0.3) == 0).double() - 0.3 for _ in range(2))
    bound = 5 * 0.3 * 0.7 / math.sqrt(COUNT)
    assert abs((first * second).mean().item()) < bound
    for distance in (1, 2, 3, 4, 5, 8, 256, 1024):
        assert abs((first[distance:] * first[:-distance]).mean().item()) < bound


def test_runs_of_dropped_elements_are_as_long_as_chance_makes_them() -> None:
    torch.manual_seed(13)
    dropped = keep_mask(torch.empty(COUNT), 0.5) == 0
    counts = torch.unique_consecutive(dropped, return_counts=True)[1].double()
    # At rate 1/2 the length of a run is geometric: mean 2, variance 2.
    assert abs(counts.mean().item() - 2) < 5 * math.sqrt(2 / len(counts))


def test_the_generator_state_decides_the_mask() -> None:
    dropout = Dropout(0.3).train()
    values = torch.randn(17, 19)
    state = torch.get_rng_state()
    first, second = dropout(values), dropout(values)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(dropout(values), first)
    assert torch.equal(dropout(values), second)


def test_the_gradient_has_the_mask_of_the_value() -> None:
    values = torch.ones(23, 29, requires_grad=True)
    result = Dropout(0.3).train()(values)
    result.sum().backward()
    assert torch.equal(values.grad, result.detach())


def test_it_does_nothing_when_evaluating_or_at_rate_zero() -> None:
    values = torch.randn(5, 7)
    state = torch.get_rng_state()
    assert Dropout(0.3).eval()(values) is values
    assert Dropout(0.0).train()(values) is values
    assert torch.equal(torch.get_rng_state(), state)
