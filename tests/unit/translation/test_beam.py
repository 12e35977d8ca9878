from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pellucid.config import LengthPenalty, TranslationConfig
from pellucid.errors import RequestError
from pellucid.translation.beam import StopRule, beam_search
from pellucid.translation.greedy import greedy_search
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import BeamTree, Fate

from .markov import EOS, MarkovStepper, brute_force, free, random_table, settings

SOURCES = [[3, EOS], [1, EOS], [6, 2, EOS], [4, EOS], [0, EOS]]


def ids_of(hypotheses: list[Hypothesis]) -> list[tuple[int, ...]]:
    return [hypothesis.ids for hypothesis in hypotheses]


def reordered_wrongly(stepper: MarkovStepper) -> MarkovStepper:
    """Plant the classic bug: rows are dropped and duplicated, but not in the order of the beam."""
    right = stepper.select

    def wrong(rows: Tensor) -> None:
        right(rows.sort().values)

    stepper.select = wrong  # type: ignore[method-assign]
    return stepper


@pytest.mark.parametrize("stop", StopRule)
@pytest.mark.parametrize(("form", "alpha"), [("none", 1.0), ("average", 1.0), ("average", 0.6), ("gnmt", 1.4)])
def test_a_wide_beam_is_brute_force(stop: StopRule, form: str, alpha: float) -> None:
    stepper = MarkovStepper(random_table(101, 5, seed=11))
    config = settings(4, beam_size=400, n_best=29, length_penalty=form, alpha=alpha)
    results = beam_search(stepper, SOURCES, config=config, constraints=free(), stop=stop)
    for source, found in zip(SOURCES, results, strict=True):
        truth = brute_force(stepper, source, max_length=4, form=LengthPenalty(form), alpha=alpha)[:29]
        assert ids_of(found) == ids_of(truth)
        for hypothesis, true in zip(found, truth, strict=True):
            assert hypothesis.score == pytest.approx(true.score, abs=1e-12)
            assert hypothesis.log_probability == pytest.approx(true.log_probability, abs=1e-12)
            assert hypothesis.token_log_probabilities == pytest.approx(true.token_log_probabilities, abs=1e-12)
            assert hypothesis.is_finished == true.is_finished


def test_length_penalties_prefer_longer_sentences() -> None:
    # Where the end costs log 2 and going on costs log 2, every penalty of length is visible.
    stepper = MarkovStepper(torch.full((3, 2), -math.log(2), dtype=torch.float64))
    lengths = {}
    for form in LengthPenalty:
        config = settings(7, beam_size=3, length_penalty=form, alpha=4.0)
        (best,), *_ = beam_search(stepper, [[0]], config=config, constraints=free(), stop=StopRule.EXACT)
        lengths[form] = len(best.ids)
    assert lengths == {LengthPenalty.NONE: 1, LengthPenalty.AVERAGE: 7, LengthPenalty.GNMT: 7}


@pytest.mark.parametrize("min_length", [1, 2, 3])
def test_minimum_length_is_exact(min_length: int) -> None:
    stepper = MarkovStepper(random_table(101, 3, seed=5))
    config = settings(5, beam_size=250, n_best=17, min_length=min_length)
    results = beam_search(stepper, SOURCES, config=config, constraints=free(min_length=min_length))
    for source, found in zip(SOURCES, results, strict=True):
        truth = brute_force(stepper, source, max_length=5, allowed=lambda ids: EOS not in ids[:min_length])
        assert ids_of(found) == ids_of(truth[:17])


def test_unreachable_tokens_never_come() -> None:
    table = random_table(101, 5, seed=2)
    table[:, 3] = -math.inf
    table[2, 1] = -math.inf
    stepper = MarkovStepper(torch.log_softmax(table, dim=1))
    config = settings(3, beam_size=90, n_best=90)
    for source, found in zip(SOURCES, beam_search(stepper, SOURCES, config=config, constraints=free()), strict=True):
        truth = brute_force(stepper, source, max_length=3)
        assert ids_of(found) == ids_of(truth[:90])
        assert all(3 not in hypothesis.ids for hypothesis in found)


@pytest.mark.parametrize("seed", range(7))
def test_beam_one_is_greedy(seed: int) -> None:
    stepper = MarkovStepper(random_table(13, 11, seed=seed))
    config = settings(23, beam_size=1, length_penalty="average")
    assert beam_search(stepper, SOURCES, config=config, constraints=free()) == greedy_search(
        stepper, SOURCES, config=config, constraints=free()
    )


