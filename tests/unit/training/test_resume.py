"""A run that was stopped goes on as if it had not been: bit for bit, whatever the moments of saves."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pellucid.errors import IncompatibleModelError, InterruptedByUser, StoppedError
from pellucid.training.reporter import StepRecord

from .kit import Listener, equal_weights, reversal_store, run_training, tiny_model


class Stopper(Listener):
    """Sends this process a signal after a step."""

    def __init__(self, step: int, kind: signal.Signals) -> None:
        super().__init__()
        self._step, self._kind = step, kind

    def stepped(self, record: StepRecord) -> None:
        super().stepped(record)
        if record.step == self._step:
            os.kill(os.getpid(), self._kind)


def averages(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / f"step-{step:08d}" / "averages.safetensors")


def steps_in(folder: Path, kind: str = "step") -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def without_times(line: dict[str, object]) -> dict[str, object]:
    return {k: v for k, v in line.items() if "second" not in k}


@pytest.mark.parametrize(
    ("kind", "error"), [(signal.SIGINT, InterruptedByUser), (signal.SIGTERM, StoppedError)], ids=["ctrl-c", "sigterm"]
)
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, kind: signal.Signals, error: type[StoppedError]) -> None:
    whole, model, _ = run_training(tmp_path / "whole", config_early_stopping=3)
    part = tmp_path / "part"
    # At a validation step, in the middle of an epoch, and at an odd place with saves by steps in between.
    for step, changes in ((7, {}), (10, {}), (17, {"config_save_steps": 2})):
        with pytest.raises(error, match="same command continues"):
            run_training(part, reporter=Stopper(step, kind), config_early_stopping=3, **changes)
    result, resumed, listener = run_training(part, config_early_stopping=3)
    assert listener.starts[0].first_step == 17
    assert any("continuing from step 17" in text for text in listener.messages)
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert equal_weights(averages(tmp_path / "whole", 20), averages(part, 20))
    assert (result.steps, result.best, result.best_step) == (whole.steps, whole.best, whole.best_step)
    for lines in ("step", "validation"):
        expected = [without_times(line) for line in steps_in(tmp_path / "whole", lines)]
        assert [without_times(line) for line in steps_in(part, lines)] == expected


def test_a_run_that_mixes_corpora_goes_on_bit_for_bit(tmp_path: Path) -> None:
    store = reversal_store(pairs=83, seed=1)
    store.corpus[31:] = 1
    mixed: dict[str, object] = {"store": store, "corpus_weights": [0.3, 1.7]}
    _, model, whole = run_training(tmp_path / "whole", **mixed)
    for step in (7, 13):
        with pytest.raises(StoppedError):
            run_training(tmp_path / "part", reporter=Stopper(step, signal.SIGTERM), **mixed)
    _, resumed, listener = run_training(tmp_path / "part", **mixed)
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert [r.loss for r in listener.steps] == [r.loss for r in whole.steps[13:]]
    with pytest.raises(IncompatibleModelError, match="corpus_weights"):
        run_training(tmp_path / "part", **(mixed | {"corpus_weights": [0.3, 1.8]}), config_train_steps=21)


def test_a_finished_run_is_finished(tmp_path: Path) -> None:
    _, model, _ = run_training(tmp_path)
    result, again, listener = run_training(tmp_path)
    assert result.steps == 20
    assert not listener.steps
    assert equal_weights(model.state_dict(), again.state_dict())


def test_a_longer_budget_goes_on(tmp_path: Path) -> None:
    run_training(tmp_path, config_train_steps=8)
    result, _, listener = run_training(tmp_path, config_train_steps=12)
    assert [record.step for record in listener.steps] == [9, 10, 11, 12]
    assert result.steps == 12


def test_changes_that_decide_the_result_are_refused_with_all_differences(tmp_path: Path) -> None:
    run_training(tmp_path, config_train_steps=3)
    with pytest.raises(IncompatibleModelError) as caught:
        run_training(tmp_path, config_learning_rate=1e-4, config_seed=5, store=reversal_store(pairs=41, seed=9))
    text = str(caught.value)
    for words in (
        "learning_rate: was 0.003, now 0.0001",
        "seed: was 1, now 5",
        "data.train",
        "--output",
        "save_seconds",
    ):
        assert words in text


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    run_training(tmp_path, config_train_steps=3)
    with pytest.raises(IncompatibleModelError, match="expected"):
        run_training(tmp_path, model=tiny_model(d_feedforward=29))
