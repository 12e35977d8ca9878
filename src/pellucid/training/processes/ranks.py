"""Train with several processes, which divide the batches of a step; ``torchrun`` or the first of them starts them.

Every process holds the whole model and takes every N-th batch of a step. The gradients of all processes are added
before all of them make the same update, so a step depends on its batches and not on the number of processes. If a
decision depends on the clock, the disk or an evaluator, the first process makes it and sends it to the others; only the
first process writes. Read ``exchange.py`` next,
and ``local.py`` for the processes that the first one starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
import torch.distributed
from torch import Tensor, nn

from pellucid.errors import ConfigError, ProcessLostError
from pellucid.runtime import is_lack_of_memory
from pellucid.training.processes.exchange import Exchange, GradientExchange, NoExchange
from pellucid.training.processes.lives import Lives, Store, store_of_environment

__all__ = ["ONE_PROCESS", "ProcessGroup", "Ranks", "first_line", "ranks_of_environment"]

_LONGEST_WAIT: Final = timedelta(hours=2)
"""For the others: the first process prepares the corpus and validates while they wait. Steps have their own limit."""


class Ranks:
    """The processes of a run. This base class is a single process, without any communication."""

    rank = 0
    count = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return numbers added up over all processes."""
        return list(numbers)

    def exchange(self, parameters: Sequence[nn.Parameter]) -> Exchange:
        """Begin to add the gradients of a step over all processes."""
        return NoExchange()

    def from_each(self, own: Tensor) -> list[Tensor]:
        """Return the tensors of all processes in their order; they have the same shape and type."""
        return [own]

    def from_first(self, make: Callable[[], str]) -> str:
        """Return the result of ``make`` in the first process; the others wait for it."""
        return make()

    def number_of_first(self, number: float) -> float:
        """Return ``number`` as the first process has it; all processes must ask equally often."""
        return number

    def agreed_clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """Return a clock with the time of the first process; all processes must read it equally often."""
        return lambda: self.number_of_first(clock())

    def wait(self) -> None:
        """Wait for all processes."""

    @contextmanager
    def watching_others(self) -> Iterator[None]:
        """End this process with status 75, and say so, if another one gives no sign of life within the block."""
        yield

    def close(self) -> None:
        """End the work of these processes together."""


ONE_PROCESS: Final = Ranks()


class ProcessGroup(Ranks):
    """The processes of ``torch.distributed``, which must be initialised.

    Every method that waits for the others raises ProcessLostError if one of them has ended or does not answer. With a
    ``store``, the error names it.
    """

    def __init__(self, store: Store | None = None) -> None:
        self.rank = torch.distributed.get_rank()
        self.count = torch.distributed.get_world_size()
        self._device = torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
        self._exchange: GradientExchange | None = None
        self._lives = None if store is None else Lives(store, rank=self.rank, count=self.count)

    @contextmanager
    def watching_others(self) -> Iterator[None]:
        """End this process with status 75, and say so, if another one gives no sign of life within the block."""
        with nullcontext() if self._lives is None else self._lives.watching(self._end_alone):
            yield

    def _end_alone(self, silent: Sequence[int]) -> None:
        # A collective operation waits in C++ for the others, so an exception would not reach the caller.
        text = self._on_loss(
            _named(silent), "gives no sign of life; check whether it is stopped and whether its machine is reachable."
        )
        os.write(2, f"{text}\n".encode())
        os._exit(ProcessLostError.exit_status)

    def close(self) -> None:
        """Give the others no more signs of life."""
        if self._lives is not None:
            self._lives.close()

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return numbers added up over all processes."""
        values = torch.tensor(list(numbers), dtype=torch.float64, device=self._device)
        with self._needing_others():
            torch.distributed.all_reduce(values)
        totals: list[float] = values.tolist()
        return totals

    def exchange(self, parameters: Sequence[nn.Parameter]) -> Exchange:
        """Begin to add the gradients of a step over all processes."""
        if self._exchange is None:
            self._exchange = GradientExchange(parameters, add=self._begin_to_add)
        return self._exchange.begin()

    def _begin_to_add(self, tensor: Tensor) -> _Addition:
        with self._needing_others():
            return _Addition(torch.distributed.all_reduce(tensor, async_op=True), self._needing_others)

    def from_each(self, own: Tensor) -> list[Tensor]:
        """Return the tensors of all processes in their order; they have the same shape and type."""
        found = [torch.empty_like(own) for _ in range(self.count)]
        with self._needing_others():
            torch.distributed.all_gather(found, own)
        return found

    def from_first(self, make: Callable[[], str]) -> str:
        """Return the result of ``make`` in the first process; the others wait for it."""
        content = make().encode() if self.is_first else b""
        size = int(self.total([len(content)])[0])
        if not size:
            return ""
        values = torch.zeros(size, dtype=torch.uint8, device=self._device)
        if self.is_first:
            values.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        with self._needing_others():
            torch.distributed.broadcast(values, src=0)
            return bytes(values.cpu().numpy()).decode()

    def number_of_first(self, number: float) -> float:
        """Return ``number`` as the first process has it; all processes must ask equally often."""
        agreed = torch.tensor([number], dtype=torch.float64, device=self._device)
        with self._needing_others():
            torch.distributed.broadcast(agreed, src=0)
            return float(agreed.item())

    def wait(self) -> None:
        """Wait for all processes."""
        with self._needing_others():
            torch.distributed.barrier()

    @contextmanager
    def _needing_others(self) -> Iterator[None]:
        """Report that another process has ended; the library itself only reports a lost connection."""
        try:
            yield
        except RuntimeError as error:
            if is_lack_of_memory(error):
                raise
            reason = first_line(error)
            is_late = "timed out" in reason.lower() or "timeout" in reason.lower()
            what = (
                "did not answer in time; check whether it is stopped and whether its machine is reachable."
                if is_late
                else "has ended; see its output or the system log for the reason."
            )
            silent = () if self._lives is None else self._lives.silent()
            raise ProcessLostError(f"{self._on_loss(_named(silent), what)} ({reason})") from None

    def _on_loss(self, culprit: str, what: str) -> str:
        return (
            f"process {self.rank} of {self.count} (counted from 0): {culprit} of this run {what} "
            "The saved checkpoints are intact: fix the cause and run the same command again to continue from "
            "the newest one"
        )


def _named(ranks: Sequence[int]) -> str:
    if len(ranks) == 1:
        return f"process {ranks[0]}"
    return f"one of the processes {', '.join(map(str, ranks))}" if ranks else "another process"


@dataclass(frozen=True)
class _Addition:
    """What waits for the end of an addition over all processes, and says what it means if there is none."""

    work: torch.distributed.Work
    needing_others: Callable[[], AbstractContextManager[None]]

    def wait(self) -> None:
        """Wait for the end."""
        with self.needing_others():
            self.work.wait()


def ranks_of_environment(device: torch.device) -> Ranks:
    """Connect to the other processes that ``torchrun`` started, if any.

    Raises:
        ConfigError: the processes cannot be connected.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return ONE_PROCESS
    if not torch.distributed.is_initialized():
        try:
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_LONGEST_WAIT)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                f"WORLD_SIZE = {os.environ['WORLD_SIZE']!r} requests several processes, but they cannot be connected "
                f"({first_line(error)}); start them with torchrun, or unset WORLD_SIZE to use one process"
            ) from None
    return ProcessGroup(store_of_environment())


def first_line(error: BaseException) -> str:
    """Return the first line of an error, or its type."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
