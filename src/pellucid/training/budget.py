"""How long a run may last: steps, epochs or minutes, and what is due when.

A budget of minutes counts the seconds that a run has been worked on, preparation, validations and
saves included, through every stop and continuation; a reserve is left for the last validation and
the last save, as long as the ones before took. Read ``update.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.config import TrainingConfig
from pellucid.errors import ConfigError
from pellucid.training.optimisation import LATEST_DECAY_START, Progress
from pellucid.training.state import TrainingState

__all__ = ["Budget"]

_FIRST_RESERVE_FRACTION = 0.04
_VALIDATION_SHARE = 10.0  # a validation costs at most a tenth of the time between validations
_SAVE_SHARE = 20.0  # and a save a twentieth


class Budget:
    """The length of one run, and the clock that it is measured with.

    ``seconds_before`` is what was spent before this object was made; ``clock`` returns seconds that
    never go back.
    """

    def __init__(
        self,
        config: TrainingConfig,
        *,
        batches_per_epoch: int,
        num_ranks: int,
        seconds_before: float,
        clock: Callable[[], float],
    ) -> None:
        if config.train_steps is None and config.minutes is None and config.max_epochs is None:
            raise ConfigError(
                "training: none of train_steps, minutes and max_epochs is set, so the run would never end; "
                "set one, as in --minutes 20 or --set training.train_steps=10000"
            )
        self._config = config
        self._batches_per_epoch = max(1, batches_per_epoch)
        self._batches_per_step = config.accum_count * num_ranks
        self._clock = clock
        self._started = clock() - seconds_before
        self._validation_seconds: float | None = None
        self._save_seconds = 0.0
        self._step_seconds = 0.0
        self.last_save = self.seconds()

    def seconds(self) -> float:
        """Return the training seconds so far."""
        return self._clock() - self._started

    @property
    def steps(self) -> int | None:
        """The number of steps after which the run ends, as far as it is known beforehand."""
        bounds = []
        if self._config.train_steps is not None:
            bounds.append(self._config.train_steps)
        if self._config.max_epochs is not None:
            bounds.append(-(-self._config.max_epochs * self._batches_per_epoch // self._batches_per_step))
        return min(bounds) if bounds else None

    def progress(self, state: TrainingState) -> Progress:
        """Return where the run stands before its next step."""
        start = state.warmup_end_fraction
        if self._config.minutes is None and self.steps:
            start = self._config.warmup_steps / self.steps
        return Progress(state.step + 1, fraction=self.fraction(state), warmup_end_fraction=start)

    def fraction(self, state: TrainingState) -> float:
        """Return the part of the budget that is used up, 0 to 1: the largest where there are several bounds."""
        parts = [state.step / self.steps] if self.steps else []
        if self._config.minutes is not None:
            parts.append(self.seconds() / max(self._usable_seconds(), 1e-9))
        return min(1.0, max(parts))

    def is_over(self, state: TrainingState) -> str | None:
        """Return why the run has to end now, or None."""
        config = self._config
        if config.train_steps is not None and state.step >= config.train_steps:
            return f"the budget of {config.train_steps:,} steps is used up"
        if config.max_epochs is not None and state.position.epoch >= config.max_epochs:
            return f"the budget of {config.max_epochs:,} epochs is used up"
        if config.minutes is not None and self.seconds() + self._step_seconds >= self._usable_seconds():
            return f"the budget of {config.minutes:g} minutes is used up"
        if self.seconds() < config.min_minutes * 60:
            return None
        if self._is_right(state):
            return (
                f"{state.best['exact_match']:.1%} of the validation sentences come out exactly right "
                f"(the aim is {config.stop_at_exact_match:.1%})"
            )
        if 0 < config.early_stopping <= state.without_better:
            return f"{state.without_better} validations in a row were not better than the best one"
        return None

    def _is_right(self, state: TrainingState) -> bool:
        """Return whether, after a validation, the best model is as good as was asked for."""
        aim = self._config.stop_at_exact_match
        return aim is not None and state.validated_step == state.step and state.best.get("exact_match", 0.0) >= aim

    def seconds_left(self, state: TrainingState) -> float | None:
        """Return the time until the end, as well as it can be told; nobody knows when a run will be right."""
        if self._config.stop_at_exact_match is not None:
            return None
        if self._config.minutes is not None:
            return max(0.0, self._config.minutes * 60 - self.seconds())
        if self.steps is None or not self._step_seconds:
            return None
        return max(0, self.steps - state.step) * self._step_seconds

    def is_validation_due(self, state: TrainingState) -> bool:
        """Return whether it is time for a validation, apart from the one that ends every run."""
        if state.validated_step >= state.step or state.step == 0:
            return False
        if self._config.minutes is not None and self._config.valid_steps is None:
            interval = self.valid_seconds()
            left = self._usable_seconds() - self.seconds()
            # Shortly before the end the last validation is near enough.
            return self.seconds() - state.validated_seconds >= interval and left > interval / 3
        return state.step % self.valid_steps() == 0

    def valid_steps(self) -> int:
        """Return the steps between validations: a tenth of the run if not set."""
        return self._config.valid_steps or max(1, (self.steps or 10_000) // 10)

    def valid_seconds(self) -> float:
        """Return the seconds between validations: as set, or longer where a validation costs over a tenth of them."""
        asked = self._config.valid_seconds or (self._config.minutes or 0.0) * 6
        return max(asked, _VALIDATION_SHARE * (self._validation_seconds or 0.0))

    def is_save_due(self, state: TrainingState) -> bool:
        """Return whether it is time for a checkpoint; one that is dear comes less often than asked for."""
        if state.bad_in_a_row:
            return False
        if self._config.save_steps is not None:
            return state.step % self._config.save_steps == 0
        interval = max(self._config.save_seconds, _SAVE_SHARE * self._save_seconds)
        return self.seconds() - self.last_save >= interval

    def note_validation(self, seconds: float) -> None:
        """Remember what a validation cost."""
        self._validation_seconds = seconds

    def note_save(self, seconds: float) -> None:
        """Remember what a save cost, and that it is done."""
        self._save_seconds = seconds
        self.last_save = self.seconds()

    def note_step(self, seconds: float) -> None:
        """Remember what a step cost, smoothed."""
        self._step_seconds = seconds if not self._step_seconds else 0.95 * self._step_seconds + 0.05 * seconds

    def is_decay_late(self) -> bool:
        """Return whether the warm-up takes up so much of a known number of steps that the peak is not reached."""
        return bool(self.steps) and self._config.warmup_steps > LATEST_DECAY_START * (self.steps or 0)

    def _usable_seconds(self) -> float:
        whole = (self._config.minutes or 0.0) * 60
        if self._validation_seconds is None:
            return whole * (1 - _FIRST_RESERVE_FRACTION)
        return max(0.5 * whole, whole - 1.25 * self._validation_seconds - 1.5 * self._save_seconds - self._step_seconds)
