"""The error tree is what its docstring draws; the machine is found out and obeyed."""

from __future__ import annotations

import re

import pytest
import torch

from pellucid import errors
from pellucid.errors import ConfigError, InterruptedByUser, PellucidError, StoppedError
from pellucid.runtime import Precision, Runtime


def test_every_error_is_in_the_tree_and_has_its_drawn_status() -> None:
    drawn = dict(re.findall(r"([A-Z]\w+)\s+(\d+)", errors.__doc__ or ""))
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, PellucidError)
        assert name in (errors.__doc__ or "")
        if name in drawn:
            assert error.exit_status == int(drawn[name])
    assert len(drawn) >= 8


def test_what_can_be_continued_is_told_apart() -> None:
    resumable = {name for name in errors.__all__ if getattr(errors, name).exit_status in (75, 130)}
    assert resumable == {"StoppedError", "InterruptedByUser", "ProcessLostError"}
    assert issubclass(InterruptedByUser, StoppedError)


@pytest.mark.parametrize("device", ["tpu", "cpu:banana", "cuda:", "cuda:x", "", "CPU"])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match="is unknown"):
        Runtime.detect(device=device)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="sees no CUDA device; use 'cpu'"):
        Runtime.detect(device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="cuda:0 to cuda:1"):
        Runtime.detect(device="cuda:2")


def test_the_device_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Runtime.detect().device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    found = Runtime.detect()
    assert (found.device, found.precision) == ("cuda", Precision.BF16)
    assert Runtime.detect(device="cpu").device == "cpu", "what is asked for is obeyed"


def test_no_flag_of_a_processor_decides_the_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: pytest.fail("a trial decides"))
    assert Runtime.detect(device="cpu").precision is Precision.FP32
    asked = Runtime.detect(device="cpu", precision="bf16")
    assert (asked.precision, asked.reason) == (Precision.BF16, "as requested")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="'fp8' is unknown; use 'auto', 'fp32' or 'bf16'"):
        Runtime.detect(precision="fp8")


def test_threads_are_counted_or_obeyed() -> None:
    assert Runtime.detect().threads >= 1
    assert Runtime.detect(threads=3).threads == 3
    with pytest.raises(ConfigError, match="threads = -1"):
        Runtime.detect(threads=-1)


def test_nothing_is_set_until_it_is_applied() -> None:
    before = torch.get_num_threads()
    runtime = Runtime.detect(threads=before + 1)
    assert torch.get_num_threads() == before
    try:
        runtime.apply()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_the_record_holds_what_decides_the_bits() -> None:
    facts = Runtime.detect(device="cpu", threads=3).describe()
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == 3
    assert {"device", "precision", "python", "processor", "machine"} <= set(facts)
    assert "reason" not in facts
    assert all(isinstance(value, str | int) for value in facts.values())
