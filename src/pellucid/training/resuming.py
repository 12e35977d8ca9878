"""May this run be continued with these settings? The comparison, and the words for what differs.

Read ``trainer.py`` next, which asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from pellucid.errors import IncompatibleModelError

__all__ = ["FREE_SETTINGS", "differences", "rate_jump", "refuse_changes"]

_WORTH_SAYING: Final = 0.05
"""A change of the rate, as a part of it; from one step to the next it changes less."""

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
        "training.min_minutes",
        "training.keep_checkpoint",
        "training.save_seconds",
        "training.save_steps",
        "training.max_bad_steps",
        "training.max_rollbacks",
        "training.device",
        "training.precision",
        "training.threads",
    }
)
"""Settings that may change when a run is continued, a whole section by its name."""

_ABSENT: Final = "(not set)"


def differences(old: Mapping[str, object], new: Mapping[str, object], *, free: Iterable[str] = ()) -> list[str]:
    """Return a line for every value that differs between two nested tables, keys joined by dots.

    A name in ``free`` leaves that value, or that whole table, out of the comparison.
    """
    return [f"{key}: was {before!r}, now {now!r}" for key, before, now in _compare(old, new, "", frozenset(free))]


def _compare(
    old: Mapping[str, object], new: Mapping[str, object], prefix: str, free: frozenset[str]
) -> list[tuple[str, object, object]]:
    found: list[tuple[str, object, object]] = []
    for name in sorted({*old, *new}):
        key = f"{prefix}{name}"
        before, now = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if key in free:
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            found += _compare(before, now, f"{key}.", free)
        elif _normal(before) != _normal(now):
            found.append((key, before, now))
    return found


def rate_jump(before: float | None, now: float) -> str:
    """Say how the learning rate jumps where a run goes on longer or shorter than was planned; "" where it does not."""
    if before is None or abs(now - before) <= _WORTH_SAYING * max(now, before):
        return ""
    return f"the length of this run has changed, so its learning rate goes from {before:.2e} to {now:.2e}"


def _normal(value: object) -> object:
    """Return lists for tuples, as JSON does, and treat an unset value like an absent one."""
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
    """Refuse to continue a run whose architecture, data or deciding settings changed.

    Raises:
        IncompatibleModelError: something changed; the message lists all of it, and what may change.
    """
    lines = differences(old_settings, new_settings, free=FREE_SETTINGS)
    lines += [f"data.{line}" for line in differences(old_data, new_data)]
    if lines:
        free = ", ".join(sorted(name.removeprefix("training.") for name in FREE_SETTINGS))
        raise IncompatibleModelError(
            f"{run_folder}: this run cannot be continued, because what decides its result has changed:\n  "
            + "\n  ".join(lines)
            + f"\ngive the old values, or another --output for a new run. Free to change are: {free}"
        )
