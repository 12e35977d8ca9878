"""Manage the run folder: journal, checkpoints, resuming, rollbacks.

Read ``checkpoints.py`` for the files, ``state.py`` for their content.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import nn

from pellucid.config import TrainingConfig
from pellucid.durable import DISK, Disk
from pellucid.errors import TrainingError, counted
from pellucid.training.averaging import MovingAverage
from pellucid.training.batches import DataPosition
from pellucid.training.checkpoints import (
    clean_leftovers,
    find_newest_valid,
    prune_checkpoints,
    remove_after,
    step_of,
    write_checkpoint,
)
from pellucid.training.journal import Journal, NoJournal
from pellucid.training.processes.ranks import Ranks
from pellucid.training.resuming import differences, refuse_changes
from pellucid.training.state import RunFacts, TrainingState, checkpoint_files, read_state, restore

__all__ = ["Archive"]

_BAD_STEPS = "bad-steps.json"
_LENGTHS = {"training.train_steps", "training.minutes", "training.max_epochs"}
_RATE_AFTER_ROLLBACK = 0.5


class Archive:
    """The run folder of one run. ``saved_step`` is the step of the newest checkpoint."""

    def __init__(
        self,
        run_folder: Path,
        *,
        model: nn.Module,
        average: MovingAverage,
        optimiser: torch.optim.Optimizer,
        facts: RunFacts,
        config: TrainingConfig,
        message: Callable[[str], None],
        ranks: Ranks,
        disk: Disk = DISK,
    ) -> None:
        self._run_folder = run_folder
        self._parent = run_folder / "checkpoints"
        self._model = model
        self._average = average
        self._optimiser = optimiser
        self._facts = facts
        self._config = config
        self._message = message
        self._ranks = ranks
        self._disk = disk
        self._bad_steps: list[dict[str, object]] = []
        self.saved_step: int | None = None
        self.rate_of_another_length: float | None = None
        """The learning rate of the last step, if the length of the run has changed since then."""

    def __enter__(self) -> Self:
        path = self._run_folder / "metrics.jsonl"
        self.journal: Journal = Journal(path) if self._ranks.is_first else NoJournal(path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.close()

    def resume(self, *, seed: int) -> TrainingState | None:
        """Restore the newest valid checkpoint and return its state; for a new run, seed the generators and return None.

        Raises:
            IncompatibleModelError: settings, data or architecture changed.
            CheckpointError: every checkpoint is damaged.
        """
        if self._ranks.is_first:
            clean_leftovers(self._parent, disk=self._disk)
        folder = self._find_newest()
        if folder is None:
            self.journal.cut(0)
            torch.manual_seed(seed)
            np.random.seed(seed % (1 << 32))
            random.seed(seed)
            return None
        state, facts = read_state(folder)
        refuse_changes(
            self._run_folder,
            old_settings=facts.settings,
            new_settings=self._facts.settings,
            old_data=facts.data,
            new_data=self._facts.data,
        )
        restore(folder, model=self._model, average=self._average, optimiser=self._optimiser, with_random=True)
        if lost := self.journal.cut(state.journal_bytes):
            self._message(
                f"{self.journal.path}: the last {counted(lost, 'byte')} before step {state.step:,} are missing"
            )
        self.saved_step = state.step
        is_warm = state.step >= self._config.warmup_steps
        if is_warm and self._has_new_length(facts) and (last := self.journal.last("step")):
            self.rate_of_another_length = float(str(last["learning_rate"]))
        self._message(f"continuing from step {state.step:,} ({folder})")
        if changed := differences(facts.runtime, self._facts.runtime):
            self._message(
                "the hardware or software settings differ from the interrupted run, so the result will not be "
                f"bit-identical to an uninterrupted run: {'; '.join(changed)}"
            )
        return state

    def save(self, state: TrainingState) -> tuple[Path, int]:
        """Write a checkpoint, then remove the old ones; return its folder and its size in bytes.

        Raises:
            StoppedError: the disk is full; the earlier checkpoints are intact.
        """
        self.saved_step = state.step
        if not self._ranks.is_first:
            return self._parent, 0
        state = replace(state, journal_bytes=self.journal.flush())
        files = checkpoint_files(
            state, facts=self._facts, model=self._model, average=self._average, optimiser=self._optimiser
        )
        folder, size = write_checkpoint(self._parent, step=state.step, files=files, disk=self._disk)
        prune_checkpoints(self._parent, keep=self._config.keep_checkpoint, best_step=state.best_step, disk=self._disk)
        return folder, size

    def note_bad_step(
        self, state: TrainingState, position: DataPosition, reason: str, rows: Sequence[np.ndarray]
    ) -> None:
        """Record a skipped step for the report."""
        if state.bad_in_a_row == 1:
            self._bad_steps.clear()
        self._bad_steps.append(
            {
                "step": state.step,
                "epoch": position.epoch,
                "batch": position.batch,
                "reason": reason,
                "rows": [row for part in rows for row in part.tolist()],
            }
        )

    def roll_back(self, state: TrainingState) -> TrainingState:
        """Restore a checkpoint from before the bad steps; continue with the data after them and half the learning rate.

        If training fails again without progress, an older checkpoint is restored, if there is one.

        Raises:
            TrainingError: ``max_rollbacks`` is reached, or no earlier checkpoint exists.
        """
        report = self._run_folder / _BAD_STEPS
        if self._ranks.is_first:
            self._disk.write_replacing(report, json.dumps({"steps": self._bad_steps}, indent=1).encode())
        first_bad = state.step - state.bad_in_a_row + 1
        if state.rollbacks >= self._config.max_rollbacks:
            raise TrainingError(self._report(state, report))
        folder = None
        if state.rollback_step is not None and first_bad <= state.rollback_step + self._config.max_bad_steps:
            folder = self._find_newest(before_step=state.rollback_step)
        folder = folder or self._find_newest(before_step=first_bad)
        if folder is None:
            raise TrainingError(self._report(state, report))
        before, _ = read_state(folder)
        restore(folder, model=self._model, average=self._average, optimiser=self._optimiser, with_random=False)
        self._ranks.wait()
        if self._ranks.is_first:
            self._remove_pictures_after(before.step)
            remove_after(self._parent, step=step_of(folder), disk=self._disk)
        self.journal.cut(before.journal_bytes)
        self.saved_step = before.step
        rate_scale = state.rate_scale * _RATE_AFTER_ROLLBACK
        self.journal.append(
            "rollback", {"step": before.step, "from_step": state.step, "rate_scale": rate_scale, "bad": self._bad_steps}
        )
        self._message(
            f"not finite: {counted(state.bad_in_a_row, 'step')} in a row (steps {first_bad:,} to {state.step:,}; "
            f"batches in {report}): returned to step {before.step:,}; training continues "
            "with the data after the bad steps and "
            f"{rate_scale:g} times the learning rate"
        )
        return replace(
            before,
            position=state.position,
            skipped_steps=state.skipped_steps,
            largest_batch=state.largest_batch,
            rollbacks=state.rollbacks + 1,
            rollback_step=before.step,
            rate_scale=rate_scale,
        )

    def _has_new_length(self, old: RunFacts) -> bool:
        return any(line.split(":")[0] in _LENGTHS for line in differences(old.settings, self._facts.settings))

    def _find_newest(self, *, before_step: int | None = None) -> Path | None:
        """Return the newest valid checkpoint that the first process finds."""

        def find() -> str:
            folder = find_newest_valid(self._parent, message=self._message, before_step=before_step)
            return folder.name if folder else ""  # an empty text means that there is none

        name = self._ranks.from_first(find)
        return self._parent / name if name else None

    def _remove_pictures_after(self, step: int) -> None:
        for folder, suffix in (("snapshots", ".safetensors"), ("probes", ".npz")):
            for path in sorted((self._run_folder / folder).glob(f"step-*{suffix}")):
                number = path.name.removeprefix("step-").removesuffix(suffix)
                if number.isdecimal() and int(number) > step:
                    self._disk.remove(path)

    def _report(self, state: TrainingState, report: Path) -> str:
        lines = [f"  step {bad['step']}: {bad['reason']}" for bad in self._bad_steps[-5:]]
        return (
            f"training cannot continue: {counted(state.bad_in_a_row, 'step')} in a row "
            "had a loss or a gradient that is not "
            f"finite, after {counted(state.rollbacks, 'return')} to an earlier checkpoint. The last of these steps:\n"
            + "\n".join(lines)
            + f"\n{report} lists their batches (rows of the token store). Usually a lower training.learning_rate, "
            "more training.warmup_steps, or setting training.max_grad_norm helps; so does removing broken text"
        )
