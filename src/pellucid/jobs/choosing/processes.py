"""Decide how many processes of this machine share the steps of a run, and start them.

A step has the same batches whatever their number, so it changes the time of a run and nothing else. A run that is
continued keeps the number that it began with where the machine has the threads for it; otherwise a trial decides.
Read ``training/machine/sharing.py`` for the trial, and ``training/processes/local.py`` for the processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch.distributed

from pellucid.config import TrainingConfig
from pellucid.errors import ConfigError, ProcessLostError, counted
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.promises.batch_size import free_memory
from pellucid.jobs.promises.costs import StepCosts, peak_memory
from pellucid.jobs.run_folder import recorded_batches, recorded_facts
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime
from pellucid.training.machine.sharing import Division, division_of, sharing_trial
from pellucid.training.processes.local import started_here
from pellucid.training.processes.ranks import ONE_PROCESS, Ranks

__all__ = ["Sharing", "refuse_processes", "sharing_of"]

_LAUNCHERS: Final = ("WORLD_SIZE", "SLURM_PROCID")
"""Variables of launchers, which decide about processes themselves: torchrun and others, and srun."""
_SHARE_OF_MEMORY: Final = 0.7


@dataclass(frozen=True)
class Sharing:
    """The processes of a run that this process starts; none with ``starts`` false."""

    division: Division
    starts: bool = False
    text: str = ""
    """A line for the screen, empty if there was nothing to decide."""
    is_chosen: bool = False
    """Whether ``auto`` chose them, so that the run goes on with one process where they cannot be connected."""
    gain: float | None = None
    """How many times as fast as one process they are; None if that was not measured."""

    def applied_to(self, run: OpenedRun) -> OpenedRun:
        """Return the run with the threads of one process, and with the number of processes."""
        if not self.starts:
            return run
        reason = f"{run.runtime.threads} for {counted(self.division.processes, 'process')}"
        runtime = replace(run.runtime, threads=self.division.threads, threads_reason=reason)
        training = run.recipe.training.model_copy(update={"processes": self.division.processes})
        return replace(run, runtime=runtime, recipe=run.recipe.model_copy(update={"training": training}))

    @contextmanager
    def started(
        self, run: OpenedRun, *, ranks: Ranks, say: Callable[[str], None] = lambda text: None
    ) -> Iterator[tuple[OpenedRun, Ranks]]:
        """Yield the run with its processes, started and connected; afterwards they have ended.

        Processes that ``auto`` chose and that cannot be connected are left out, because no step is lost by that, and
        ``say`` is told. ``recipe.toml`` in the run folder must be that of the run, and the text must be prepared.

        Raises:
            ConfigError: the processes that the user asked for cannot be connected.
            ProcessLostError: one of them ended early.
        """
        if not self.starts:
            yield run, ranks
            return
        shared, is_ready = self.applied_to(run), False
        division, command = self.division, _command(run, self.division)
        try:
            with (
                self.threads_of_one(shared),
                started_here(command, count=division.processes, threads=division.threads) as group,
            ):
                group.wait()  # as the others do when they look for the prepared text
                is_ready = True
                yield shared, group
                return
        except (ConfigError, ProcessLostError) as error:
            if is_ready or not self.is_chosen:
                raise
            reason = _cause(error)
        say(self._alone(run, reason))
        yield run, ranks

    def _alone(self, run: OpenedRun, reason: str) -> str:
        """Return the line for the screen about a run that goes on with one process."""
        cost = "" if self.gain is None else f", and a step takes about {self.gain:.2f} times as long"
        return (
            f"processes: 1 of {_threads(run.runtime.threads)} in place of {self.division.processes}, because {reason}. "
            f"Nothing is lost{cost}"
        )

    @contextmanager
    def threads_of_one(self, run: OpenedRun) -> Iterator[None]:
        """Compute with the threads of one process."""
        before = torch.get_num_threads()
        run.runtime.apply()
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def divided(self, costs: StepCosts) -> StepCosts:
        """Return the costs of the run from those of one process that made every batch of a step itself."""
        share = self.division.rounds / self.division.batches
        step = replace(costs.step, seconds=costs.step.seconds * share)
        return replace(costs, step=step, memory_bytes=costs.memory_bytes * self.division.processes)


def refuse_processes(training: TrainingConfig, output: Path, *, runtime: Runtime, ranks: Ranks = ONE_PROCESS) -> None:
    """Refuse a number of processes that the run or the machine cannot have.

    Raises:
        ConfigError: the message says which number is possible.
    """
    number = training.processes
    if number == "auto" or number == ranks.count:
        return
    if ranks.count > 1:
        raise ConfigError(
            f"training.processes = {number}, but the launcher started {counted(ranks.count, 'process')}; leave "
            f"training.processes out, or set it to {ranks.count}"
        )
    if runtime.device != "cpu":
        raise ConfigError(
            f"training.processes = {number} divides the cores of a processor, and the device is {runtime.device}; "
            "leave it out, and use torchrun with a process for each GPU"
        )
    batches = recorded_batches(output) or training.accum_count
    if number > batches:
        raise ConfigError(
            f"training.processes = {number}, but a step has {counted(batches, 'batch')} to "
            f"share; use at most {batches}, or for a new run set training.accum_count={number}, with a smaller "
            "training.batch_size if a step shall keep its tokens"
        )


def sharing_of(run: OpenedRun, model: Transformer, *, ranks: Ranks = ONE_PROCESS) -> Sharing:
    """Decide about the processes of a run whose precision and batch size are known."""
    training, threads = run.recipe.training, run.runtime.threads
    batches = recorded_batches(run.output) or training.accum_count
    alone = Sharing(Division(batches, 1, threads))
    if ranks.count > 1 or run.runtime.device != "cpu":
        return alone
    if training.processes != "auto":
        chosen = division_of(batches, threads=threads, processes=training.processes)
        return Sharing(chosen, chosen.processes > 1, _line(chosen, threads, "as requested"))
    best = division_of(batches, threads=threads)
    if best.processes == 1 or _has_launcher():
        return alone
    facts = recorded_facts(run.output)
    begun_with = facts.runtime.get("processes") if facts else None
    if isinstance(begun_with, int) and 1 <= begun_with <= min(batches, threads):
        chosen = division_of(batches, threads=threads, processes=begun_with)
        text = _line(chosen, threads, "as this run began")
        return Sharing(chosen, chosen.processes > 1, text, is_chosen=True)
    trial = sharing_trial(model, best, config=training, runtime=run.runtime)
    when = "measured earlier on this machine" if trial.is_remembered else "measured now"
    reason = (
        f"a batch takes {1000 * trial.part_seconds:.0f} ms with {_threads(best.threads)} and "
        f"{1000 * trial.whole_seconds:.0f} with {threads}, and the processes need about "
        f"{1000 * trial.exchange_seconds:.0f} to add their gradients ({when}), so "
        f"{counted(best.processes, 'process')} make a step of "
        f"{counted(batches, 'batch')} in {1 / trial.gain:.2f} of the time"
    )
    if not trial.pays:
        return replace(alone, text=_line(alone.division, threads, reason))
    needed, free = (best.processes - 1) * peak_memory("cpu"), free_memory()
    if free is not None and needed > _SHARE_OF_MEMORY * free:
        reason += f", but need {needed / 2**30:.1f} GiB more, and {free / 2**30:.1f} GiB are free"
        return replace(alone, text=_line(alone.division, threads, reason))
    return Sharing(best, True, _line(best, threads, reason), is_chosen=True, gain=trial.gain)


def _cause(error: Exception) -> str:
    """Return what happened, without the remedy, and the last words of a process if there are any."""
    what, *more = str(error).splitlines()
    return what.partition(";")[0] + (f" ({more[-1].strip()})" if more else "")


def _has_launcher() -> bool:
    return any(name in os.environ for name in _LAUNCHERS) or torch.distributed.is_initialized()


def _command(run: OpenedRun, division: Division) -> Sequence[str]:
    """Return the command of the other processes: the run of this folder."""
    command = [sys.executable, "-m", "pellucid", "train", f"--recipe={run.output / 'recipe.toml'}"]
    command += [f"--output={run.output}", *([] if run.initial is None else [f"--init-from={run.initial.folder}"])]
    settings = {"processes": division.processes, "threads": division.threads}
    return [*command, *(f"--set=training.{name}={value}" for name, value in settings.items())]


def _line(division: Division, threads: int, reason: str) -> str:
    if division.processes == 1:
        return f"processes: 1 of {_threads(threads)}, {reason}"
    return f"processes: {division.processes} of {_threads(division.threads)} each, {reason}"


def _threads(number: int) -> str:
    return counted(number, "thread")
