"""Static steps are the plain steps: same losses, weights and averages; they resume, skip and go back as those do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pellucid.errors import ConfigError, InterruptedByUser
from pellucid.model.transformer import Transformer
from pellucid.runtime import Precision, Runtime
from pellucid.training.averaging import MovingAverage
from pellucid.training.gpu import corpus
from pellucid.training.gpu.corpus import ResidentCorpus
from pellucid.training.gpu.shapes import Shape
from pellucid.training.gpu.step import StaticStep
from pellucid.training.optimisation import make_optimiser
from pellucid.training.reporter import StepRecord

from ..kit import (
    RUNTIME,
    SPECIALS,
    Listener,
    equal_weights,
    reversal_store,
    run_training,
    tiny_model,
    training_config,
)
from ..test_resume import averages, steps_in, without_times

BF16 = Runtime("cpu", Precision.BF16, 1, "as the tests ask")
# Adam divides by the size of a gradient: with a tiny epsilon, rounding decides where a gradient is zero by nature.
CALM = {"config_adam_epsilon": 1e-3}


def double_model(**changes: object) -> Transformer:
    return tiny_model(dropout=0.0, **changes).double()


def close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float) -> None:
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    "changes",
    [{}, {"share_embeddings": False, "share_decoder_embeddings": False, "output_bias": True}, {"norm_order": "pre"}],
)
def test_a_run_of_static_steps_is_a_run_of_plain_steps(tmp_path: Path, changes: dict[str, object]) -> None:
    runs = [
        run_training(tmp_path / method, model=double_model(**changes), config_step_method=method, **CALM)
        for method in ("eager", "static")
    ]
    (plain, model, listener), (result, static, other) = runs
    close(model.state_dict(), static.state_dict(), 1e-6)
    close(averages(tmp_path / "eager", 20), averages(tmp_path / "static", 20), 1e-6)
    assert (plain.steps, plain.target_tokens, plain.epochs) == (result.steps, result.target_tokens, result.epochs)
    for one, two in zip(listener.steps, other.steps, strict=True):
        assert (one.step, one.target_tokens, one.epoch, one.learning_rate) == (
            two.step,
            two.target_tokens,
            two.epoch,
            two.learning_rate,
        )
        assert (two.loss, two.nll, two.gradient_norm) == pytest.approx((one.loss, one.nll, one.gradient_norm), 1e-6)
    assert listener.steps[0].loss == pytest.approx(other.steps[0].loss, 1e-12)
    assert any("shapes of batches" in text and "on the device" in text for text in other.messages)


def first_results(shape: Shape, *, dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
    """Return the results and the new weights of one step of a batch in a shape."""
    model = double_model().to(dtype)
    config = training_config(average_decay=0.0, max_grad_norm=0.0, adam_epsilon=1e-3)
    store = reversal_store(pairs=41, seed=1)
    pairs = ResidentCorpus(store, torch.device("cpu"), specials=SPECIALS, start_id=model.start_id)  # type: ignore[arg-type]
    optimiser = make_optimiser(model, config=config)
    average = MovingAverage(model, decay=0.0)
    step = StaticStep(model, optimiser, average, corpus=pairs, config=config, runtime=RUNTIME)
    step.adopt_optimiser()
    step.learning_rate.fill_(0.1)
    feed = pairs.buffers(shape)
    pairs.fill(feed, np.array([3, 7, 21, 40, 5]), shape)
    step.run(feed, shape)
    return step.results, [optimiser.state[parameter]["exp_avg"] for parameter in model.parameters()]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_padding_adds_nothing_to_loss_and_gradient(dtype: torch.dtype, tolerance: float) -> None:
    results, gradients = first_results(Shape(5, 8, 8), dtype=dtype)
    padded_results, padded_gradients = first_results(Shape(11, 19, 13), dtype=dtype)
    torch.testing.assert_close(padded_results, results, rtol=tolerance, atol=tolerance)
    for one, other in zip(padded_gradients, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


class Stopper(Listener):
    """Sends this process Ctrl-C when it hears of a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def stepped(self, record: StepRecord) -> None:
        super().stepped(record)
        if record.step == self._step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("runtime", [RUNTIME, BF16], ids=["fp32", "bf16"])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, runtime: Runtime) -> None:
    settings = {"config_step_method": "static", "runtime": runtime}
    _, model, _ = run_training(tmp_path / "whole", **settings)
    part = tmp_path / "part"
    for step in (6, 11):
        with pytest.raises(InterruptedByUser):
            run_training(part, reporter=Stopper(step), **settings, config_save_steps=4)
    _, resumed, listener = run_training(part, **settings)
    assert listener.starts[0].first_step == 12  # it had begun when the outcome of step 11 was read
    assert equal_weights(model.state_dict(), resumed.state_dict())
    assert equal_weights(averages(tmp_path / "whole", 20), averages(part, 20))
    for lines in ("step", "validation"):
        expected = [without_times(line) for line in steps_in(tmp_path / "whole", lines)]
        assert [without_times(line) for line in steps_in(part, lines)] == expected


