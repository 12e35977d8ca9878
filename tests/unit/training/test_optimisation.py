"""Schedules, Adam, clipping, and that several small batches equal a large one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.config import DecayMethod
from pellucid.training.batches import BatchStream
from pellucid.training.optimisation import Progress, clip_gradients, gradient_norm, learning_rate_at, make_optimiser
from pellucid.training.processes.ranks import Ranks
from pellucid.training.update import StepOutcome, Updater

from .kit import RUNTIME, SPECIALS, reversal_store, tiny_model, training_config


def rates(steps: int, **changes: object) -> list[float]:
    """Rates of a run of so many steps."""
    config = training_config(train_steps=steps, **changes)
    warm = config.warmup_steps / steps
    return [
        learning_rate_at(Progress(s, (s - 1) / steps, warm), config=config, d_model=512) for s in range(1, steps + 1)
    ]


def test_noam_is_the_formula_of_the_paper() -> None:
    found = rates(9000, decay_method=DecayMethod.NOAM, warmup_steps=4000, learning_rate=1.0)
    for step in (1, 1999, 4000, 8999):
        assert found[step - 1] == pytest.approx(512**-0.5 * min(step**-0.5, step * 4000**-1.5), rel=1e-12)
    assert np.argmax(found) == 3999


@pytest.mark.parametrize("method", sorted(set(DecayMethod) - {DecayMethod.NOAM}))
def test_the_peak_is_the_stated_rate_at_the_end_of_the_warm_up(method: DecayMethod) -> None:
    found = rates(1000, decay_method=method, warmup_steps=100, learning_rate=7e-4)
    assert max(found) == pytest.approx(7e-4, rel=1e-9)
    assert found[99] == pytest.approx(7e-4, rel=1e-9)
    assert found[:100] == pytest.approx([7e-4 * s / 100 for s in range(1, 101)], rel=1e-9)


def test_inverse_square_root() -> None:
    found = rates(1000, decay_method=DecayMethod.INVERSE_SQRT, warmup_steps=100, learning_rate=1e-3)
    assert found[399] == pytest.approx(0.5e-3, rel=1e-9)


def test_linear_to_zero_falls_in_a_straight_line_and_ends_just_above_zero() -> None:
    found = rates(500, decay_method=DecayMethod.LINEAR_TO_ZERO, warmup_steps=100, learning_rate=1e-3)
    falls = np.diff(found[101:])
    assert falls == pytest.approx([falls[0]] * len(falls), rel=1e-6)
    assert found[-1] == pytest.approx(1e-3 / 400, rel=1e-9)
    assert found[-1] + falls[0] == pytest.approx(0, abs=1e-12)


def test_the_cosine_passes_the_half_in_the_middle_of_its_fall_and_ends_at_zero() -> None:
    found = rates(1000, decay_method=DecayMethod.COSINE_TO_ZERO, warmup_steps=200, learning_rate=1e-3)
    for part in (0.25, 0.5, 0.75):
        step = round(1000 * (0.2 + 0.8 * part)) + 1
        assert found[step - 1] == pytest.approx(1e-3 * (1 + np.cos(np.pi * part)) / 2, rel=1e-9)
    assert found[-1] < 1e-7


def test_stable_then_linear_stays_at_the_peak_until_the_last_share() -> None:
    settings = {"decay_method": DecayMethod.STABLE_THEN_LINEAR, "decay_share": 0.3, "learning_rate": 1e-3}
    found = rates(1000, warmup_steps=100, **settings)
    assert found[99:700] == pytest.approx([1e-3] * 601, rel=1e-9)
    assert found[850] == pytest.approx(0.5e-3, rel=1e-9)
    assert found[-1] == pytest.approx(1e-3 / 300, rel=1e-6)


def test_a_warm_up_longer_than_half_the_budget_still_ends_at_zero() -> None:
    found = rates(100, decay_method=DecayMethod.LINEAR_TO_ZERO, warmup_steps=4000, learning_rate=1e-3)
    assert found[-1] < max(found)
    late = learning_rate_at(Progress(100, 1.0), config=training_config(train_steps=100, warmup_steps=4000), d_model=512)
    assert late == 0


def test_no_warm_up_is_allowed() -> None:
    for method in DecayMethod:
        assert all(rate > 0 for rate in rates(20, decay_method=method, warmup_steps=0))


def test_adam_is_the_adam_of_the_paper() -> None:
    config = training_config(adam_beta1=0.9, adam_beta2=0.98, adam_epsilon=1e-9)
    weight = torch.nn.Parameter(torch.randn(3, 5, dtype=torch.float64))
    optimiser = make_optimiser(nn.ParameterList([weight]), config=config)
    value, first, second = weight.detach().clone(), torch.zeros(3, 5), torch.zeros(3, 5)
    for step in range(1, 5):
        weight.grad = torch.randn(3, 5, dtype=torch.float64)
        first = 0.9 * first + 0.1 * weight.grad
        second = 0.98 * second + 0.02 * weight.grad**2
        value -= config.learning_rate * (first / (1 - 0.9**step)) / ((second / (1 - 0.98**step)).sqrt() + 1e-9)
        optimiser.step()
    assert torch.allclose(weight, value, rtol=1e-10)


def test_weight_decay_is_decoupled_and_spares_vectors() -> None:
    config = training_config(weight_decay=0.1, learning_rate=0.5)
    matrix, vector = torch.nn.Parameter(torch.ones(2, 3)), torch.nn.Parameter(torch.ones(5))
    optimiser = make_optimiser(nn.ParameterList([matrix, vector]), config=config)
    for parameter in (matrix, vector):
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    assert torch.allclose(matrix, torch.full((2, 3), 1 - 0.5 * 0.1))
    assert torch.equal(vector, torch.ones(5))


def test_clipping_scales_all_gradients_together() -> None:
    gradients = [torch.randn(3, 5), torch.randn(7)]
    flat = torch.cat([g.flatten() for g in gradients])
    norm = gradient_norm(gradients)
    assert norm.item() == pytest.approx(flat.norm().item(), rel=1e-6)
    clip_gradients(gradients, norm.item(), max_norm=0.25)
    assert torch.allclose(torch.cat([g.flatten() for g in gradients]), flat * (0.25 / flat.norm()), rtol=1e-5)
    before = [g.clone() for g in gradients]
    clip_gradients(gradients, 0.25, max_norm=0.0)
    clip_gradients(gradients, 0.25, max_norm=0.3)
    assert all(torch.equal(one, other) for one, other in zip(gradients, before, strict=True))


def one_step(rows: list[np.ndarray], **changes: object) -> tuple[dict[str, torch.Tensor], StepOutcome, list[str]]:
    """Take a step on batches, in float64 without dropout, and return the new weights."""
    model = tiny_model(dropout=0.0).double().train()
    config = training_config(**changes)
    stream = BatchStream(
        reversal_store(pairs=29, seed=6),  # type: ignore[arg-type]
        config=config,
        specials=SPECIALS,
        start_id=model.start_id,
        device=torch.device("cpu"),
    )
    messages: list[str] = []
    # Plain descent, so that weights differ as their gradients do: Adam divides noise by noise where a
    # gradient is zero by nature, as that of the keys' bias.
    optimiser = torch.optim.SGD(model.parameters())
    updater = Updater(
        model, optimiser, stream=stream, config=config, runtime=RUNTIME, ranks=Ranks(), message=messages.append
    )
    outcome = updater.step(rows, learning_rate=1.0)
    return model.state_dict(), outcome, messages


def test_accumulated_batches_are_one_large_batch() -> None:
    rows = np.arange(29)
    whole, at_once, _ = one_step([rows])
    parts, in_parts, _ = one_step([rows[:3], rows[3:4], rows[4:17], rows[17:]])
    for name in whole:
        assert torch.allclose(whole[name], parts[name], rtol=1e-10, atol=1e-12), name
    assert in_parts.loss == pytest.approx(at_once.loss, rel=1e-12)
    assert in_parts.gradient_norm == pytest.approx(at_once.gradient_norm, rel=1e-10)
    assert in_parts.target_tokens == at_once.target_tokens


class SmallMemory:
    """A loss that fails for large batches, in the middle of adding gradients."""

    def __init__(self, largest: int) -> None:
        from pellucid.training import update

        self._real = update.training_loss
        self._largest = largest

    def __call__(self, model: torch.nn.Module, batch: object, **settings: object) -> tuple[torch.Tensor, torch.Tensor]:
        loss, nll = self._real(model, batch, **settings)  # type: ignore[arg-type]
        if len(batch.rows) > self._largest:  # type: ignore[attr-defined]
            loss.backward()  # half-added gradients must not stay
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        return loss, nll


def test_a_batch_too_large_for_memory_is_cut_with_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [np.arange(7), np.arange(7, 29)]
    whole, at_once, _ = one_step(rows)
    monkeypatch.setattr("pellucid.training.update.training_loss", SmallMemory(6))
    parts, in_parts, messages = one_step(rows)
    for name in whole:
        assert torch.allclose(whole[name], parts[name], rtol=1e-10, atol=1e-12), name
    assert in_parts.loss == pytest.approx(at_once.loss, rel=1e-12)
    assert in_parts.largest_batch is not None
    assert any("cut in two" in text for text in messages)


def test_a_pair_too_large_for_memory_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.errors import TrainingError

    monkeypatch.setattr("pellucid.training.update.training_loss", SmallMemory(0))
    with pytest.raises(TrainingError, match=r"row 5 of the token store.*max_length"):
        one_step([np.array([5])])


def test_other_errors_are_not_mistaken_for_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr("pellucid.training.update.training_loss", fail)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        one_step([np.arange(3)])
