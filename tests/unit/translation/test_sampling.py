from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from pellucid.translation.sampling import draw, sample

from .markov import EOS, MarkovStepper, free, random_table, settings

# The 99.9 % points of the chi-square distribution by degrees of freedom.
CHI_SQUARE = {4: 18.47, 10: 29.59}
SOURCES = [[3, EOS], [1, EOS], [6, 2, EOS], [3, EOS]]


def chi_square(observed: Counter[int], probabilities: list[float]) -> float:
    total = observed.total()
    return sum((observed[i] - total * p) ** 2 / (total * p) for i, p in enumerate(probabilities) if p > 0)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_frequencies_are_the_tables(temperature: float) -> None:
    table = random_table(1, 11, seed=3, sharpness=0.7)
    uniform = torch.rand(7919, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn = Counter(draw(table.expand(7919, 11), uniform, temperature=temperature).tolist())
    probabilities = torch.softmax(table[0] / temperature, dim=0).tolist()
    assert chi_square(drawn, probabilities) < CHI_SQUARE[10]


def test_frequencies_of_a_whole_search() -> None:
    stepper = MarkovStepper(random_table(7, 5, seed=3, sharpness=0.7))
    config = settings(2, sampling=True, n_best=5003)
    (drawn,) = sample(stepper, [[3]], config=config, constraints=free())
    first = Counter(h.ids[0] for h in drawn)
    assert chi_square(first, stepper.table[3].exp().tolist()) < CHI_SQUARE[4]
    second = Counter(h.ids[1] for h in drawn if h.ids[0] == 2)
    assert chi_square(second, stepper.table[stepper.after(3, 2)].exp().tolist()) < CHI_SQUARE[4]


def test_every_place_of_the_unit_interval() -> None:
    table = torch.tensor([[0.25, 0.0, 0.25, 0.5, 0.0]], dtype=torch.float64).log()
    edges = torch.tensor([0.0, 0.2499, 0.25, 0.4999, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert draw(table.expand(6, 5), edges).tolist() == [0, 0, 2, 2, 3, 3]


def test_top_k_is_the_k_most_probable_renormalised() -> None:
    table = torch.tensor([[0.1, 0.3, 0.2, 0.1, 0.3]], dtype=torch.float64).log()
    marks = torch.linspace(0, 1 - 2**-53, 997, dtype=torch.float64)
    kept = Counter(draw(table.expand(997, 5), marks, top_k=2).tolist())
    assert set(kept) == {1, 4}
    assert abs(kept[1] - kept[4]) <= 1
    # Of equal tokens the lower id is kept.
    assert set(draw(table.expand(997, 5), marks, top_k=4).tolist()) == {0, 1, 2, 4}


@pytest.mark.parametrize(
    ("top_p", "expected"), [(0.05, {1}), (0.39, {1}), (0.41, {1, 3}), (0.71, {1, 3, 0}), (0.9, {1, 3, 0, 2})]
)
def test_top_p_is_the_fewest_that_reach_it(top_p: float, expected: set[int]) -> None:
    table = torch.tensor([[0.15, 0.4, 0.1, 0.3, 0.05]], dtype=torch.float64).log()
    marks = torch.linspace(0, 1 - 2**-53, 997, dtype=torch.float64)
    assert set(draw(table.expand(997, 5), marks, top_p=top_p).tolist()) == expected


def test_top_p_follows_top_k_and_temperature() -> None:
    table = torch.tensor([[0.4, 0.3, 0.2, 0.1]], dtype=torch.float64).log()
    marks = torch.linspace(0, 1 - 2**-53, 997, dtype=torch.float64)
    # Of the best two, renormalised, the first has 4/7: over a top_p of 0.55, under it at temperature 2.
    assert set(draw(table.expand(997, 4), marks, top_k=2, top_p=0.55).tolist()) == {0}
    assert set(draw(table.expand(997, 4), marks, top_k=2, top_p=0.55, temperature=2.0).tolist()) == {0, 1}


def test_what_cannot_come_is_never_drawn() -> None:
    table = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0, -math.inf]], dtype=torch.float64)
    marks = torch.rand(997, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert set(draw(table.expand(997, 5), marks).tolist()) == {1, 3}
    assert set(draw(table.expand(997, 5), marks, top_k=3, top_p=0.999).tolist()) == {1, 3}


def test_a_sentence_has_its_own_stream() -> None:
    stepper = MarkovStepper(random_table(31, 11, seed=3))
    config = settings(19, sampling=True, n_best=3)
    together = sample(stepper, SOURCES, config=config, constraints=free())
    alone = [sample(stepper, [source], config=config, constraints=free())[0] for source in SOURCES]
    assert together == alone
    assert together[0] == together[3]  # the same sentence twice
    assert len({h.ids for h in together[0]}) > 1  # but not the same draw twice
    fewer = sample(stepper, SOURCES, config=settings(19, sampling=True), constraints=free())
    assert [one for (one,) in fewer] == [hypotheses[0] for hypotheses in together]


def test_the_seed_decides() -> None:
    stepper = MarkovStepper(random_table(31, 11, seed=3))
    by_seed = [
        sample(stepper, SOURCES, config=settings(19, sampling=True, seed=seed), constraints=free())
        for seed in (5, 5, 6)
    ]
    assert by_seed[0] == by_seed[1] != by_seed[2]


def test_scores_are_the_models_own() -> None:
    stepper = MarkovStepper(random_table(31, 11, seed=3))
    config = settings(19, sampling=True, temperature=0.6, top_k=3)
    for source, (hypothesis,) in zip(SOURCES, sample(stepper, SOURCES, config=config, constraints=free()), strict=True):
        forced = stepper.log_probabilities(source, hypothesis.ids)
        assert hypothesis.token_log_probabilities == pytest.approx(forced, abs=1e-12)
