"""The moving average is the formula; the mean of checkpoints is their mean; the best are the best."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pellucid.errors import CheckpointError, IncompatibleModelError
from pellucid.training.averaging import MovingAverage, average_weights, decay_at
from pellucid.training.checkpoints import list_checkpoints, step_of

from .kit import equal_weights, run_training, tiny_model


def test_the_average_follows_the_recurrence() -> None:
    model = tiny_model().double()
    average = MovingAverage(model, decay=0.6)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for update in range(1, 9):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update(update)
        decay = min(0.6, (1 + update) / (10 + update))
        expected = {n: decay * expected[n] + (1 - decay) * p.detach() for n, p in model.named_parameters()}
    for name, parameter in average.refresh().named_parameters():
        assert torch.allclose(parameter, expected[name], rtol=1e-12)


def test_the_decay_warms_up() -> None:
    assert decay_at(1, decay=0.998) == pytest.approx(2 / 11)
    assert decay_at(10_000, decay=0.998) == 0.998


def test_an_average_with_a_tail_gives_weights_that_rise_with_the_step() -> None:
    # With a tail of one half, the weights after update t are 2 (i - 1) / (t (t - 1)) for i = 1 ... t.
    model, last = tiny_model().double(), 9
    average = MovingAverage(model, decay=0.0, tail=0.5)
    expected = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for update in range(1, last + 1):
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.add_(torch.randn_like(parameter))
                expected[name] += 2 * (update - 1) / (last * (last - 1)) * parameter
        average.update(update)
    for name, parameter in average.refresh().named_parameters():
        assert torch.allclose(parameter, expected[name], rtol=1e-10)


def test_the_twin_is_a_model_of_its_own_in_evaluation_mode() -> None:
    model = tiny_model().train()
    twin = MovingAverage(model, decay=0.9).refresh()
    assert model.training
    assert not any(module.training for module in twin.modules())
    assert not {id(p) for p in model.parameters()} & {id(p) for p in twin.parameters()}
    assert set(model.state_dict()) == set(twin.state_dict())


def test_without_decay_the_twin_is_the_model_of_the_moment() -> None:
    model = tiny_model()
    average = MovingAverage(model, decay=0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    average.update(1)
    assert equal_weights(average.refresh().state_dict(), model.state_dict())


def test_the_mean_of_checkpoints(tmp_path: Path) -> None:
    run_training(tmp_path, config_train_steps=6, config_save_steps=2, config_keep_checkpoint=5)
    folders = list_checkpoints(tmp_path / "checkpoints")[-3:]
    assert [step_of(folder) for folder in folders] == [2, 4, 6]
    mean = average_weights(folders)
    loaded = [load_file(folder / "weights.safetensors") for folder in folders]
    for name, tensor in mean.items():
        assert tensor.dtype == loaded[0][name].dtype
        exact = torch.stack([weights[name].double() for weights in loaded]).mean(0)
        assert torch.allclose(tensor.double(), exact, rtol=1e-6, atol=1e-8)
    tiny_model().load_state_dict(mean)


def test_nothing_cannot_be_averaged(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="at least one"):
        average_weights([])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: cannot be read"):
        average_weights([tmp_path])


def test_checkpoints_of_two_architectures_are_not_averaged(tmp_path: Path) -> None:
    run_training(tmp_path / "a", config_train_steps=1)
    run_training(tmp_path / "b", config_train_steps=1, model=tiny_model(d_feedforward=29))
    folders = [list_checkpoints(tmp_path / name / "checkpoints")[-1] for name in "ab"]
    with pytest.raises(IncompatibleModelError, match="the same architecture"):
        average_weights(folders)
