"""A process that trains with others says what it means when one of them is gone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from pellucid.errors import ConfigError, StoppedError
from pellucid.training.processes.ranks import ONE_PROCESS, ProcessGroup, Ranks, ranks_of_environment

CALLS: list[Callable[[Ranks], object]] = [
    lambda ranks: ranks.total([1.0]),
    lambda ranks: ranks.exchange([torch.nn.Parameter(torch.ones(3))]).finish(torch.zeros(2)),
    lambda ranks: ranks.from_first(lambda: "text"),
    lambda ranks: ranks.agreed_clock(lambda: 1.0)(),
    lambda ranks: ranks.wait(),
]


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> ProcessGroup:
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(torch.distributed, "get_backend", lambda: "gloo")
    return ProcessGroup()


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    for name in ("all_reduce", "broadcast", "barrier"):
        monkeypatch.setattr(torch.distributed, name, fail)


@pytest.mark.parametrize("call", CALLS)
def test_a_lost_connection_means_that_a_process_ended(
    call: Callable[[Ranks], object], ranks: ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, RuntimeError("[pair.cc:534] Connection closed by peer [127.0.0.1]:9\nmore"))
    with pytest.raises(StoppedError) as caught:
        call(ranks)
    for words in ("process 2 of 3", "has ended", "same command", "Connection closed by peer"):
        assert words in str(caught.value)
    assert "more" not in str(caught.value)
    assert caught.value.exit_status == 75


def test_the_process_that_gives_no_sign_of_life_is_named(ranks: ProcessGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, RuntimeError("Connection closed by peer"))
    monkeypatch.setattr(ranks, "_lives", SimpleNamespace(silent=lambda: (1,)))
    with pytest.raises(StoppedError, match=r"process 2 of 3 \(counted from 0\): process 1 of this run has ended"):
        ranks.wait()


def test_silence_is_told_apart_from_an_end(ranks: ProcessGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, RuntimeError("Timed out waiting 1800000ms for recv operation to complete"))
    with pytest.raises(StoppedError, match="did not answer in time"):
        ranks.wait()


def test_other_errors_keep_their_own_words(ranks: ProcessGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    with pytest.raises(RuntimeError, match="allocate"):
        ranks.wait()
    with pytest.raises(ValueError, match="the first process itself"):
        raise_in_first(monkeypatch)


def raise_in_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)

    def fail() -> str:
        raise ValueError("the first process itself")

    ProcessGroup().from_first(fail)


@pytest.mark.parametrize("size", ["2", "many"])
def test_processes_that_cannot_be_connected(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", size)
    with pytest.raises(ConfigError, match="torchrun"):
        ranks_of_environment(torch.device("cpu"))
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert ranks_of_environment(torch.device("cpu")) is ONE_PROCESS
