"""A budget ends a run in time, counts through stops, and says when validations and saves are due."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.errors import ConfigError, StoppedError
from pellucid.training.budget import Budget
from pellucid.training.reporter import StepRecord
from pellucid.training.state import TrainingState

from .kit import Listener, run_training, training_config


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SlowSteps(Listener):
    """Every step takes the same time."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self._clock, self._seconds = clock, seconds

    def stepped(self, record: StepRecord) -> None:
        super().stepped(record)
        self._clock.now += self._seconds


def budget(clock: Clock, *, before: float = 0.0, batches: int = 100, **changes: object) -> Budget:
    return Budget(
        training_config(**changes), batches_per_epoch=batches, num_ranks=1, seconds_before=before, clock=clock
    )


def test_a_run_without_a_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="train_steps, minutes and max_epochs"):
        budget(Clock(), train_steps=None)


def test_epochs_bound_a_run() -> None:
    one = budget(Clock(), train_steps=None, max_epochs=3, batches=7, accum_count=2)
    assert one.steps == 11
    assert one.fraction(TrainingState(step=5)) == pytest.approx(5 / 11)


def test_a_budget_of_minutes_ends_in_time_with_the_last_validation(tmp_path: Path) -> None:
    clock = Clock()

    def evaluate(model: object) -> dict[str, float]:
        clock.now += 3.0
        return {}

    listener = SlowSteps(clock, 1.0)
    result, _, _ = run_training(
        tmp_path, reporter=listener, clock=clock, evaluator=evaluate, seconds_before=20.0, config_minutes=2.0
    )
    assert 110 <= result.seconds <= 120
    assert listener.validations[-1].step == result.steps
    assert 2 <= len(listener.validations) <= 5
    # A validation of 3 s would be due every 12 s; 30 s keep its cost at a tenth.
    gaps = [b.seconds - a.seconds for a, b in zip(listener.validations, listener.validations[1:], strict=False)]
    assert min(gaps[:-1], default=30) >= 29
    assert listener.steps[-1].learning_rate < 0.15 * max(record.learning_rate for record in listener.steps)


def test_minutes_go_on_and_do_not_begin_again(tmp_path: Path) -> None:
    clock = Clock()

    class Stopping(SlowSteps):
        def stepped(self, record: StepRecord) -> None:
            super().stepped(record)
            if record.seconds > 40:
                raise StoppedError("power cut")

    with pytest.raises(StoppedError):
        run_training(tmp_path, reporter=Stopping(clock, 1.0), clock=clock, config_minutes=1.0, config_save_seconds=5.0)
    clock.now += 10_000  # the time between does not count
    listener = SlowSteps(clock, 1.0)
    result, _, _ = run_training(
        tmp_path, reporter=listener, clock=clock, config_minutes=1.0, config_save_seconds=5.0, seconds_before=2.0
    )
    assert 34 <= listener.starts[0].seconds <= 43
    assert len(listener.steps) <= 25
    assert 50 <= result.seconds <= 60


def test_saves_go_by_time_or_by_steps() -> None:
    clock = Clock()
    by_time = budget(clock, save_seconds=10.0)
    assert not by_time.is_save_due(TrainingState(step=1))
    clock.now += 10
    assert by_time.is_save_due(TrainingState(step=1))
    assert not by_time.is_save_due(TrainingState(step=1, bad_in_a_row=1))
    by_time.note_save(2.0)
    clock.now += 39
    assert not by_time.is_save_due(TrainingState(step=1))  # a save of 2 s is worth having every 40 s
    clock.now += 1
    assert by_time.is_save_due(TrainingState(step=1))
    by_steps = budget(clock, save_steps=4)
    assert [step for step in range(1, 13) if by_steps.is_save_due(TrainingState(step=step))] == [4, 8, 12]


def test_validations_go_by_steps_once_each() -> None:
    by_steps = budget(Clock(), train_steps=40, valid_steps=None)
    due = [step for step in range(41) if by_steps.is_validation_due(TrainingState(step=step))]
    assert due == list(range(4, 41, 4))
    assert not by_steps.is_validation_due(TrainingState(step=8, validated_step=8))


def test_early_stopping_ends_the_run(tmp_path: Path) -> None:
    scores = iter([1.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    result, _, listener = run_training(
        tmp_path, config_valid_steps=2, config_early_stopping=3, evaluator=lambda model: {"bleu": next(scores)}
    )
    assert result.steps == 10
    assert result.best_step == 4
    assert result.best["bleu"] == 5.0
    assert "not better" in result.reason
    assert [record.is_best for record in listener.validations] == [True, True, False, False, False]


def test_epochs_end_the_run_at_the_last_batch(tmp_path: Path) -> None:
    result, _, _ = run_training(tmp_path, config_train_steps=None, config_max_epochs=2, config_accum_count=4)
    assert result.epochs == 2
    assert "2 epochs" in result.reason


def test_a_long_warm_up_is_told_once(tmp_path: Path) -> None:
    _, _, by_steps = run_training(tmp_path / "steps", config_train_steps=6, config_warmup_steps=100)
    clock = Clock()
    by_time = SlowSteps(clock, 3.0)
    run_training(tmp_path / "time", reporter=by_time, clock=clock, config_minutes=1.0, config_warmup_steps=100)
    for listener in (by_steps, by_time):
        assert len([text for text in listener.messages if "below its peak" in text]) == 1


def test_preparing_brings_no_validation_forward(tmp_path: Path) -> None:
    clock = Clock()
    listener = SlowSteps(clock, 1.0)
    run_training(tmp_path, reporter=listener, clock=clock, config_minutes=2.0, seconds_before=30.0)
    assert listener.validations[0].seconds >= 42
