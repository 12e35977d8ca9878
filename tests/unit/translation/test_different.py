"""An n-best list holds different texts, the best of equal ones, and as many of them as the search can see."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pellucid.translation.beam import StopRule, beam_search
from pellucid.translation.hypothesis import Hypothesis

from .markov import EOS, MarkovStepper, brute_force, free, random_table, settings
from .test_translator import shouter

SOURCES = [[3, EOS], [1, EOS], [6, 2, EOS], [4, EOS], [0, EOS]]


def spelt(ids: Sequence[int]) -> str:
    """Spell pieces so that many hypotheses have one text: 1 is "a", 2 is "aa", 3 is "b", 4 is nothing."""
    return "".join(("", "a", "aa", "b", "")[token] for token in ids)


def texts(hypotheses: Sequence[Hypothesis]) -> list[str]:
    return [spelt(hypothesis.ids) for hypothesis in hypotheses]


@pytest.mark.parametrize("stop", StopRule)
def test_a_wide_beam_finds_the_best_of_each_text(stop: StopRule) -> None:
    stepper = MarkovStepper(random_table(101, 5, seed=11))
    config = settings(4, beam_size=400, n_best=17)
    results = beam_search(stepper, SOURCES, config=config, constraints=free(), stop=stop, key_of=spelt)
    for source, found in zip(SOURCES, results, strict=True):
        truth: dict[str, Hypothesis] = {}
        for hypothesis in brute_force(stepper, source, max_length=4):
            truth.setdefault(spelt(hypothesis.ids), hypothesis)
        assert [h.ids for h in found] == [h.ids for h in list(truth.values())[:17]]


@pytest.mark.parametrize("seed", range(11))
@pytest.mark.parametrize("beam_size", [2, 3, 5])
def test_a_narrow_beam_fills_its_list(seed: int, beam_size: int) -> None:
    stepper = MarkovStepper(random_table(31, 5, seed=seed))
    config = settings(13, beam_size=beam_size, n_best=beam_size, length_penalty="average")
    plain = beam_search(stepper, SOURCES, config=config, constraints=free())
    alone = beam_search(stepper, SOURCES, config=config.model_copy(update={"n_best": 1}), constraints=free())
    different = beam_search(stepper, SOURCES, config=config, constraints=free(), key_of=spelt)
    for before, (winner,), found in zip(plain, alone, different, strict=True):
        assert found[0] == before[0] == winner
        assert len(set(texts(found))) == len(found) >= len(set(texts(before)))
        order = [(not h.is_finished, -h.score) for h in found]
        assert order == sorted(order)


def test_lists_are_full_far_more_often_than_those_that_only_drop_equal_texts() -> None:
    lengths = {"dropped": 0, "filled": 0}
    for seed in range(20):
        stepper = MarkovStepper(random_table(31, 5, seed=seed))
        config = settings(13, beam_size=5, n_best=5, length_penalty="average")
        for found in beam_search(stepper, SOURCES, config=config, constraints=free()):
            lengths["dropped"] += len(set(texts(found)))
        for found in beam_search(stepper, SOURCES, config=config, constraints=free(), key_of=spelt):
            lengths["filled"] += len(found)
    wanted = 20 * len(SOURCES) * 5
    assert lengths["dropped"] < 0.9 * wanted
    assert lengths["filled"] > 0.97 * wanted


def test_a_search_that_has_only_one_text_ends_at_the_maximum_length() -> None:
    steps = 0

    class Counting(MarkovStepper):
        def step(self, last_ids):  # type: ignore[no-untyped-def]
            nonlocal steps
            steps += 1
            return super().step(last_ids)

    stepper = Counting(random_table(31, 5, seed=1))
    config = settings(9, beam_size=3, n_best=3)
    (found,) = beam_search(stepper, [[1]], config=config, constraints=free(), key_of=lambda ids: "same")
    assert len(found) == 1
    assert steps <= 9


def test_equal_texts_of_a_translator() -> None:
    found = shouter().translate("bee", n_best=5, beam_size=5)
    assert len({h.text for h in found.alternatives}) == 5
    assert "fewer" not in found.flags
    assert found.alternatives[0].text == shouter().translate("bee", beam_size=5).text


def test_a_shortage_is_flagged() -> None:
    found = shouter().translate("b", n_best=5, beam_size=5, max_length_factor=1e-9, max_length_constant=1)
    assert len(found.alternatives) == 2  # "B" and "!" are all that the model can write
    assert "fewer" in found.flags


def test_draws_are_draws() -> None:
    found = shouter().translate("b", sampling=True, n_best=7, max_length_factor=1e-9, max_length_constant=1)
    assert len(found.alternatives) == 7
    assert "fewer" not in found.flags