def spoil(model: Transformer, when: Callable[[int], bool]) -> Transformer:
    """Make the model's training passes of some numbers, from 1, not finite."""
    real, count = model.decode, 0

    def decode(*inputs: Tensor, **rest: object) -> Tensor:
        nonlocal count
        hidden: Tensor = real(*inputs, **rest)  # type: ignore[arg-type]
        if torch.is_grad_enabled():
            count += 1
            if when(count):
                hidden = hidden * float("nan")
        return hidden

    nn.Module.__setattr__(model, "decode", decode)
    return model


def test_a_bad_step_changes_nothing_but_the_count(tmp_path: Path) -> None:
    runs = [
        run_training(
            tmp_path / method,
            model=spoil(double_model(), lambda n: n == 4),
            config_train_steps=6,
            config_step_method=method,
            **CALM,
        )
        for method in ("eager", "static")
    ]
    (plain, model, _), (result, static, listener) = runs
    close(model.state_dict(), static.state_dict(), 1e-6)
    close(averages(tmp_path / "eager", 6), averages(tmp_path / "static", 6), 1e-6)
    assert result.skipped_steps == plain.skipped_steps == 1
    assert [record.step for record in listener.steps if record.skipped] == [4]


def test_many_bad_steps_go_back_and_on_with_later_data(tmp_path: Path) -> None:
    settings = {"config_train_steps": 10, "config_max_bad_steps": 3, "config_save_steps": 2} | CALM
    found = []
    for method, bad in (("eager", range(6, 9)), ("static", range(6, 9))):
        model = spoil(double_model(), lambda n, bad=bad: n in bad)  # type: ignore[misc]
        result, _, listener = run_training(tmp_path / method, model=model, config_step_method=method, **settings)
        steps = [record.step for record in listener.steps]
        rates = [record.learning_rate for record in listener.steps]
        found.append((steps, rates, result.epochs, result.rollbacks, result.skipped_steps))
    plain, static = found
    assert static == plain
    assert static[0] == [1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 9, 10]


