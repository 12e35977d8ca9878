"""The length of a run in steps, epochs or minutes, and the times of its validations and saves.

A budget of minutes counts the working time of a run over all its continuations, including preparation, validations and
saves. It includes a reserve for the last validation and the last save; earlier ones decide its size. Read ``update.py``
next.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pellucid.config import TrainingConfig
from pellucid.errors import ConfigError, counted
from pellucid.training.optimisation import LATEST_DECAY_START, Progress
from pellucid.training.state import TrainingState
from pellucid.training.validation import forgotten

__all__ = ["Budget", "valid_steps_of"]

_FIRST_RESERVE_FRACTION = 0.04
_VALIDATION_SHARE = 10.0  # a validation takes at most a tenth of the time between validations
_SAVE_SHARE = 20.0  # a save takes at most a twentieth of the time between saves


class Budget:
    """The length of one run, and its clock.

    ``seconds_before`` is the working time before this object was made; ``clock`` returns seconds and never goes back;
    ``steps_of_a_validation`` is the number of steps that take about as long as a validation.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        batches_per_epoch: int,
        batches_per_step: int,
        seconds_before: float,
        clock: Callable[[], float],
        steps_of_a_validation: float = 0.0,
    ) -> None:
        if config.train_steps is None and config.minutes is None and config.max_epochs is None:
            raise ConfigError(
                "training: none of train_steps, minutes and max_epochs is set, so the run would never end; "
                "set one, as in --minutes 20 or --set training.train_steps=10000"
            )
        self._config = config
        self._batches_per_epoch = max(1, batches_per_epoch)
        self._batches_per_step = batches_per_step
        self._clock = clock
        self._started = clock() - seconds_before
        self._steps_of_a_validation = steps_of_a_validation
        self._validation_seconds: float | None = None
        self._last_validation_seconds = 0.0
        self._save_seconds = 0.0
        self._step_seconds = 0.0
        self.last_save = self.seconds()

    def seconds(self) -> float:
        """Return the training seconds so far."""
        return self._clock() - self._started

    @property
    def steps(self) -> int | None:
        """The number of steps after which the run ends; None if only time or a score ends it."""
        bounds = []
        if self._config.train_steps is not None:
            bounds.append(self._config.train_steps)
        if self._config.max_epochs is not None:
            bounds.append(-(-self._config.max_epochs * self._batches_per_epoch // self._batches_per_step))
        return min(bounds) if bounds else None

    def progress(self, state: TrainingState) -> Progress:
        """Return the progress of the run before its next step."""
        start = state.warmup_end_fraction
        if self._config.minutes is None and self.steps:
            start = self._config.warmup_steps / self.steps
        return Progress(state.step + 1, fraction=self.fraction(state), warmup_end_fraction=start)

    def fraction(self, state: TrainingState) -> float:
        """Return the used part of the budget, 0 to 1; with several limits, the largest part."""
        parts = [state.step / self.steps] if self.steps else []
        if self._config.minutes is not None:
            parts.append(self.seconds() / max(self._usable_seconds(), 1e-9))
        return min(1.0, max(parts))

    def is_over(self, state: TrainingState) -> str | None:
        """Return why the run must end now, or None."""
        config = self._config
        if config.train_steps is not None and state.step >= config.train_steps:
            return f"the budget of {counted(config.train_steps, 'step')} is used up"
        if config.max_epochs is not None and state.position.epoch >= config.max_epochs:
            return f"the budget of {config.max_epochs:,} epochs is used up"
        if config.minutes is not None and self.seconds() + self._step_seconds >= self._usable_seconds():
            return f"the budget of {counted(config.minutes, 'minute')} is used up"
        lost = forgotten(state.validation)
        if lost > config.max_forgetting and 0 < config.forgetting_patience <= state.without_better:
            return (
                f"the general score is {lost:.1f} BLEU lower than before (max_forgetting = {config.max_forgetting:g}), "
                f"and {counted(state.without_better, 'validation')} in a row brought no better model"
            )
        if self.seconds() < config.min_minutes * 60:
            return None
        if self._is_right(state):
            return (
                f"{state.best['exact_match']:.1%} of the validation sentences are translated exactly right "
                f"(the aim is {config.stop_at_exact_match:.1%})"
            )
        if 0 < config.early_stopping <= state.without_better:
            return f"{counted(state.without_better, 'validation')} in a row did not improve on the best one"
        return None

    def _is_right(self, state: TrainingState) -> bool:
        """Return whether the last step was validated and the best model reaches ``stop_at_exact_match``."""
        aim = self._config.stop_at_exact_match
        return aim is not None and state.validated_step == state.step and state.best.get("exact_match", 0.0) >= aim

    def seconds_left(self, state: TrainingState) -> float | None:
        """Return the estimated time until the end; None if a score decides it or no step is measured yet."""
        if self._config.stop_at_exact_match is not None:
            return None
        if self._config.minutes is not None:
            return max(0.0, self._config.minutes * 60 - self.seconds())
        if self.steps is None or not self._step_seconds:
            return None
        return max(0, self.steps - state.step) * self._step_seconds

    def is_validation_due(self, state: TrainingState) -> bool:
        """Return whether a validation is due now; every run also ends with one."""
        if state.validated_step >= state.step or state.step == 0:
            return False
        if self._config.minutes is not None and self._config.valid_steps is None:
            interval = self.valid_seconds()
            left = self._usable_seconds() - self.seconds()
            # Shortly before the end, the last validation comes soon enough.
            return self.seconds() - state.validated_seconds >= interval and left > interval / 3
        interval = self.valid_steps()
        if self._config.valid_steps is None and self.steps and 0 < self.steps - state.step < interval / 3:
            return False
        return state.step % interval == 0

    def valid_steps(self) -> int:
        """Return the steps between validations."""
        return valid_steps_of(self._config, steps=self.steps, steps_of_a_validation=self._steps_of_a_validation)

    def valid_seconds(self) -> float:
        """Return the seconds between validations; slow validations lengthen the interval."""
        interval = self._config.valid_seconds or (self._config.minutes or 0.0) * 6
        return max(interval, _VALIDATION_SHARE * (self._validation_seconds or 0.0))

    def is_save_due(self, state: TrainingState) -> bool:
        """Return whether a checkpoint is due now; slow saves lengthen the interval."""
        if state.bad_in_a_row:
            return False
        if self._config.save_steps is not None:
            return state.step % self._config.save_steps == 0
        interval = max(self._config.save_seconds, _SAVE_SHARE * self._save_seconds)
        return self.seconds() - self.last_save >= interval

    def note_validation(self, seconds: float, *, share: float = 1.0) -> None:
        """Remember the duration of a validation, of this share of its sentences; the last one of a run has them all."""
        self._validation_seconds = seconds
        self._last_validation_seconds = seconds / share

    def note_save(self, seconds: float) -> None:
        """Remember the duration and the time of a save."""
        self._save_seconds = seconds
        self.last_save = self.seconds()

    def note_step(self, seconds: float) -> None:
        """Remember the duration of a step, smoothed."""
        self._step_seconds = seconds if not self._step_seconds else 0.95 * self._step_seconds + 0.05 * seconds

    def is_decay_late(self) -> bool:
        """Return whether the warm-up is so long that a known number of steps ends before its peak."""
        return bool(self.steps) and self._config.warmup_steps > LATEST_DECAY_START * (self.steps or 0)

    def _usable_seconds(self) -> float:
        whole = (self._config.minutes or 0.0) * 60
        if self._validation_seconds is None:
            return whole * (1 - _FIRST_RESERVE_FRACTION)
        reserve = 1.25 * self._last_validation_seconds + 1.5 * self._save_seconds + self._step_seconds
        return max(0.5 * whole, whole - reserve)


def valid_steps_of(config: TrainingConfig, *, steps: int | None, steps_of_a_validation: float) -> int:
    """Return the steps between validations: as set, or a tenth of the run, or so many that they take ten times as long.

    A run that is shorter has one validation, at its end.
    """
    return config.valid_steps or max(1, (steps or 10_000) // 10, math.ceil(_VALIDATION_SHARE * steps_of_a_validation))
