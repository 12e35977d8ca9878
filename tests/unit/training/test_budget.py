"""A budget ends a run in time, counts through stops, and says when validations and saves are due."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.errors import ConfigError, StoppedError
from pellucid.training.budget import Budget
from pellucid.training.reporter import StepRecord
from pellucid.training.state import TrainingState

from .kit import Listener, equal_weights, run_training, training_config


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
        training_config(**changes),
        batches_per_epoch=batches,
        batches_per_step=int(str(changes.get("accum_count", 1))),
        seconds_before=before,
        clock=clock,
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


def short(of_one: float, **changes: object) -> Budget:
    return Budget(
        training_config(**changes),
        batches_per_epoch=100,
        batches_per_step=1,
        seconds_before=0,
        clock=Clock(),
        steps_of_a_validation=of_one,
    )


def test_validations_by_steps_take_a_tenth_of_the_run_unless_they_are_set() -> None:
    def due(run: Budget) -> list[int]:
        return [step for step in range(1, 41) if run.is_validation_due(TrainingState(step=step))]

    assert due(short(0.31, train_steps=40, valid_steps=None)) == list(range(4, 41, 4))
    assert due(short(1.3, train_steps=40, valid_steps=None)) == [13, 26], "at 39, that of the end comes soon enough"
    assert due(short(9.0, train_steps=40, valid_steps=None)) == [], "the end of the run has one in any case"
    assert due(short(9.0, train_steps=40, valid_steps=15)) == [15, 30]
    assert due(short(9.0, train_steps=None, max_epochs=1, valid_steps=None)) == []


def test_a_validation_of_a_part_is_cheap_now_and_reserves_the_time_for_all() -> None:
    clock = Clock()
    run = budget(clock, minutes=10.0, train_steps=None, valid_steps=None)
    run.note_validation(2.0, share=0.1)
    assert run.valid_seconds() == 60, "a tenth of the budget"
    clock.now += 600 - 1.25 * 20 - 1
    assert run.is_over(TrainingState(step=5)) is None
    clock.now += 2
    assert "10 minutes" in str(run.is_over(TrainingState(step=5)))


def test_the_last_validation_has_the_evaluator_of_its_own(tmp_path: Path) -> None:
    result, _, listener = run_training(
        tmp_path,
        config_valid_steps=4,
        evaluator=lambda model: {"bleu": 3.0, "bleu_share": 0.1},
        last_evaluator=lambda model: {"bleu": 5.0},
    )
    *earlier, last = listener.validations
    assert [record.scores for record in earlier] == [{"bleu": 3.0, "bleu_share": 0.1}] * len(earlier)
    assert earlier
    assert last.scores == {"bleu": 5.0}
    assert result.best["bleu"] == 5.0
    assert "bleu_share" not in result.best


def test_short_runs_do_not_validate_all_the_time(tmp_path: Path) -> None:
    """The validation text of these runs takes longer than a step, so a tenth of the steps would be far too often."""
    listener = Listener()
    result, _, _ = run_training(
        tmp_path, config_valid_steps=None, config_train_steps=12, evaluator=lambda model: {}, reporter=listener
    )
    assert [record.step for record in listener.validations] == [result.steps]


def test_early_stopping_ends_the_run(tmp_path: Path) -> None:
    scores = iter([1.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    result, _, listener = run_training(
        tmp_path, config_valid_steps=2, config_early_stopping=3, evaluator=lambda model: {"bleu": next(scores)}
    )
    assert result.steps == 10
    assert result.best_step == 4
    assert result.best["bleu"] == 5.0
    assert "did not improve" in result.reason
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
        assert len([text for text in listener.messages if "before it reaches its peak" in text]) == 1


def test_preparing_brings_no_validation_forward(tmp_path: Path) -> None:
    clock = Clock()
    listener = SlowSteps(clock, 1.0)
    run_training(tmp_path, reporter=listener, clock=clock, config_minutes=2.0, seconds_before=30.0)
    assert listener.validations[0].seconds >= 42


AIM = {
    "config_minutes": 60.0,
    "config_valid_steps": 4,
    "config_stop_at_exact_match": 0.9,
    "config_decay_method": "inverse_sqrt",
    "config_valid_bleu_sentences": 5,
}
"""A run that ends when it is right, and after an hour at the latest."""


def shares(*values: float) -> Callable[[object], dict[str, float]]:
    """Return an evaluator that finds these shares exactly right, one a validation, and a BLEU that always falls."""
    left = list(values)
    return lambda model: {"exact_match": left.pop(0), "bleu": 50.0 + len(left)}


@pytest.mark.parametrize("seconds", [0.001, 1.0, 60.0])
def test_a_run_that_ends_when_it_is_right_is_the_same_however_slow_the_machine_is(
    tmp_path: Path, seconds: float
) -> None:
    results = []
    for name, slowness in (("one", seconds), ("other", 2.0)):
        clock = Clock()
        listener = SlowSteps(clock, slowness)
        evaluate = shares(0.0, 0.5, 0.95, 1.0)
        results.append(run_training(tmp_path / name, reporter=listener, clock=clock, evaluator=evaluate, **AIM))
        assert listener.steps[-1].seconds_left is None
    (result, model, _), (_, same, _) = results
    assert (result.steps, result.best_step) == (12, 12)
    assert result.reason == "95.0% of the validation sentences are translated exactly right (the aim is 90.0%)"
    assert equal_weights(model.state_dict(), same.state_dict())


def test_the_model_that_reached_the_aim_is_kept_whatever_its_bleu(tmp_path: Path) -> None:
    kept: list[object] = []
    run_training(
        tmp_path,
        evaluator=shares(0.0, 0.5, 0.4, 0.9),
        on_new_best=lambda model, facts: kept.append(facts["step"]),
        **AIM,
    )
    assert kept == [4, 8, 16]


def test_no_run_ends_before_its_least_minutes(tmp_path: Path) -> None:
    clock = Clock()
    listener = SlowSteps(clock, 1.0)
    values = shares(0.95, 0.2, 0.3, 0.1, 0.0, 0.0)
    result, _, _ = run_training(
        tmp_path, reporter=listener, clock=clock, evaluator=values, config_min_minutes=0.3, **AIM
    )
    assert (result.steps, result.best_step) == (20, 4), "the model of the fourth step is kept and counts"
    assert result.best["exact_match"] == 0.95


def test_the_limit_of_minutes_ends_a_run_that_is_not_right(tmp_path: Path) -> None:
    clock = Clock()
    result, _, _ = run_training(
        tmp_path,
        reporter=SlowSteps(clock, 1.0),
        clock=clock,
        evaluator=lambda model: {"exact_match": 0.5, "bleu": 1.0},
        **AIM | {"config_minutes": 0.5},
    )
    assert "0.5 minutes is used up" in result.reason


def test_a_run_that_was_right_is_over_when_it_is_continued(tmp_path: Path) -> None:
    first, _, _ = run_training(tmp_path, evaluator=shares(0.5, 0.9), **AIM)
    again, _, listener = run_training(tmp_path, evaluator=shares(), **AIM)
    assert (again.steps, again.reason, listener.steps) == (first.steps, first.reason, [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop_at_exact_match": 0.9}, "valid_bleu_sentences, which is 0"),
        ({"stop_at_exact_match": 97.0}, "less than or equal to 1"),
        ({"minutes": 2.0, "min_minutes": 3.0}, "min_minutes = 3 is more than minutes = 2"),
    ],
)
def test_an_aim_that_cannot_be_measured_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training_config(**changes)


def jumps(listener: Listener) -> list[str]:
    return [text for text in listener.messages if "learning rate changes from" in text]


def test_the_jump_of_the_rate_is_told_when_a_budget_of_steps_is_extended(tmp_path: Path) -> None:
    _, _, before = run_training(tmp_path, config_train_steps=20)
    _, _, after = run_training(tmp_path, config_train_steps=40)
    last, first = before.steps[-1].learning_rate, after.steps[0].learning_rate
    assert jumps(after) == [
        f"the length of this run has changed, so its learning rate changes from {last:.2e} to {first:.2e}"
    ]
    assert first > 5 * last


def test_the_jump_of_the_rate_is_told_when_a_budget_of_minutes_is_extended(tmp_path: Path) -> None:
    clock = Clock()
    run_training(tmp_path, reporter=SlowSteps(clock, 1.0), clock=clock, config_minutes=0.5)
    listener = SlowSteps(clock, 1.0)
    run_training(tmp_path, reporter=listener, clock=clock, config_minutes=1.0)
    (said,) = jumps(listener)
    assert said.endswith(f"to {listener.steps[0].learning_rate:.2e}")


@pytest.mark.parametrize(
    "longer",
    [
        {"config_train_steps": 20},
        {"config_train_steps": 40, "config_decay_method": "inverse_sqrt"},
        {"config_train_steps": 40, "config_decay_method": "constant"},
    ],
    ids=["not extended", "no end in its schedule", "no schedule"],
)
def test_a_rate_that_does_not_jump_is_not_mentioned(tmp_path: Path, longer: dict[str, object]) -> None:
    run_training(tmp_path, **longer | {"config_train_steps": 20})
    _, _, listener = run_training(tmp_path, **longer)
    assert listener.messages
    assert not jumps(listener)
