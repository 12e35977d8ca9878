"""How the way of integrated gradients is divided: with the fewest points that halving comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pellucid.analysis.attribution.gradients import FEWEST_POINTS, integrated_gradients
from pellucid.errors import RequestError

PLACES, WEIGHTS = np.polynomial.legendre.leggauss(4)


class Way:
    """A question whose score depends on how far along the way the embeddings are, and on nothing else."""

    steps = (0,)
    sides = (1, 1)

    def __init__(self, score: Callable[[Tensor], Tensor]) -> None:
        self._score = score
        self.asked = 0

    def embeddings(self) -> tuple[Tensor, Tensor]:
        return torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)

    def ask(self, recorder: Any, *, batch: int) -> Tensor:
        value: Tensor = recorder.visit("source.embedding", None) + 0 * recorder.visit("target.embedding", None)
        self.asked += batch if value.requires_grad else 0
        return self._score(value[:, 0])


def kinked(place: float, slope: float) -> Callable[[Tensor], Tensor]:
    return lambda way: slope * torch.relu(way - place)


def missed(place: float, slope: float, depth: int) -> float:
    """What four points miss of the gain on the interval with the kink, after it was halved ``depth`` times."""
    width = 0.25 / 2**depth
    start = np.floor(place / width) * width
    points = start + width * (PLACES + 1) / 2
    found = slope * width / 2 * float((WEIGHTS * (points > place)).sum())
    return abs(found - slope * (start + width - place))


def depth_needed(place: float, slope: float, limit: float) -> int:
    return next(depth for depth in range(20) if missed(place, slope, depth) <= limit)


@pytest.mark.parametrize("place", [0.3, 0.61, 0.99])
@pytest.mark.parametrize("tolerance", [0.1, 0.02, 1e-3, 1e-5])
def test_only_the_interval_that_misses_is_halved_and_no_more_than_it_must(place: float, tolerance: float) -> None:
    slope = 7.0
    way = Way(kinked(place, slope))
    found = integrated_gradients(way, tolerance=tolerance)  # type: ignore[arg-type]
    gain = slope * (1 - place)
    depth = depth_needed(place, slope, tolerance * max(gain, 1))
    assert found.points == FEWEST_POINTS + 4 * depth
    assert way.asked == FEWEST_POINTS + 8 * depth, "a halved interval was computed, too"
    assert abs(float(found.source.sum()) - gain) <= tolerance * max(gain, 1)


def test_a_smooth_way_needs_the_fewest_points() -> None:
    found = integrated_gradients(Way(torch.tanh))  # type: ignore[arg-type]
    assert found.points == FEWEST_POINTS == 16
    assert float(found.source.sum()) == pytest.approx(np.tanh(1), abs=1e-6)


def test_two_kinks_are_halved_each_as_far_as_it_needs() -> None:
    way = Way(lambda at: 40 * torch.relu(at - 0.3) - 40 * torch.relu(at - 0.8))
    found = integrated_gradients(way, tolerance=1e-3)  # type: ignore[arg-type]
    depths = [(one, other) for one in range(16) for other in range(16)]
    fewest = min(sum(pair) for pair in depths if missed(0.3, 40, pair[0]) + missed(0.8, 40, pair[1]) <= 1e-3 * 20)
    least = FEWEST_POINTS + 4 * fewest
    assert least <= (found.points or 0) <= least + 8, "a halving that happens to miss more can come on the way"


def test_a_way_that_takes_too_many_points_is_refused() -> None:
    places = np.linspace(0.01, 0.99, 29)

    def rough(way: Tensor) -> Tensor:
        return torch.stack([900 * (-1) ** i * torch.relu(way - place) for i, place in enumerate(places)]).sum(0)

    with pytest.raises(RequestError, match=r"with 112 points the parts of step 0 miss .* give a number of points"):
        integrated_gradients(Way(rough), tolerance=1e-6, most_points=60)  # type: ignore[arg-type]
