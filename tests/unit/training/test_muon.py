"""Muon equals a reference in NumPy, changes the matrices of the stacks only, and resumes bit for bit."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.errors import InterruptedByUser
from pellucid.training.muon import StackedMuon
from pellucid.training.optimisation import make_optimiser, moments_of, set_learning_rate
from pellucid.training.processes.ranks import ONE_PROCESS, Ranks

from .kit import equal_weights, run_training, tiny_model, training_config
from .test_resume import Stopper


def nearly_orthogonal(matrix: np.ndarray) -> np.ndarray:
    """Five quintic Newton-Schulz iterations (Jordan et al. 2024): singular values go to about 1, in float64."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def gradients(steps: int, rows: int, columns: int) -> list[np.ndarray]:
    generator = np.random.default_rng(7)
    return [generator.normal(size=(rows, columns)) for _ in range(steps)]


@pytest.mark.parametrize(("rows", "columns"), [(11, 23), (23, 11), (13, 13)])
def test_a_step_is_the_orthogonal_momentum_with_the_size_of_an_adam_step(rows: int, columns: int) -> None:
    config = training_config(optimizer="muon", muon_momentum=0.9, muon_weight_decay=0.1)
    linear = nn.Linear(columns, rows).double()
    expected, mean = linear.weight.detach().numpy().copy(), np.zeros((rows, columns))
    optimiser = make_optimiser(linear, config=config)
    for gradient in gradients(3, rows, columns):
        linear.weight.grad = torch.from_numpy(gradient)
        set_learning_rate(optimiser, 0.01)
        optimiser.step()
        mean = 0.9 * mean + 0.1 * gradient
        looking_ahead = 0.9 * mean + 0.1 * gradient
        step = 0.2 * max(rows, columns) ** 0.5 * nearly_orthogonal(looking_ahead)
        expected = expected * (1 - 0.01 * 0.1) - 0.01 * step
        # Torch iterates in bfloat16, so a step is right to about a hundredth.
        moved = np.linalg.norm(0.01 * step)
        assert np.linalg.norm(linear.weight.detach().numpy() - expected) < 0.03 * moved
        expected = linear.weight.detach().numpy().copy()
        # The root mean square of the step of Adam is about 0.2 to 0.4 of its rate (Liu et al. 2025).
        assert 0.1 < moved / 0.01 / (rows * columns) ** 0.5 < 0.4


def test_matrices_of_one_shape_together_get_the_steps_that_torch_gives_them_one_by_one() -> None:
    shapes = [(11, 23), (13, 13), (23, 11), (11, 23), (13, 13), (5, 7)]
    ours, theirs = ([nn.Parameter(torch.full(shape, 0.5)) for shape in shapes] for _ in range(2))
    settings = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}
    optimisers = [StackedMuon(ours, **settings), torch.optim.Muon(theirs, **settings, adjust_lr_fn="match_rms_adamw")]
    for step in range(3):
        for pair in zip(ours, theirs, strict=True):
            gradient = torch.from_numpy(gradients(step + 1, *pair[0].shape)[-1]).float()
            for weight in pair:
                weight.grad = gradient.clone()
        ours[-1].grad = theirs[-1].grad = None  # of a part that a step does not use
        for optimiser in optimisers:
            optimiser.step()
    for mine, other in zip(ours[:-1], theirs[:-1], strict=True):
        moved = torch.linalg.vector_norm(other - 0.5)
        assert moved > 0.01
        assert torch.linalg.vector_norm(mine - other) < 0.01 * moved
    assert torch.equal(ours[-1], torch.full((5, 7), 0.5))


def test_queries_keys_and_values_are_orthogonal_apart_and_tables_norms_and_biases_have_adam() -> None:
    model = tiny_model()
    kept = moments_of(make_optimiser(model, config=training_config(optimizer="muon")))
    by_muon = {name for name, weight in model.named_parameters() if kept[weight] == ("momentum_buffer",)}
    linear = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert by_muon == linear
    assert {f"decoder.layers.0.cross_attention.{part}.weight" for part in ("queries", "keys", "values")} <= by_muon
    assert len(kept) == len(list(model.parameters()))
    for name, weight in model.named_parameters():
        if name in by_muon:
            assert max(weight.shape) <= 19, "no table, and no matrix that holds several"


def test_the_others_change_as_with_adam_alone() -> None:
    found = []
    for optimizer in ("adam", "muon"):
        model = tiny_model()
        optimiser = make_optimiser(model, config=training_config(optimizer=optimizer))
        torch.manual_seed(5)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        set_learning_rate(optimiser, 0.01)
        optimiser.step()
        found.append((model.state_dict(), moments_of(optimiser), dict(model.named_parameters())))
    (adam, *_), (muon, kept, parameters) = found
    for name in adam:
        has_adam = kept[parameters[name]] != ("momentum_buffer",)
        assert torch.equal(adam[name], muon[name]) is has_adam, name


def test_the_matrices_can_have_a_rate_of_their_own() -> None:
    config = training_config(optimizer="muon", learning_rate=1e-3, muon_learning_rate=5e-3)
    optimiser = make_optimiser(tiny_model(), config=config)
    set_learning_rate(optimiser, 2e-4)
    rates = {"momentum" in group: group["lr"] for group in optimiser.param_groups}
    assert rates == {True: pytest.approx(1e-3), False: pytest.approx(2e-4)}


def test_a_run_with_muon_goes_on_bit_for_bit(tmp_path: Path) -> None:
    _, model, listener = run_training(tmp_path / "whole", config_optimizer="muon")
    with pytest.raises(InterruptedByUser):
        run_training(tmp_path / "part", config_optimizer="muon", reporter=Stopper(9, signal.SIGINT))
    _, resumed, _ = run_training(tmp_path / "part", config_optimizer="muon")
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert listener.steps[-1].loss < listener.steps[0].loss


class InTurns(Ranks):
    """A process of two, played by a thread."""

    count = 2

    def __init__(self, rank: int, sent: list[torch.Tensor | None], both: threading.Barrier) -> None:
        self.rank, self._sent, self._both = rank, sent, both

    def from_each(self, own: torch.Tensor) -> list[torch.Tensor]:
        self._sent[self.rank] = own
        self._both.wait(60)
        found = [tensor for tensor in self._sent if tensor is not None]
        self._both.wait(60)
        return found


def test_processes_that_share_the_work_get_the_weights_of_one() -> None:
    shapes = [(11, 23), (13, 13), (23, 11), (11, 23), (13, 13), (13, 13), (5, 7)]
    models = [nn.ModuleList([nn.Linear(columns, rows) for rows, columns in shapes]) for _ in range(3)]
    for model in models[1:]:
        model.load_state_dict(models[0].state_dict())
    config = training_config(optimizer="muon")
    sent, both = [None, None], threading.Barrier(2)
    processes = [ONE_PROCESS, InTurns(0, sent, both), InTurns(1, sent, both)]
    optimisers = [make_optimiser(model, config=config, ranks=one) for model, one in zip(models, processes, strict=True)]
    for step in range(3):
        for place, weights in enumerate(zip(*(model.parameters() for model in models), strict=True)):
            torch.manual_seed(100 * step + place)
            gradient = torch.randn(weights[0].shape)
            for weight in weights:
                weight.grad = gradient.clone()
        with ThreadPoolExecutor(3) as threads:
            for done in [threads.submit(optimiser.step) for optimiser in optimisers]:
                done.result()
        for model in models[1:]:
            assert equal_weights(models[0].state_dict(), model.state_dict())
