from __future__ import annotations

import math

import pytest
import torch
from tests.models import random_model

from pellucid.errors import IncompatibleModelError
from pellucid.model.transformer import Transformer
from pellucid.translation.beam import StopRule, beam_search
from pellucid.translation.constraints import Constraints
from pellucid.translation.greedy import greedy_search
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.placeholders.attention import attention_of
from pellucid.translation.sampling import sample
from pellucid.translation.scoring import forced_log_probabilities, forced_log_probabilities_by_steps
from pellucid.translation.stepper import EnsembleStepper, ModelStepper

from .markov import MarkovStepper, free, random_table, settings

PAD, UNK, BOS, EOS = 0, 1, 2, 3
VOCAB = 19
SOURCES = [[7, 11, 5, EOS], [13, EOS], [4, 4, 9, 17, 6, EOS], [8, 10, EOS]]
RULES = Constraints(eos_id=EOS, forbidden_ids=(PAD, BOS))


def small_model(seed: int, **changes: object) -> Transformer:
    shape = {"d_model": 14, "num_heads": 7, "num_encoder_layers": 2, "num_decoder_layers": 3}
    shape |= {"max_positions": 31, "output_bias": True} | changes
    return random_model(vocabulary=VOCAB, seed=seed, noise=0.3, dtype=torch.float64, **shape)


def same(first: list[list[Hypothesis]], second: list[list[Hypothesis]]) -> None:
    for hypotheses, others in zip(first, second, strict=True):
        assert [h.ids for h in hypotheses] == [h.ids for h in others]
        for one, other in zip(hypotheses, others, strict=True):
            assert one.token_log_probabilities == pytest.approx(other.token_log_probabilities, abs=1e-10)


@pytest.mark.parametrize("start", ["bos", "pad", "zero_vector"])
@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_search_score_is_forced_score(start: str, norm_order: str) -> None:
    model = small_model(1, decoder_start=start, norm_order=norm_order)
    config = settings(13, beam_size=4, n_best=4)
    found = beam_search(ModelStepper(model), SOURCES, config=config, constraints=RULES, stop=StopRule.EXACT)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        forced = forced_log_probabilities([model], [source] * 4, [h.ids for h in hypotheses])
        for hypothesis, terms in zip(hypotheses, forced, strict=True):
            assert hypothesis.token_log_probabilities == pytest.approx(terms, abs=1e-10)


@pytest.mark.parametrize("search", [beam_search, greedy_search, sample])
def test_batched_is_alone(search: type) -> None:
    model = small_model(2)
    config = settings(13, sampling=True, n_best=3) if search is sample else settings(13, beam_size=3)
    together = search(ModelStepper(model), SOURCES, config=config, constraints=RULES)
    alone = [search(ModelStepper(model), [s], config=config, constraints=RULES)[0] for s in SOURCES]
    same(together, alone)


def test_beam_one_is_greedy() -> None:
    model, config = small_model(3), settings(13, beam_size=1)
    same(
        beam_search(ModelStepper(model), SOURCES, config=config, constraints=RULES),
        greedy_search(ModelStepper(model), SOURCES, config=config, constraints=RULES),
    )


def test_rows_go_on_as_themselves_after_any_selection() -> None:
    model = small_model(4)
    stepper = ModelStepper(model)
    targets = [[5, 9, 4], [6, 6, 8], [12, 5, 5], [7, 18, 11]]
    with torch.inference_mode():
        stepper.start(SOURCES)
        stepper.step(None)
        stepper.step(torch.tensor([row[0] for row in targets]))
        order = [2, 0, 0, 3]  # one dropped, one twice, one moved
        stepper.select(torch.tensor(order))
        stepper.step(torch.tensor([targets[row][1] for row in order]))
        order = [order[place] for place in (3, 1)]
        stepper.select(torch.tensor([3, 1]))
        found = stepper.step(torch.tensor([targets[row][2] for row in order]))
        for row, log_probabilities in zip(order, found, strict=True):
            whole = model(torch.tensor([SOURCES[row]]), torch.tensor([[model.start_id, *targets[row]]]))
            expected = torch.log_softmax(whole[0, -1], dim=-1)
            torch.testing.assert_close(log_probabilities, expected, atol=1e-10, rtol=0)


def test_log_probabilities_are_single_precision_at_least() -> None:
    stepper = ModelStepper(small_model(4).bfloat16())
    with torch.inference_mode():
        stepper.start(SOURCES)
        found = stepper.step(None)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(len(SOURCES)))


def test_a_model_in_training_mode_is_refused() -> None:
    model = small_model(5).train()
    with pytest.raises(ValueError, match=r"model.eval\(\)"):
        ModelStepper(model).start(SOURCES)
    with pytest.raises(ValueError, match=r"model.eval\(\)"):
        forced_log_probabilities([model], SOURCES, SOURCES)


def test_stepping_before_a_start_is_refused() -> None:
    with pytest.raises(ValueError, match="start"):
        ModelStepper(small_model(5)).step(None)


