"""Compare the settings of a run with those of its checkpoint, and describe the differences.

Read ``trainer.py`` next.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pellucid.config import TrainingConfig
from pellucid.errors import ConfigError, IncompatibleModelError, counted
from pellucid.training.state import TrainingState

__all__ = ["FREE_SETTINGS", "differences", "rate_jump", "refuse_changes", "with_step_size"]

_REPORTED_JUMP: Final = 0.05
"""The relative change of the learning rate that is reported; between two normal steps it is smaller."""

FREE_SETTINGS: Final = frozenset(
    {
        "description",
        "translation",
        "training.train_steps",
        "training.minutes",
        "training.max_epochs",
        "training.valid_steps",
        "training.valid_seconds",
        "training.valid_bleu_sentences",
        "training.early_stopping",
        "training.stop_at_exact_match",
        "training.max_forgetting",
        "training.forgetting_patience",
        "training.min_minutes",
        "training.keep_checkpoint",
        "training.save_seconds",
        "training.save_steps",
        "training.tensorboard",
        "training.max_bad_steps",
        "training.max_rollbacks",
        "training.hang_seconds",
        "training.device",
        "training.precision",
        "training.attention",
        "training.step_method",
        "training.threads",
        "training.processes",
    }
)
"""Settings, or whole sections, that may change when a run is continued."""

_ABSENT: Final = "(not set)"


def differences(
    old: Mapping[str, object], new: Mapping[str, object], *, free: Container[str] = (), prefix: str = ""
) -> list[str]:
    """Return a line for every value that differs between two nested tables, with keys joined by dots after ``prefix``.

    The values and tables named in ``free`` are not compared.
    """
    lines: list[str] = []
    for name in sorted({*old, *new}):
        key = f"{prefix}{name}"
        before, now = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if key in free:
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            lines += differences(before, now, free=free, prefix=f"{key}.")
        elif _normal(before) != _normal(now):
            lines.append(f"{key}: was {_shown(before)}, now {_shown(now)}")
    return lines


def with_step_size(state: TrainingState, *, config: TrainingConfig, processes: int) -> TrainingState:
    """Return a state with the number of batches in a step, over all processes; a run keeps that of its beginning.

    So a run that goes on with another number of processes makes the same steps.

    Raises:
        ConfigError: there are more processes than batches.
    """
    begun_with = config.accum_count * (processes if config.processes == "auto" else 1)
    number = state.batches_per_step or begun_with
    if number < processes:
        raise ConfigError(
            f"this run has {counted(number, 'batch')} in a step, "
            f"which {counted(processes, 'process')} "
            f"cannot share; continue it with at most {number}"
        )
    return replace(state, batches_per_step=number)


def rate_jump(before: float | None, now: float) -> str:
    """Describe a jump of the learning rate after a change of the run's length; return "" if there is none."""
    if before is None or abs(now - before) <= _REPORTED_JUMP * max(now, before):
        return ""
    return f"the length of this run has changed, so its learning rate changes from {before:.2e} to {now:.2e}"


def _shown(value: object) -> str:
    return "not set" if value in (None, _ABSENT) else repr(value)


def _normal(value: object) -> object:
    """Convert tuples to lists, as JSON does, and treat an unset value like an absent one."""
    if isinstance(value, list | tuple):
        return [_normal(inner) for inner in value]
    return _ABSENT if value is None else value


def refuse_changes(
    run_folder: Path,
    *,
    old_settings: Mapping[str, object],
    new_settings: Mapping[str, object],
    old_data: Mapping[str, object],
    new_data: Mapping[str, object],
) -> None:
    """Check that architecture, data and settings are unchanged, except for ``FREE_SETTINGS``.

    Raises:
        IncompatibleModelError: they changed; the message lists the changes and the settings that may change.
    """
    lines = differences(old_settings, new_settings, free=FREE_SETTINGS)
    lines += differences(old_data, new_data, prefix="data.")
    if lines:
        free = ", ".join(sorted(name.removeprefix("training.") for name in FREE_SETTINGS))
        raise IncompatibleModelError(
            f"{run_folder}: this run cannot be continued, because settings or data that affect its result have "
            "changed:\n  "
            + "\n  ".join(lines)
            + f"\nRestore the old values, or use another --output for a new run. These settings may change: {free}"
        )