@pytest.mark.parametrize("beam_size", [2, 3, 5])
@pytest.mark.parametrize("stop", StopRule)
def test_batched_is_alone(beam_size: int, stop: StopRule) -> None:
    stepper = MarkovStepper(random_table(31, 11, seed=3))
    config = settings(19, beam_size=beam_size, n_best=beam_size, length_penalty="average")
    together = beam_search(stepper, SOURCES, config=config, constraints=free(), stop=stop)
    alone = [beam_search(stepper, [s], config=config, constraints=free(), stop=stop)[0] for s in SOURCES]
    assert together == alone


@pytest.mark.parametrize("beam_size", [2, 5])
def test_search_score_is_forced_score(beam_size: int) -> None:
    stepper = MarkovStepper(random_table(31, 11, seed=4))
    config = settings(17, beam_size=beam_size, n_best=beam_size)
    for source, found in zip(SOURCES, beam_search(stepper, SOURCES, config=config, constraints=free()), strict=True):
        for hypothesis in found:
            forced = stepper.log_probabilities(source, hypothesis.ids)
            assert hypothesis.token_log_probabilities == pytest.approx(forced, abs=1e-12)
            assert hypothesis.log_probability == pytest.approx(sum(forced), abs=1e-12)


def test_a_wrong_reorder_would_be_seen() -> None:
    config = settings(17, beam_size=5, n_best=5)
    stepper = reordered_wrongly(MarkovStepper(random_table(31, 11, seed=4)))
    results = beam_search(stepper, SOURCES, config=config, constraints=free())
    errors = [
        abs(hypothesis.log_probability - sum(stepper.log_probabilities(source, hypothesis.ids)))
        for source, found in zip(SOURCES, results, strict=True)
        for hypothesis in found
    ]
    assert max(errors) > 0.1


def test_the_exact_rule_misses_nothing_that_the_full_beam_holds() -> None:
    # Asked for more hypotheses it searches on, and finds none that is better than the first.
    for seed in range(17):
        stepper = MarkovStepper(random_table(29, 7, seed=seed, sharpness=0.7))
        config = settings(11, beam_size=3, length_penalty="average", alpha=1.0)
        (exact,) = beam_search(stepper, [[seed]], config=config, constraints=free(), stop=StopRule.EXACT)
        patient = settings(11, beam_size=3, n_best=3, length_penalty="average", alpha=1.0)
        (full,) = beam_search(stepper, [[seed]], config=patient, constraints=free(), stop=StopRule.EXACT)
        assert exact[0] == full[0]


def test_finished_come_before_unfinished() -> None:
    stepper = MarkovStepper(random_table(101, 3, seed=1))
    config = settings(2, beam_size=7, n_best=7)
    for source, found in zip(SOURCES, beam_search(stepper, SOURCES, config=config, constraints=free()), strict=True):
        finished = [hypothesis.is_finished for hypothesis in found]
        assert finished == [True] * 3 + [False] * 4
        for part in (found[:3], found[3:]):
            assert [h.score for h in part] == sorted((h.score for h in part), reverse=True)
        assert ids_of(found) == ids_of(brute_force(stepper, source, max_length=2))


def test_ends_do_not_starve_the_beam() -> None:
    # At every step the end is the best continuation of every row, and still the beam goes on.
    table = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log().expand(7, 3)
    config = settings(5, beam_size=2, n_best=2, length_penalty="average", alpha=3.0)
    (found,) = beam_search(MarkovStepper(table), [[0]], config=config, constraints=free(), stop=StopRule.EXACT)
    assert [len(h.ids) for h in found] == [5, 5]
    assert all(h.is_finished for h in found)


def test_equal_candidates_go_to_the_lower_id() -> None:
    table = torch.full((7, 1031), -math.log(1031), dtype=torch.float64)
    table[:, EOS] = -math.inf
    config = settings(1, beam_size=5, n_best=5)
    (found,) = beam_search(MarkovStepper(table), [[0]], config=config, constraints=free())
    assert ids_of(found) == [(1,), (2,), (3,), (4,), (5,)]


def test_a_sentence_that_nothing_can_continue_is_left_unfinished() -> None:
    table = torch.full((7, 5), -math.inf, dtype=torch.float64)
    stepper = MarkovStepper(table)
    stepper.table[1, 2] = 0.0  # one step from state 1, then nothing
    config = settings(7, beam_size=3, n_best=3)
    found = beam_search(stepper, [[0], [1]], config=config, constraints=free())
    assert [[(h.ids, h.is_finished) for h in one] for one in found] == [[((), False)], [((2,), False)]]