def test_search_ends_where_positions_end() -> None:
    config = settings(500, beam_size=2)
    rules = Constraints(eos_id=EOS, min_length=400)
    for (hypothesis,) in beam_search(ModelStepper(small_model(6)), SOURCES, config=config, constraints=rules):
        assert (len(hypothesis.ids), hypothesis.is_finished) == (31, False)


class TestEnsemble:
    tables = (random_table(7, 5, seed=1), random_table(7, 5, seed=2))
    sources = ([3], [5], [6])

    def test_is_the_mean_of_probabilities(self) -> None:
        mean = (self.tables[0].exp() + self.tables[1].exp()).div(2).log()
        config = settings(11, beam_size=3, n_best=3)
        ensemble = EnsembleStepper([MarkovStepper(table) for table in self.tables])
        same(
            beam_search(ensemble, self.sources, config=config, constraints=free()),
            beam_search(MarkovStepper(mean), self.sources, config=config, constraints=free()),
        )

    def test_of_one_changes_nothing(self) -> None:
        model, config = small_model(7), settings(11, beam_size=3)
        same(
            beam_search(EnsembleStepper([ModelStepper(model)]), SOURCES, config=config, constraints=RULES),
            beam_search(ModelStepper(model), SOURCES, config=config, constraints=RULES),
        )

    def test_search_score_is_forced_score(self) -> None:
        models, config = [small_model(8), small_model(9)], settings(11, beam_size=3)
        ensemble = EnsembleStepper([ModelStepper(model) for model in models])
        found = beam_search(ensemble, SOURCES, config=config, constraints=RULES)
        forced = forced_log_probabilities(models, SOURCES, [hypothesis.ids for (hypothesis,) in found])
        for (hypothesis,), terms in zip(found, forced, strict=True):
            assert hypothesis.token_log_probabilities == pytest.approx(terms, abs=1e-10)

    def test_strangers_are_refused(self) -> None:
        strangers = [MarkovStepper(random_table(7, 5, seed=1)), MarkovStepper(random_table(7, 3, seed=1))]
        with pytest.raises(IncompatibleModelError, match=r"3 pieces .* 5 pieces"):
            EnsembleStepper(strangers)
        with pytest.raises(ValueError, match="at least one"):
            EnsembleStepper([])


def test_forced_scores_by_steps_are_those_of_one_pass() -> None:
    models = [small_model(10), small_model(11)]
    targets = [[5, 9, EOS], [EOS], [12, 5, 5, 6, 17, EOS], [7, EOS]]
    whole = forced_log_probabilities(models, SOURCES, targets)
    stepper = EnsembleStepper([ModelStepper(model) for model in models])
    by_steps = forced_log_probabilities_by_steps(stepper, SOURCES, targets)
    for one, other in zip(whole, by_steps, strict=True):
        assert one == pytest.approx(other, abs=1e-10)


def test_forced_scores_of_a_table() -> None:
    stepper = MarkovStepper(random_table(7, 5, seed=3))
    targets = [[1, 0], [2, 3, 4, 0], [0]]
    found = forced_log_probabilities_by_steps(stepper, [[3], [5], [6]], targets)
    for source, target, terms in zip([[3], [5], [6]], targets, found, strict=True):
        assert terms == pytest.approx(stepper.log_probabilities(source, target), abs=1e-12)
    assert all(math.isfinite(term) for terms in found for term in terms)


def test_the_attention_of_steps_is_that_of_a_full_pass() -> None:
    model = small_model(3)
    stepper = ModelStepper(model, has_attention=True)
    targets = [[7, 5, 11], [4, 9, 9], [13, 8, 6], [5, 5, 17]]
    stepper.start(SOURCES)
    found = []
    for step in range(4):
        last = None if step == 0 else torch.tensor([row[step - 1] for row in targets])
        stepper.step(last)
        found.append(stepper.attention())
    wanted = [attention_of(model)(source, [*row, EOS]) for source, row in zip(SOURCES, targets, strict=True)]
    for row, weights in enumerate(wanted):
        for step, expected in enumerate(weights):
            own = found[step]
            assert own is not None
            assert own[row, : len(expected)].tolist() == pytest.approx(expected, abs=1e-12)
            assert own[row].sum() == pytest.approx(1)


def test_attention_follows_the_rows_that_are_selected() -> None:
    stepper = ModelStepper(small_model(3), has_attention=True)
    stepper.start(SOURCES)
    stepper.step(None)
    stepper.select(torch.tensor([2, 2, 0]))
    stepper.step(torch.tensor([5, 7, 5]))
    alone = ModelStepper(small_model(3), has_attention=True)
    alone.start([SOURCES[2]])
    alone.step(None)
    alone.step(torch.tensor([7]))
    both = stepper.attention(), alone.attention()
    assert both[0] is not None
    assert both[1] is not None
    assert both[0][1].tolist() == pytest.approx(both[1][0].tolist(), abs=1e-12)
    ensemble = EnsembleStepper(
        [ModelStepper(small_model(3), has_attention=True), MarkovStepper(random_table(5, VOCAB, seed=1), eos_id=EOS)]
    )
    ensemble.start(SOURCES)
    ensemble.step(None)
    assert ensemble.attention() is None
