"""A trial chooses how steps are made: the fastest way with the numbers of plain steps; what fails is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pellucid.config import StepMethod
from pellucid.runtime import Precision, Runtime
from pellucid.training.averaging import MovingAverage
from pellucid.training.batches import BatchStream, PairWeights
from pellucid.training.gpu import step_choice, step_trial, updater
from pellucid.training.gpu.step_choice import Finding, StepChoice, Trial, choose_steps, try_apart, way_of_run
from pellucid.training.gpu.step_trial import MadeUpStore, findings_of
from pellucid.training.gpu.updater import step_maker
from pellucid.training.inputs import RunInputs
from pellucid.training.packed import reference
from pellucid.training.reporter import SilentReporter
from pellucid.training.update import Launched, StepMaker

from ..kit import RUNTIME, NumberedPieces, reversal_store, run_training, tiny_config, tiny_model, training_config

EAGER, STATIC, GRAPH, COMPILED = StepMethod.EAGER, StepMethod.STATIC, StepMethod.GRAPH, StepMethod.COMPILED
BF16 = Runtime("cpu", Precision.BF16, 1, "as the tests ask")
Launch = Callable[[StepMaker, Sequence[np.ndarray], float], Launched]


@pytest.fixture(autouse=True)
def _short_trials_and_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(step_trial, "_SECONDS", 0.0)
    monkeypatch.setattr(step_trial, "_BATCHES", 3)


def trial_of(*methods: StepMethod, runtime: Runtime = RUNTIME, **changes: object) -> Trial:
    return Trial(
        tiny_config(**changes).model_dump(mode="json"),
        training_config(batch_size=53).model_dump(mode="json"),
        asdict(runtime),
        methods,
    )


def graphs_as(launch: Launch) -> step_trial.Maker:
    """Return a maker whose graphs are static steps, launched in another way."""

    def maker(
        inputs: RunInputs, optimiser: torch.optim.Optimizer, average: MovingAverage, stream: BatchStream
    ) -> StepMaker:
        method = inputs.config.step_method
        config = inputs.config.model_copy(update={"step_method": STATIC}) if method is GRAPH else inputs.config
        made = step_maker(
            replace(inputs, config=config), optimiser=optimiser, average=average, stream=stream, message=lambda _: None
        )
        if method is GRAPH:
            real = made.launch

            class Real:
                lag, method = made.lag, made.method
                launch = staticmethod(real)

            made.launch = lambda rows, *, learning_rate, largest_batch: launch(Real(), rows, learning_rate)  # type: ignore[method-assign]
        return made

    return maker


def plainly(maker: StepMaker, rows: Sequence[np.ndarray], rate: float) -> Launched:
    return maker.launch(rows, learning_rate=rate, largest_batch=None)


def with_the_first_batch_of_a_shape() -> Launch:
    """Launch as a graph that never sees new data."""
    seen: dict[int, Sequence[np.ndarray]] = {}

    def launch(maker: StepMaker, rows: Sequence[np.ndarray], rate: float) -> Launched:
        return plainly(maker, seen.setdefault(len(rows[0]), rows), rate)

    return launch


def with_another_rate(maker: StepMaker, rows: Sequence[np.ndarray], rate: float) -> Launched:
    return plainly(maker, rows, 1.5 * rate)


def with_the_same_dice(maker: StepMaker, rows: Sequence[np.ndarray], rate: float) -> Launched:
    torch.manual_seed(5)
    return plainly(maker, rows, rate)


def with_an_error(maker: StepMaker, rows: Sequence[np.ndarray], rate: float) -> Launched:
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nand more lines")


@pytest.mark.parametrize("runtime", [RUNTIME, BF16], ids=["fp32", "bf16"])
def test_static_steps_and_good_graphs_agree_with_plain_steps(runtime: Runtime) -> None:
    found = list(findings_of(trial_of(STATIC, GRAPH, runtime=runtime), maker=graphs_as(plainly)))
    assert [one.method for one in found] == [EAGER, STATIC, GRAPH]
    assert all(not one.problem and one.milliseconds > 0 for one in found)


@pytest.mark.parametrize("runtime", [RUNTIME, BF16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("spoiled", [with_the_first_batch_of_a_shape, lambda: with_another_rate], ids=["stale", "rate"])
def test_a_way_with_other_numbers_is_left_out_with_its_reason(runtime: Runtime, spoiled: Callable[[], Launch]) -> None:
    found = list(findings_of(trial_of(GRAPH, STATIC, runtime=runtime), maker=graphs_as(spoiled())))
    assert "disagrees with plain steps" in found[1].problem
    assert "weights by " in found[1].problem
    assert StepChoice(tuple(found)).method is not GRAPH
    assert not found[2].problem


@pytest.mark.parametrize("regulariser", [{"simcut": 3.0, "source_word_dropout": 0.1}, {"r_drop": 5.0}])
def test_a_way_with_another_divergence_is_left_out(
    regulariser: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = replace(trial_of(STATIC), training=training_config(batch_size=53, **regulariser).model_dump(mode="json"))
    assert not any(one.problem for one in findings_of(trial))
    real = reference.pair_gradient

    def wrong(*inputs: Tensor, pair: PairWeights, **rest: float) -> tuple[Tensor, Tensor, Tensor]:
        return real(*inputs, pair=pair._replace(forward=2 * pair.forward), **rest)

    monkeypatch.setattr(reference, "pair_gradient", wrong)
    plain, static = findings_of(trial)
    assert not plain.problem
    assert "disagrees with plain steps" in static.problem


def test_a_replay_that_draws_the_same_masks_is_left_out() -> None:
    found = list(findings_of(trial_of(STATIC, GRAPH, dropout=0.3), maker=graphs_as(with_the_same_dice)))
    assert found[2].problem == "draws the same numbers of dropout at every step"
    assert not found[1].problem


def test_a_trial_ends_at_the_way_that_fails() -> None:
    found = list(findings_of(trial_of(GRAPH, STATIC), maker=graphs_as(with_an_error)))
    assert [one.method for one in found] == [EAGER, GRAPH]
    assert found[1].problem == "failed with CUDA error: an illegal memory access was encountered"
    assert found[1].has_failed


def test_every_shape_comes_back_and_every_batch_has_other_sentences() -> None:
    store = MadeUpStore(tiny_config(), rows_of=lambda length: 60 // length)
    shapes = [(len(rows), store.source_lengths[rows].max(), store.target_lengths[rows].max()) for rows in store.plan]
    assert all(shapes.count(shape) == 3 for shape in shapes)
    assert len(set(shapes)) == 3
    assert len(np.concatenate(store.plan)) == len(set(np.concatenate(store.plan))) == len(store)


# The choice


def inputs_of(folder: Path, **changes: object) -> RunInputs:
    store: Any = reversal_store(pairs=5, seed=1)
    pieces: Any = NumberedPieces()
    return RunInputs(
        model=tiny_model(),
        store=store,
        valid_store=store,
        tokenizer=pieces,
        config=training_config(**changes),
        runtime=RUNTIME,
        run_folder=folder,
        settings={},
        reporter=SilentReporter(),
    )


class Trier:
    """Answers from a table, as trial processes would: a list ends with the first failure."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = {found.method: found for found in findings}
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, trial: Trial) -> list[Finding]:
        self.asked.append(trial.methods)
        answer = []
        for method in (EAGER, *trial.methods):
            answer.append(self.findings[StepMethod(method)])
            if answer[-1].has_failed:
                break
        return answer