def test_restoring_a_checkpoint_keeps_the_addresses_of_the_moments(tmp_path: Path) -> None:
    from pellucid.training.state import restore

    run_training(tmp_path, config_train_steps=3)
    model = tiny_model()
    optimiser = make_optimiser(model, config=training_config())
    average = MovingAverage(model, decay=0.9)
    folder = tmp_path / "checkpoints" / "step-00000003"
    restore(folder, model=model, average=average, optimiser=optimiser, with_random=False)
    state = [tensor for moments in optimiser.state.values() for tensor in moments.values()]
    before = [tensor.clone() for tensor in state]
    for tensor in state:
        tensor.fill_(7)
    restore(folder, model=model, average=average, optimiser=optimiser, with_random=False)
    after = [tensor for moments in optimiser.state.values() for tensor in moments.values()]
    assert all(one is other for one, other in zip(after, state, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(after, before, strict=True))


@pytest.mark.parametrize(("decay", "tail"), [(0.6, 0.0), (0.0, 0.3)])
def test_the_average_on_the_device_is_the_average(decay: float, tail: float) -> None:
    model = tiny_model()
    one, other = (MovingAverage(model, decay=decay, tail=tail) for _ in range(2))
    good, bad = torch.zeros(()), torch.ones(())
    for updates in range(1, 9):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn_like(parameter)
        one.update(updates)
        other.update_on_device(torch.tensor(float(updates)), is_bad=good)
        other.update_on_device(torch.tensor(float(updates)), is_bad=bad)
        close(one.model.state_dict(), other.model.state_dict(), 1e-6)


def test_bf16_computes_in_a_twin_and_keeps_the_weights_in_float32(tmp_path: Path) -> None:
    exact, model, _ = run_training(tmp_path / "exact", model=tiny_model(dropout=0.0), config_step_method="static")
    rounded, twin, listener = run_training(
        tmp_path / "rounded", model=tiny_model(dropout=0.0), config_step_method="static", runtime=BF16
    )
    assert all(parameter.dtype == torch.float32 for parameter in twin.parameters())
    assert rounded.best["nll"] == pytest.approx(exact.best["nll"], rel=0.01)
    close(model.state_dict(), twin.state_dict(), 0.05)
    assert listener.steps[-1].loss < listener.steps[0].loss


def test_too_little_memory_ends_the_static_steps_and_not_the_run(tmp_path: Path) -> None:
    model, shortages = double_model(), iter([False, False, False, True])
    real = model.encode

    def encode(*inputs: Tensor, **rest: object) -> Tensor:
        if torch.is_grad_enabled() and next(shortages, False):
            raise torch.OutOfMemoryError("out of memory")
        return real(*inputs, **rest)  # type: ignore[arg-type]

    nn.Module.__setattr__(model, "encode", encode)
    _, short, listener = run_training(tmp_path / "short", model=model, config_step_method="static", **CALM)
    _, plain, _ = run_training(tmp_path / "plain", model=double_model(), **CALM)
    assert any("from now on steps are eager" in text for text in listener.messages)
    assert [record.step for record in listener.steps] == list(range(1, 21))
    close(plain.state_dict(), short.state_dict(), 1e-6)


def test_a_corpus_that_does_not_fit_gives_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, resident, _ = run_training(tmp_path / "resident", config_step_method="static")
    monkeypatch.setattr(corpus, "_SHARE_OF_MEMORY", 0.0)
    _, streamed, listener = run_training(tmp_path / "streamed", config_step_method="static")
    assert any("batches are copied" in text for text in listener.messages)
    assert equal_weights(resident.state_dict(), streamed.state_dict())


def test_what_is_not_possible_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'static' is not possible: accum_count = 2.*'eager'"):
        run_training(tmp_path, config_step_method="static", config_accum_count=2)
    with pytest.raises(ConfigError, match=r"'static' is not possible: optimizer = 'muon'.*'eager'"):
        run_training(tmp_path, config_step_method="static", config_optimizer="muon")
    with pytest.raises(ConfigError, match=r"'graph', but device = 'cpu' has no graphs.*'static'"):
        run_training(tmp_path, config_step_method="graph")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # torch 2.13.0, when it imports its compiler
def test_compiled_layers_give_the_same_run(tmp_path: Path) -> None:
    runs = [
        run_training(
            tmp_path / method,
            model=tiny_model(dropout=0.0, num_encoder_layers=2),
            config_step_method=method,
            config_train_steps=5,
            **CALM,
        )
        for method in ("static", "compiled")
    ]
    (_, model, _), (_, compiled, listener) = runs
    close(model.state_dict(), compiled.state_dict(), 1e-5)
    assert sum("are compiled: " in text for text in listener.messages) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="graphs need a CUDA device")
@pytest.mark.parametrize("precision", list(Precision))
def test_graphs_are_the_static_steps(tmp_path: Path, precision: Precision) -> None:
    runtime = Runtime("cuda", precision, 1, "as the tests ask")
    settings = {"runtime": runtime, "config_train_steps": 60, "config_valid_steps": 30}
    (_, model, one), (_, static, other) = (
        run_training(tmp_path / method, config_step_method=method, **settings) for method in ("graph", "static")
    )
    close(model.state_dict(), static.state_dict(), 1e-5)
    assert not any("cannot become a graph" in text for text in one.messages)
    assert [record.step for record in one.steps] == [record.step for record in other.steps]
