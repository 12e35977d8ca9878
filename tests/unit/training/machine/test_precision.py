"""The faster precision of a trial is taken and remembered; a trial changes neither weights nor random numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pellucid.runtime import Precision, Runtime
from pellucid.training.machine import precision as room
from pellucid.training.machine.precision import PrecisionTrial, precision_trial

from ..kit import RUNTIME, equal_weights, tiny_model, training_config


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(room, "_MOST_TURNS", 1)


def forbid_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_measure", lambda *_, **__: pytest.fail("this was measured before"))


def test_bf16_is_taken_only_where_it_is_clearly_faster() -> None:
    assert PrecisionTrial(1.0, 0.9).precision is Precision.BF16
    assert PrecisionTrial(1.0, 0.99).precision is Precision.FP32
    assert PrecisionTrial(0.9, 1.0).precision is Precision.FP32


def test_the_reason_names_both_times_and_when_they_were_measured() -> None:
    found = PrecisionTrial(0.597, 0.514, is_remembered=True).applied_to(RUNTIME)
    assert found == replace(RUNTIME, precision=Precision.BF16, reason=found.reason)
    assert "597 ms of processor time in fp32 and 514 in bf16 (measured earlier on this machine)" in found.reason


def test_a_trial_changes_nothing_of_the_model() -> None:
    model = tiny_model().eval()
    before, dice = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    found = precision_trial(model, config=training_config(), runtime=RUNTIME)
    assert min(found.fp32_seconds, found.bf16_seconds) > 0
    assert equal_weights(before, model.state_dict())
    assert torch.equal(dice, torch.get_rng_state())
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_machine_measures_a_shape_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = training_config()
    first = precision_trial(tiny_model(), config=config, runtime=RUNTIME)
    other = precision_trial(tiny_model(d_feedforward=29), config=config, runtime=RUNTIME)
    forbid_measuring(monkeypatch)
    assert precision_trial(tiny_model(), config=config, runtime=RUNTIME) == replace(first, is_remembered=True)
    again = precision_trial(tiny_model(d_feedforward=29), config=config, runtime=RUNTIME)
    assert again == replace(other, is_remembered=True)


@pytest.mark.parametrize("change", ["threads", "torch"])
def test_other_threads_and_another_torch_are_measured_again(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = training_config()
    precision_trial(tiny_model(), config=config, runtime=RUNTIME)
    runtime = replace(RUNTIME, threads=3) if change == "threads" else RUNTIME
    if change == "torch":
        monkeypatch.setattr(torch, "__version__", "99.0")
    assert not precision_trial(tiny_model(), config=config, runtime=runtime).is_remembered


def test_a_processor_without_bf16_is_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[Precision] = []

    def making(model: object, *, config: object, runtime: Runtime) -> Precision:
        return runtime.precision

    def seconds(model: object, batch: object, precision: Precision) -> float:
        passes.append(precision)
        return 20.0 if precision is Precision.BF16 else 0.2

    monkeypatch.setattr(room, "gradient_pass", making)
    monkeypatch.setattr(room, "_seconds", seconds)
    monkeypatch.setattr(room, "_MOST_TURNS", 5)
    assert precision_trial(tiny_model(), config=training_config(), runtime=RUNTIME).precision is Precision.FP32
    assert passes.count(Precision.BF16) == 1


@pytest.mark.parametrize("content", [b"not JSON", b"[]", b"{}", b"\xff" * 50])
def test_a_damaged_record_is_measured_again_and_replaced(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = training_config()
    precision_trial(tiny_model(), config=config, runtime=RUNTIME)
    (path,) = tmp_path.glob("cache/precision-*.json")
    path.write_bytes(content)
    assert not precision_trial(tiny_model(), config=config, runtime=RUNTIME).is_remembered
    forbid_measuring(monkeypatch)
    assert precision_trial(tiny_model(), config=config, runtime=RUNTIME).is_remembered


def test_a_cache_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert not precision_trial(tiny_model(), config=training_config(), runtime=RUNTIME).is_remembered