GOOD = (Finding(EAGER, 15.6), Finding(STATIC, 9.04), Finding(GRAPH, 2.1), Finding(COMPILED, 1.7))


def test_the_fastest_way_is_taken_and_remembered(tmp_path: Path) -> None:
    trier = Trier(*GOOD)
    first = choose_steps(inputs_of(tmp_path), may_compile=False, trier=trier)
    assert first.to_text() == "steps: CUDA graphs, 2.1 ms against 15.6 ms eager, 9.0 ms static shapes (measured now)"
    again = choose_steps(inputs_of(tmp_path), may_compile=False, trier=trier)
    assert again == replace(first, is_remembered=True)
    assert "measured earlier on this machine" in again.to_text()
    assert trier.asked == [(STATIC, GRAPH)]
    choose_steps(inputs_of(tmp_path, batch_size=122), may_compile=False, trier=trier)
    assert choose_steps(inputs_of(tmp_path), may_compile=True, trier=trier).method is COMPILED
    assert trier.asked[1:] == [(STATIC, GRAPH), (STATIC, GRAPH, COMPILED)]


def test_after_a_failure_the_rest_is_tried_in_another_process_and_nothing_is_remembered(tmp_path: Path) -> None:
    trier = Trier(GOOD[0], GOOD[1], Finding(GRAPH, problem="failed with CUDA error", has_failed=True), GOOD[3])
    for _ in range(2):
        choice = choose_steps(inputs_of(tmp_path), may_compile=True, trier=trier)
        assert choice.method is COMPILED
        assert choice.to_text().endswith("(measured now); CUDA graphs left out: failed with CUDA error")
    assert trier.asked == 2 * [(STATIC, GRAPH, COMPILED), (COMPILED,)]


