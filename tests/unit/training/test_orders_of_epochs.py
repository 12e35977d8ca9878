"""The order of an epoch takes seconds with millions of pairs, so only epochs that have a step are ordered, and once."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from pellucid.errors import StoppedError
from pellucid.training import batches

from .kit import equal_weights, reversal_store, run_training
from .sampled import sampled_inputs
from .test_resume import Stopper
from .test_strangers_checkpoint import change

PAIRS = len(reversal_store(pairs=83, seed=1))


@pytest.fixture
def ordered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epochs of the training text that are ordered, in turn."""
    epochs: list[int] = []
    real = batches.epoch_batches

    def counted(lengths: Any, *arguments: Any, epoch: int, **settings: Any) -> Any:
        if len(lengths) == PAIRS:
            epochs.append(epoch)
        return real(lengths, *arguments, epoch=epoch, **settings)

    monkeypatch.setattr(batches, "epoch_batches", counted)
    return epochs


@pytest.mark.parametrize("method", ["eager", "static"])
def test_a_run_that_goes_on_orders_no_epoch_before_its_own(tmp_path: Path, ordered: list[int], method: str) -> None:
    settings = {"config_step_method": method, "config_batch_size": 149, "config_train_steps": 15}
    _, model, whole = run_training(tmp_path / "whole", **settings)
    last = whole.steps[-1].epoch
    assert last >= 2
    assert ordered == list(range(last + 1))
    begins = next(record.step for record in whole.steps if record.epoch == 2) + 1
    with pytest.raises(StoppedError):
        run_training(tmp_path / "part", reporter=Stopper(begins, signal.SIGTERM), **settings)
    ordered.clear()
    _, resumed, listener = run_training(tmp_path / "part", **settings)
    assert ordered == list(range(2, last + 1))
    assert listener.starts[0].batches_per_epoch == whole.starts[0].batches_per_epoch
    assert equal_weights(model.state_dict(), resumed.state_dict())


def test_a_run_orders_no_epoch_after_its_last_one(tmp_path: Path, ordered: list[int]) -> None:
    settings: dict[str, object] = {"config_train_steps": None, "config_max_epochs": 2, "config_valid_steps": 5}
    result, _, _ = run_training(tmp_path, **settings)
    assert (result.epochs, ordered) == (2.0, [0, 1])
    ordered.clear()
    again, _, _ = run_training(tmp_path, **settings)
    assert (again.epochs, ordered) == (2.0, [])


def test_a_checkpoint_of_an_earlier_version_goes_on_alike(tmp_path: Path, ordered: list[int]) -> None:
    _, model, _ = run_training(tmp_path / "whole")
    with pytest.raises(StoppedError):
        run_training(tmp_path / "part", reporter=Stopper(13, signal.SIGTERM))
    state = tmp_path / "part" / "checkpoints" / "step-00000013" / "state.json"
    table = json.loads(state.read_text())
    for name in ("batches_of_first_epoch", "shapes"):
        del table["state"][name]
    change(state.parent, "state.json", json.dumps(table).encode())
    ordered.clear()
    _, resumed, _ = run_training(tmp_path / "part")
    assert ordered[0] == 0
    assert equal_weights(model.state_dict(), resumed.state_dict())


def test_a_later_epoch_of_sampled_pieces_draws_no_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: dict[str, object] = {
        "config_source_subword_alpha": 0.2, "config_target_subword_alpha": 0.3, "config_batch_size": 160,
        "config_train_steps": None, "config_max_epochs": 3,
    }  # fmt: skip
    inputs = sampled_inputs(tmp_path / "text")
    with pytest.raises(StoppedError):
        run_training(tmp_path / "run", reporter=Stopper(9, signal.SIGTERM), **sampled, **inputs)
    drawn: list[int] = []
    again = sampled_inputs(tmp_path / "text")
    real = again["sampler"].epoch
    monkeypatch.setattr(again["sampler"], "epoch", lambda epoch: drawn.append(epoch) or real(epoch))
    run_training(tmp_path / "run", **sampled, **again)
    assert drawn[0] > 0
    assert drawn == list(range(drawn[0], 3))