def test_every_sentence_has_its_own_maximum_length() -> None:
    table = random_table(7, 5, seed=1)
    table[:, EOS] = -math.inf
    config = TranslationConfig(beam_size=3, max_length_factor=1.5, max_length_constant=2)
    sources = [[1], [2, 2, 2], [3, 3], [4, 4, 4, 4]]
    for search in (beam_search, greedy_search):
        found = search(MarkovStepper(table), sources, config=config, constraints=free())
        assert [{len(h.ids) for h in hypotheses} for hypotheses in found] == [{3}, {6}, {5}, {8}]


def test_not_a_number_is_refused() -> None:
    table = random_table(7, 5, seed=1)
    table[3, 2] = math.nan
    for search in (beam_search, greedy_search):
        with pytest.raises(RequestError, match="NaN"):
            search(MarkovStepper(table), [[3]], config=settings(5, beam_size=2), constraints=free())


def test_rows_are_selected_only_when_they_change() -> None:
    stepper = MarkovStepper(random_table(7, 5, seed=1))
    beam_search(stepper, [[1]], config=settings(1, beam_size=3), constraints=free())
    assert stepper.num_selects == 0
    table = torch.tensor([1e-9, 1 - 1e-9], dtype=torch.float64).log().expand(7, 2)
    stepper = MarkovStepper(table)
    beam_search(stepper, [[1], [2]], config=settings(5, beam_size=1), constraints=free())
    assert stepper.num_selects == 0


class TestObserver:
    stepper = MarkovStepper(random_table(31, 11, seed=9))
    config = settings(13, beam_size=3, n_best=3, length_penalty="average")

    def test_changes_nothing(self) -> None:
        plain = beam_search(self.stepper, SOURCES, config=self.config, constraints=free())
        seen = beam_search(self.stepper, SOURCES, config=self.config, constraints=free(), observer=BeamTree())
        assert plain == seen

    def test_tree_contains_the_results_with_the_right_sums(self) -> None:
        tree = BeamTree()
        results = beam_search(self.stepper, SOURCES, config=self.config, constraints=free(), observer=tree)
        assert sorted(tree.expansions) == list(range(len(SOURCES)))
        for sentence, found in enumerate(results):
            ends = {}
            for expansion in tree.expansions[sentence]:
                for candidate in expansion.candidates:
                    ids = (*expansion.rows[candidate.parent].ids, candidate.token)
                    forced = self.stepper.log_probabilities(SOURCES[sentence], ids)
                    assert candidate.log_probability == pytest.approx(sum(forced), abs=1e-12)
                    assert candidate.token_log_probability == pytest.approx(forced[-1], abs=1e-12)
                    if candidate.fate in {Fate.FINISHED, Fate.MAX_LENGTH}:
                        ends[ids] = candidate.log_probability
            for hypothesis in found:
                assert ends[hypothesis.ids] == pytest.approx(hypothesis.log_probability, abs=1e-12)

    def test_live_candidates_are_the_next_rows(self) -> None:
        tree = BeamTree()
        beam_search(self.stepper, SOURCES, config=self.config, constraints=free(), observer=tree)
        for expansions in tree.expansions.values():
            assert [e.step for e in expansions] == list(range(len(expansions)))
            for before, after in pairwise(expansions):
                live = [c for c in before.candidates if c.fate is Fate.LIVE]
                assert [c.row for c in live] == list(range(len(after.rows)))
                grown = [(*before.rows[c.parent].ids, c.token) for c in live]
                assert grown == [row.ids for row in after.rows]
                assert [c.log_probability for c in live] == [row.log_probability for row in after.rows]

    def test_candidates_are_the_best_in_order(self) -> None:
        tree = BeamTree()
        beam_search(self.stepper, [[5]], config=self.config, constraints=free(), observer=tree)
        for expansion in tree.expansions[0]:
            sums = [c.log_probability for c in expansion.candidates]
            assert sums == sorted(sums, reverse=True)
            assert len(sums) == 6
            every = sorted(
                (
                    sum(self.stepper.log_probabilities([5], (*row.ids, token)))
                    for row in expansion.rows
                    for token in range(11)
                ),
                reverse=True,
            )
            assert sums == pytest.approx(every[:6], abs=1e-12)
