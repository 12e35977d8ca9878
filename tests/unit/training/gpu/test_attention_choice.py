"""The kernel of attention: measured once, remembered for the device, and given back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from pellucid.config import ModelConfig
from pellucid.training.gpu.attention_choice import Kernel, attention_kernels, choose_attention

from ..kit import RUNTIME

CONFIG = ModelConfig(d_model=42, num_heads=3)
FASTEST = (Kernel.EFFICIENT, Kernel.MATH)


class Clock:
    """Counts the trials; ``FASTEST`` is the fastest order."""

    def __init__(self) -> None:
        self.orders: list[tuple[Kernel, ...]] = []

    def __call__(self, order: Sequence[Kernel]) -> float:
        self.orders.append(tuple(order))
        return 1.0 if tuple(order) == FASTEST else 2.0


def enabled() -> tuple[bool, ...]:
    backends = torch.backends.cuda
    return (
        backends.cudnn_sdp_enabled(),
        backends.flash_sdp_enabled(),
        backends.mem_efficient_sdp_enabled(),
        backends.math_sdp_enabled(),
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    return tmp_path


def test_a_processor_has_no_choice() -> None:
    assert choose_attention(CONFIG, RUNTIME) is None
    before = enabled()
    with attention_kernels(None):
        assert enabled() == before


def test_the_fastest_order_is_remembered_for_the_same_shape_only(folder: Path) -> None:
    clock = Clock()
    first = choose_attention(CONFIG, RUNTIME, timer=clock)
    assert first is not None
    assert first.order == FASTEST
    assert "memory-efficient, then separate products" in first.to_text()
    measured = len(clock.orders)
    again = choose_attention(CONFIG, RUNTIME, timer=clock)
    assert again is not None
    assert (again.order, again.is_remembered, len(clock.orders)) == (FASTEST, True, measured)
    choose_attention(ModelConfig(d_model=84, num_heads=3), RUNTIME, timer=clock)
    assert len(clock.orders) == 2 * measured


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"key": 1, "order": ["cudnn"], "milliseconds": 1}'])
def test_a_damaged_record_is_measured_again(folder: Path, content: bytes) -> None:
    choose_attention(CONFIG, RUNTIME, timer=Clock())
    (record,) = folder.iterdir()
    record.write_bytes(content)
    clock = Clock()
    choice = choose_attention(CONFIG, RUNTIME, timer=clock)
    assert choice is not None
    assert clock.orders
    assert not choice.is_remembered


def test_every_order_can_compute_any_call_and_none_has_cudnn() -> None:
    clock = Clock()
    choose_attention(ModelConfig(d_model=126, num_heads=3), RUNTIME, timer=clock)
    assert all(order[-1] is Kernel.MATH for order in clock.orders)
    assert not any("cudnn" in kernel.lower() for order in clock.orders for kernel in order)


def test_the_kernels_of_before_come_back(folder: Path) -> None:
    before = enabled()
    choice = choose_attention(CONFIG, RUNTIME, timer=Clock())
    with attention_kernels(choice):
        assert enabled() == (False, False, True, True)
    assert enabled() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="times the kernels of a CUDA device")
def test_the_trial_runs_on_a_gpu(folder: Path) -> None:
    from pellucid.runtime import Runtime

    choice = choose_attention(ModelConfig(d_model=256, num_heads=4), Runtime.detect(device="cuda"))
    assert choice is not None
    assert choice.milliseconds > 0
