"""Train with several processes, started by ``torchrun``: a step of N processes equals one with N times the batches.

Every process holds the whole model and takes every N-th batch. The gradients of all processes are added
before all of them make the same update. If a decision depends on the clock, the disk or an evaluator, the first
process makes it and sends it to the others; only the first process writes. Read ``update.py`` next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch
import torch.distributed
from torch import Tensor, nn

from pellucid.errors import ConfigError, StoppedError
from pellucid.runtime import is_lack_of_memory

__all__ = ["ONE_PROCESS", "ProcessGroup", "Ranks", "ranks_of_environment"]


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

    def add_gradients(self, parameters: Sequence[nn.Parameter], sums: Tensor) -> None:
        """Add gradients, and the sums of a step, over all processes, in place."""

    def from_first(self, make: Callable[[], str]) -> str:
        """Return the result of ``make`` in the first process; the others wait for it."""
        return make()

    def agreed_clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """Return a clock with the time of the first process; all processes must read it equally often."""
        return clock

    def seed_step(self, seed: int, step: int) -> None:
        """Give every process its own random numbers in a step, as a function of seed and step."""

    def wait(self) -> None:
        """Wait for all processes."""


ONE_PROCESS: Final = Ranks()


class ProcessGroup(Ranks):
    """The processes of ``torch.distributed``, which must be initialised.

    Every method that waits for the others raises StoppedError if one of them has ended or does not answer.
    """

    def __init__(self) -> None:
        self.rank = torch.distributed.get_rank()
        self.count = torch.distributed.get_world_size()
        self._device = torch.device("cuda" if torch.distributed.get_backend() == "nccl" else "cpu")

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return numbers added up over all processes."""
        values = torch.tensor(list(numbers), dtype=torch.float64, device=self._device)
        with self._needing_others():
            torch.distributed.all_reduce(values)
        totals: list[float] = values.tolist()
        return totals

    def add_gradients(self, parameters: Sequence[nn.Parameter], sums: Tensor) -> None:
        """Add gradients, and the sums of a step, over all processes, in place: one exchange of one flat vector."""
        for parameter in parameters:
            if parameter.grad is None:  # this process had no batch
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with self._needing_others():
            torch.distributed.all_reduce(flat)
            torch.distributed.all_reduce(sums)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])

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

    def agreed_clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """Return a clock with the time of the first process; all processes must read it equally often."""

        def read() -> float:
            now = torch.tensor([clock()], dtype=torch.float64, device=self._device)
            with self._needing_others():
                torch.distributed.broadcast(now, src=0)
                return float(now.item())

        return read

    def seed_step(self, seed: int, step: int) -> None:
        """Give every process its own random numbers in a step, as a function of seed and step."""
        torch.manual_seed((seed * 1_000_003 + step) * self.count + self.rank)

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
            reason = _first_line(error)
            is_late = "timed out" in reason.lower() or "timeout" in reason.lower()
            what = (
                "did not answer in time; check whether it is stopped and whether its machine is reachable."
                if is_late
                else "has ended; see its output or the system log for the reason."
            )
            raise StoppedError(
                f"process {self.rank} of {self.count} (counted from 0): another process of this run {what} "
                "The saved checkpoints are intact: fix the cause and run the same command again to continue from "
                f"the newest one ({reason})"
            ) from None


def ranks_of_environment(device: torch.device) -> Ranks:
    """Connect to the other processes that ``torchrun`` started, if any.

    Raises:
        ConfigError: the processes cannot be connected.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return ONE_PROCESS
    if not torch.distributed.is_initialized():
        try:
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                f"WORLD_SIZE = {os.environ['WORLD_SIZE']!r} requests several processes, but they cannot be connected "
                f"({_first_line(error)}); start them with torchrun, or unset WORLD_SIZE to use one process"
            ) from None
    return ProcessGroup()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
