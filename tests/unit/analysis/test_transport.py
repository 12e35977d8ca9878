"""The distances of optimal transport are the cost of the best plan, and those of a trace are over its own attention."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.transport import distance, distance_to_data, distance_to_uniform, source_mass
from pellucid.tracing.making import trace
from pellucid.tracing.record import Trace

masses = st.lists(st.integers(0, 9), min_size=1, max_size=7).filter(any).map(lambda row: np.array(row) / sum(row))


def places(mass: np.ndarray) -> np.ndarray:
    return (np.arange(len(mass)) + 0.5) / len(mass)


@given(st.lists(st.integers(0, 4), min_size=5, max_size=5), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_the_distance_is_the_cost_of_the_best_plan(first: list[int], second: list[int]) -> None:
    """Five grains of equal mass on each side: the best plan is the best of all ways to pair them."""
    piles = [np.bincount(side, minlength=size) / 5 for side, size in ((first, 5), (second, 3))]
    grains = [[places(pile)[place] for place in side] for pile, side in zip(piles, (first, second), strict=True)]
    best = min(np.mean(np.abs(np.array(grains[0]) - np.array(order))) for order in permutations(grains[1]))
    assert distance(*piles) == pytest.approx(best, abs=1e-12)


@given(masses, masses, masses)
def test_the_distance_is_a_metric(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> None:
    assert distance(first, first) == 0
    assert distance(first, second) == pytest.approx(distance(second, first), abs=1e-12)
    assert distance(first, third) <= distance(first, second) + distance(second, third) + 1e-12


@given(masses)
def test_the_distance_to_uniform_is_the_share_that_must_move(mass: np.ndarray) -> None:
    wanted = np.full(len(mass), 1 / len(mass))
    assert distance_to_uniform(mass) == pytest.approx(np.maximum(mass - wanted, 0).sum(), abs=1e-12)


def test_the_distance_to_data_is_the_mean_over_the_four_nearest() -> None:
    mass = np.array([0.5, 0.25, 0.25])
    references = [[1.0, 0.0], [0.0, 3.0], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1], [0.1, 0.1, 0.8]]
    every = sorted(distance(mass, np.array(one) / sum(one)) for one in references)
    assert distance_to_data(mass, references) == pytest.approx(np.mean(every[:4]))
    assert distance_to_data(mass, [[2.0, 1.0, 1.0]]) == 0


def test_the_mass_of_a_piece_is_its_share_of_the_attention() -> None:
    found = trace(make_translator(), "ein Hund rennt", target="a dog")
    sites = [site for site in found.sites if site.endswith("cross_attention.weights")]
    mass = source_mass(found)
    assert mass is not None
    assert mass == pytest.approx(np.mean([found[site].mean((0, 1)) for site in sites], axis=0))
    assert mass.sum() == pytest.approx(1)
    assert (
        source_mass(Trace.from_arrays(source_pieces=["a"], fed_pieces=["<s>"], predicted_pieces=["b"], attention={}))
        is None
    )
