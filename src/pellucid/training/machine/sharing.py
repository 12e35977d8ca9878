"""Time a batch with all threads and with a part of them, to decide whether several processes shall share a step.

The threads of one product wait for each other, and the products of a narrow model are so small that this is a part of
their time: with d_model 128, two processes of one thread train 14,800 target tokens a second where one process of two
threads trains 12,600, and beside a busy program 9,700 and 7,300 (docs/log.md, 2026-11-28: threads and shapes of a
step). A wide model gains from threads. So the gradients of a made-up batch are computed with both numbers of threads in
turns, for about a second. What the processes need to add their gradients is estimated from the time of an addition: for
a wide model it is more than they gain. The result is kept as that of ``precision.py`` is. Read
``../processes/local.py`` for the processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import torch

from pellucid.config import TrainingConfig
from pellucid.runtime import Runtime, keeping_memory
from pellucid.training.batches import TensorBatch
from pellucid.training.machine.records import remember, remembered
from pellucid.training.machine.trials import (
    GradientPass,
    batch_to_time,
    gradient_pass,
    made_up_batch,
    pass_seconds,
    step_facts,
)

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["Division", "SharingTrial", "division_of", "sharing_trial"]

_TRIAL_SECONDS: Final = 1.5
_MOST_TURNS: Final = 4
_FIRST_TOKENS: Final = 256
_LONG_PASS_SECONDS: Final = 1.2
"""A wide model converts its weights in each pass, however few its tokens are, and threads share that badly: a batch of
256 tokens of ``base`` takes 0.72 of the time with two threads, one of 1,024 tokens 0.58."""
_ADDED_AT_ONCE: Final = 1 << 24
_ADDITIONS: Final = 8
"""The addition of gradients over two processes takes as long as so many of two tensors in one process, because they
travel through sockets: 60 million take 144 ms and 18."""
_NEEDED_GAIN: Final = 1.1
"""The processes must be so many times as fast, because they share the memory's speed and wait for each other: two with
preset small are 0.96 times as fast as one where the trial says 1.07 (docs/log.md, as above)."""
_KIND: Final = "sharing"


@dataclass(frozen=True)
class Division:
    """How several processes share the batches of a step and the threads of a run."""

    batches: int
    processes: int
    threads: int
    """Of each process."""

    @property
    def rounds(self) -> int:
        """Batches of a step in the process that has most of them."""
        return -(-self.batches // self.processes)


def division_of(batches: int, *, threads: int, processes: int | None = None) -> Division:
    """Return a division among so many processes; if None, as few as make the longest part of a step as short as can be.

    No more processes are chosen than there are threads.
    """
    if processes is None:
        rounds = -(-batches // min(threads, batches))
        processes = -(-batches // rounds)
    return Division(batches, processes, max(1, threads // processes))


@dataclass(frozen=True)
class SharingTrial:
    """The seconds of the same forward and backward pass with all threads, and with those of one process."""

    division: Division
    whole_seconds: float
    part_seconds: float
    exchange_seconds: float = 0.0
    """What the processes need to add their gradients, an estimate."""
    is_remembered: bool = False

    @property
    def gain(self) -> float:
        """How many times as fast the processes make a step as one process does."""
        division = self.division
        return division.batches * self.whole_seconds / (division.rounds * self.part_seconds + self.exchange_seconds)

    @property
    def pays(self) -> bool:
        """Whether the processes are clearly faster."""
        return self.gain >= _NEEDED_GAIN


def sharing_trial(model: Transformer, division: Division, *, config: TrainingConfig, runtime: Runtime) -> SharingTrial:
    """Return the remembered trial for this machine, shape of model and division, or measure it and remember it."""
    facts = step_facts(model, config, runtime)
    facts |= {"precision": runtime.precision.value, "threads_of_a_process": division.threads}
    try:
        found = remembered(_KIND, facts) or {}
        whole, part, exchange = (float(found[f"{name}_seconds"]) for name in ("whole", "part", "exchange"))
        return SharingTrial(division, whole, part, exchange, is_remembered=True)
    except (KeyError, TypeError, ValueError):  # absent, or not written by this version
        pass
    was_training = model.training
    whole, part = _measure(model.train(), division, config=config, runtime=runtime)
    model.train(was_training)
    exchange = _exchange_seconds(model.num_parameters())
    remember(_KIND, facts, {"whole_seconds": whole, "part_seconds": part, "exchange_seconds": exchange})
    return SharingTrial(division, whole, part, exchange)


def _measure(
    model: Transformer, division: Division, *, config: TrainingConfig, runtime: Runtime
) -> tuple[float, float]:
    """Time both in turns, and take the least time of each: other programs only make a step slower."""
    with torch.random.fork_rng(devices=[]), keeping_memory(runtime.device):
        began = time.perf_counter()
        most_tokens, make = config.known_batch_size, gradient_pass(model, config=config, runtime=runtime)
        seconds = partial(_seconds, model, make=make, threads=division.threads)
        seconds(made_up_batch(model, min(_FIRST_TOKENS, most_tokens)))  # the first pass prepares kernels
        batch, part = batch_to_time(
            model, seconds, tokens=_FIRST_TOKENS, most_tokens=most_tokens, long_seconds=_LONG_PASS_SECONDS
        )
        whole = _seconds(model, batch, make, runtime.threads)  # prepares the products for so many threads
        for turn in range(_MOST_TURNS):
            if turn > 1 and time.perf_counter() - began > _TRIAL_SECONDS:
                break
            whole = min(whole, _seconds(model, batch, make, runtime.threads))
            part = min(part, _seconds(model, batch, make, division.threads))
        return whole, part


def _exchange_seconds(gradients: int) -> float:
    """Estimate the time in which two processes of one thread add so many gradients."""
    ours, theirs = (torch.zeros(min(gradients, _ADDED_AT_ONCE)) for _ in range(2))
    least = float("inf")
    with _threads(1):
        for _ in range(_MOST_TURNS):
            began = time.perf_counter()
            ours.add_(theirs)
            least = min(least, time.perf_counter() - began)
    return _ADDITIONS * least * gradients / len(ours)


def _seconds(model: Transformer, batch: TensorBatch, make: GradientPass, threads: int) -> float:
    """Return the time of a forward and a backward pass by the clock, waiting for other threads included."""
    with _threads(threads):
        return pass_seconds(model, batch, make, clock=time.perf_counter)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
