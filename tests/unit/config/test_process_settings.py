"""What a job sets for its whole process: threads, the attention of cuDNN, the allocator; and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pellucid import runtime as room
from pellucid.errors import ConfigError
from pellucid.runtime import Precision, Runtime, keeping_memory

SOURCE = Path(__file__).resolve().parents[3] / "src"


@pytest.fixture(autouse=True)
def settings_are_put_back() -> Iterator[None]:
    threads, has_cudnn = torch.get_num_threads(), torch.backends.cuda.cudnn_sdp_enabled()
    yield
    torch.set_num_threads(threads)
    torch.backends.cuda.enable_cudnn_sdp(has_cudnn)


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_attention_by_cudnn_is_off_on_a_gpu(device: str) -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    Runtime(device, Precision.BF16, torch.get_num_threads(), "").apply()
    assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.mem_efficient_sdp_enabled()


def test_a_run_on_the_processor_changes_nothing_of_a_gpu() -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    Runtime.detect(device="cpu").apply()
    assert torch.backends.cuda.cudnn_sdp_enabled()


@pytest.mark.parametrize("told", [1, 3])
def test_threads_that_the_caller_set_are_left_alone(told: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(told)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: pytest.fail("nothing was asked for"))
    found = Runtime.detect(device="cpu")
    found.apply()
    assert (found.threads, torch.get_num_threads()) == (told, told)


def test_threads_that_are_asked_for_are_set_whatever_the_caller_set() -> None:
    torch.set_num_threads(1)
    found = Runtime.detect(device="cpu", threads=3)
    found.apply()
    assert torch.get_num_threads() == 3
    assert "3 threads (as requested)" in found.to_text()


def threads_in_a_new_process(code: str, **variables: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", f"from pellucid.runtime import Runtime\nimport torch\n{code}"],
        env=inherited | {"PYTHONPATH": str(SOURCE)} | variables,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


APPLIED = "found = Runtime.detect(device='cpu'); found.apply(); print(torch.get_num_threads(), found.to_text())"


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_a_variable_of_the_environment_is_obeyed_and_named(name: str) -> None:
    said = threads_in_a_new_process(APPLIED, **{name: "1"})
    assert said.startswith(f"1 cpu, 1 thread ({name}=1), fp32")


def test_without_a_variable_it_is_what_torch_chooses_and_that_is_said() -> None:
    said = threads_in_a_new_process(f"print(torch.get_num_threads(), end=' ')\n{APPLIED}")
    before, after, *_ = said.split()
    assert before == after
    assert "OMP_NUM_THREADS changes it" in said


def test_a_process_that_was_forked_may_not_ask_for_threads_that_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "is_forked_from_torch", lambda: True)
    torch.set_num_threads(1)
    with pytest.raises(ConfigError, match=r"threads = 2: this process was forked .* 'spawn'"):
        Runtime.detect(device="cpu", threads=2).apply()
    Runtime.detect(device="cpu", threads=1).apply()
    Runtime.detect(device="cpu").apply()


class Allocator:
    """The calls that a C library was asked for."""

    def __init__(self) -> None:
        self.options: list[tuple[int, int]] = []
        self.trims = 0

    def mallopt(self, option: int, value: int) -> None:
        self.options.append((option, value))

    def malloc_trim(self, padding: int) -> None:
        self.trims += 1


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> Allocator:
    found = Allocator()
    monkeypatch.setattr(room.ctypes, "CDLL", lambda name: found)
    monkeypatch.setattr(room.platform, "libc_ver", lambda: ("glibc", "2.36"))
    return found


def test_memory_is_kept_while_training_and_given_back_after_it(allocator: Allocator) -> None:
    def train() -> None:
        with keeping_memory("cpu"):
            assert dict(allocator.options)[-4] == 0, "no tensor is mapped by itself"
            assert allocator.trims == 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert dict(allocator.options) == {-4: 65536, -1: 128 << 10, -2: 128 << 10}, "the defaults of glibc"
    assert allocator.trims == 1


def test_nothing_but_training_touches_the_allocator(allocator: Allocator) -> None:
    Runtime.detect(device="cpu").apply()
    with keeping_memory("cuda"):
        pass
    assert not allocator.options


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"GOMP_SPINCOUNT": "1000"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ({"GOMP_SPINCOUNT": "50"}, {"GOMP_SPINCOUNT": "50"}),
    ],
    ids=["unset", "policy", "count"],
)
def test_threads_spin_shortly_at_barriers_unless_the_user_decided(
    before: dict[str, str], after: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that both are put back afterwards
        monkeypatch.delenv(name)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    room.let_others_run_at_barriers()
    assert {name: os.environ[name] for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if name in os.environ} == after
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)


@pytest.mark.parametrize("before", [None, "7"], ids=["unset", "chosen by the user"])
def test_training_bounds_the_products_that_are_kept_unless_the_user_decided(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
    for name in names:
        monkeypatch.setenv(name, before or "")
        if before is None:
            monkeypatch.delenv(name)
    with room.keeping_memory("cpu"):
        kept = [os.environ[name] for name in names]
    assert kept == [before or "512"] * 2
    for name in names:
        monkeypatch.delenv(name)
