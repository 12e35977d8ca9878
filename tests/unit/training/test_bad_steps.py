"""Numbers that are not finite never reach the weights; many in a row go back; many returns end with a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pellucid.errors import TrainingError
from pellucid.model.transformer import Transformer
from pellucid.training.checkpoints import list_checkpoints, step_of

from . import kit
from .kit import Listener, equal_weights, tiny_model

run_training = partial(kit.run_training, config_step_method="eager")
"""By steps whose model a test can spoil."""


class _Poison(torch.autograd.Function):
    """The identity with a gradient that is not finite."""

    @staticmethod
    def forward(ctx: object, hidden: Tensor) -> Tensor:
        return hidden.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * float("inf")


def spoil(model: Transformer, when: Callable[[int], bool], *, gradient_only: bool = False) -> Transformer:
    """Make the model's training passes of some numbers, from 1, not finite."""
    real, count = model.project, 0

    def project(hidden: Tensor, **rest: object) -> Tensor:
        nonlocal count
        if torch.is_grad_enabled():
            count += 1
            if when(count):
                hidden = _Poison.apply(hidden) if gradient_only else hidden * float("nan")
        return real(hidden, **rest)  # type: ignore[arg-type]

    nn.Module.__setattr__(model, "project", project)
    return model


def journal_of(folder: Path, kind: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


@pytest.mark.parametrize("gradient_only", [False, True], ids=["loss", "gradient"])
def test_a_bad_step_changes_nothing_but_the_count(tmp_path: Path, gradient_only: bool) -> None:
    model = spoil(tiny_model(), lambda n: n == 4, gradient_only=gradient_only)
    weights: list[dict[str, Tensor]] = []

    class Watcher(Listener):
        def stepped(self, record: object) -> None:
            super().stepped(record)  # type: ignore[arg-type]
            weights.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    result, _, listener = run_training(tmp_path, model=model, reporter=Watcher(), config_train_steps=6)
    assert result.skipped_steps == 1
    assert result.steps == 6
    assert equal_weights(weights[2], weights[3])
    assert not equal_weights(weights[3], weights[4])
    assert all(torch.isfinite(tensor).all() for tensor in weights[-1].values())
    skipped = [record.step for record in listener.steps if record.skipped]
    assert skipped == [4] == [line["step"] for line in journal_of(tmp_path, "step") if line.get("skipped")]


def test_many_bad_steps_go_back_and_on_with_later_data(tmp_path: Path) -> None:
    model = spoil(tiny_model(), lambda n: 6 <= n <= 8)
    result, _, listener = run_training(
        tmp_path, model=model, config_train_steps=10, config_max_bad_steps=3, config_save_steps=2
    )
    assert (result.steps, result.rollbacks, result.skipped_steps) == (10, 1, 3)
    # Steps 6, 7 and 8 were bad; the checkpoint before them is that of step 4.
    assert [record.step for record in listener.steps] == [1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 9, 10]
    before, after = listener.steps[4], listener.steps[8]
    assert before.step == after.step == 5
    assert after.learning_rate == pytest.approx(before.learning_rate / 2)
    assert [line["step"] for line in journal_of(tmp_path, "step")] == list(range(1, 11))
    (back,) = journal_of(tmp_path, "rollback")
    assert (back["step"], back["from_step"]) == (4, 8)
    assert [bad["step"] for bad in back["bad"]] == [6, 7, 8]  # type: ignore[attr-defined]
    assert all(bad["rows"] for bad in back["bad"])  # type: ignore[attr-defined]
    position = result.epochs
    plain, _, _ = run_training(tmp_path / "plain", config_train_steps=14)
    assert position == pytest.approx(plain.epochs)  # 14 batches were used up for 10 steps


def test_going_back_twice_without_progress_goes_further(tmp_path: Path) -> None:
    model = spoil(tiny_model(), lambda n: 6 <= n <= 8 or 9 <= n <= 11)
    _, _, listener = run_training(
        tmp_path, model=model, config_train_steps=10, config_max_bad_steps=3, config_save_steps=2
    )
    steps = [record.step for record in listener.steps]
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 3, 4, 5, 6, 7, 8, 9, 10]


def test_numbers_that_stay_bad_end_with_a_report(tmp_path: Path) -> None:
    model = spoil(tiny_model(), lambda n: n > 4)
    with pytest.raises(TrainingError, match=r"(?s)3 steps in a row.*after 2 returns.*bad-steps\.json") as caught:
        run_training(tmp_path, model=model, config_max_bad_steps=3, config_save_steps=2, config_max_rollbacks=2)
    assert "learning_rate" in str(caught.value)
    report = json.loads((tmp_path / "bad-steps.json").read_text())
    assert len(report["steps"]) == 3
    assert {"step", "epoch", "batch", "reason", "rows"} <= set(report["steps"][0])
    # What is kept is from before the trouble, and whole.
    folders = list_checkpoints(tmp_path / "checkpoints")
    assert folders
    assert all(step_of(folder) <= 4 for folder in folders)


def test_no_checkpoint_is_written_amid_bad_steps(tmp_path: Path) -> None:
    model = spoil(tiny_model(), lambda n: 4 <= n <= 6)
    _, _, listener = run_training(tmp_path, model=model, config_train_steps=8, config_save_steps=1)
    assert not {4, 5, 6} & {record.step for record in listener.saves}