def test_without_plain_steps_there_is_no_trial(tmp_path: Path) -> None:
    trier = Trier(Finding(EAGER, problem="failed, it did not end in time", has_failed=True))
    choice = choose_steps(inputs_of(tmp_path), may_compile=False, trier=trier)
    assert choice.method is EAGER
    assert choice.to_text() == "steps: eager (measured now); eager left out: failed, it did not end in time"


@pytest.mark.parametrize("content", [b"", b"[1]", b"{}"])
def test_a_damaged_record_is_measured_again(tmp_path: Path, content: bytes) -> None:
    trier = Trier(*GOOD)
    choose_steps(inputs_of(tmp_path), may_compile=False, trier=trier)
    (record,) = tmp_path.glob("cache/steps-*.json")
    record.write_bytes(content)
    assert not choose_steps(inputs_of(tmp_path), may_compile=False, trier=trier).is_remembered
    assert len(trier.asked) == 2


def test_a_run_keeps_the_way_that_it_began_with(tmp_path: Path) -> None:
    gpu = Runtime("cuda", Precision.FP32, 1, "for the test")
    assert way_of_run(tmp_path, RUNTIME) is None
    slow = (GOOD[0], Finding(STATIC, 20.0), Finding(GRAPH, 19.0))
    for way, method in (("eager", EAGER), ("static", GRAPH)):
        folder = tmp_path / way
        run_training(folder, config_step_method=way, config_train_steps=2)
        assert way_of_run(folder, RUNTIME) == way
        assert way_of_run(folder, gpu) is None
        assert choose_steps(inputs_of(folder), may_compile=True, trier=Trier(*slow)).method is method
    assert "as this run began" in choose_steps(inputs_of(tmp_path / "eager"), may_compile=True).to_text()


@pytest.mark.slow
def test_a_trial_in_another_process_leaves_the_dice_alone(tmp_path: Path) -> None:
    inputs = inputs_of(tmp_path)
    dice = torch.get_rng_state()
    choice = choose_steps(inputs, may_compile=False, methods=(STATIC,))
    assert [found.problem for found in choice.findings] == ["", ""]
    assert torch.equal(dice, torch.get_rng_state())
    assert choose_steps(inputs, may_compile=False, methods=(STATIC,)).is_remembered


@pytest.mark.parametrize(
    ("code", "words", "seconds"),
    [
        ("import os; os._exit(3)", "ended with status 3", 60.0),
        ("raise ValueError('no device')", r"status 1 \(ValueError: no device\)", 60.0),
        ("import time; time.sleep(60)", "did not end in time", 0.3),
    ],
)
def test_a_process_that_ends_early_is_a_finding(
    code: str, words: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_choice, "_CODE", code)
    monkeypatch.setattr(step_choice, "_MOST_SECONDS", seconds)
    (found,) = try_apart(trial_of(STATIC))
    assert found.has_failed
    assert found.method is EAGER
    assert re.search(words, found.problem)


def test_a_processor_and_a_given_method_need_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updater, "choose_steps", lambda *_, **__: pytest.fail("there is nothing to choose"))
    for method in ("auto", "static"):
        run_training(tmp_path / method, config_step_method=method, config_train_steps=2)
