"""The forecast is the sum of its parts, and a budget of minutes is filled with steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pellucid.config import TrainingConfig
from pellucid.jobs.promises.costs import Cost, _spread
from pellucid.jobs.promises.forecast import RunCosts, forecast

COSTS = RunCosts(
    preparation=Cost(30, 40),
    step=Cost(0.5, 1.0),
    validation=Cost(4, 6),
    early_validation=Cost(9, 13),
    early_last_validation=Cost(20, 21),
    save=Cost(0.4, 0.2),
    checkpoint_bytes=400,
    weights_bytes=100,
    data_bytes=1_000,
)
QUICK_SAVE = {"save_seconds": 1e9, "warmup_steps": 0}


def of(**settings: object) -> object:
    return forecast(TrainingConfig(**QUICK_SAVE | settings), COSTS, steps_per_epoch=50)


def test_steps_validations_and_saves_add_up() -> None:
    found = of(train_steps=100, valid_steps=25)
    assert (found.steps, found.validations) == (100, 4)
    # Snapshots after 0, 10, 20, 50 and 100 steps and four models, each a quarter of a checkpoint; five checkpoints.
    assert found.cost.seconds == pytest.approx(30 + 100 * 0.5 + 4 * 4 + (5 + 9 / 4) * 0.4)
    assert found.cost.processor_seconds == pytest.approx(40 + 100 + 24 + (5 + 9 / 4) * 0.2)


def test_validations_before_the_end_of_the_warmup_take_longer() -> None:
    early = of(train_steps=100, valid_steps=25, warmup_steps=60)
    assert early.cost.seconds - of(train_steps=100, valid_steps=25).cost.seconds == pytest.approx(2 * (9 - 4))
    assert of(train_steps=100, valid_steps=25, warmup_steps=400).cost.seconds == pytest.approx(
        of(train_steps=100, valid_steps=25).cost.seconds + 3 * (9 - 4) + (20 - 4)
    )


def test_a_short_run_has_so_few_validations_as_it_can_pay_for() -> None:
    for steps_of_one, expected in ((0.0, 10), (1.0, 10), (2.0, 5), (4.2, 3), (70.0, 1)):
        costs = replace(COSTS, steps_of_a_validation=steps_of_one)
        found = forecast(TrainingConfig(**QUICK_SAVE, train_steps=100), costs, steps_per_epoch=50)
        assert found.validations == expected


def test_epochs_are_steps_and_the_nearest_limit_ends_the_run() -> None:
    assert of(max_epochs=3).steps == 150
    assert of(max_epochs=3, train_steps=20).steps == 20
    assert of(max_epochs=3, minutes=60).steps == 150
    assert of(max_epochs=3, minutes=1).steps < 60


def test_minutes_are_filled() -> None:
    found = of(minutes=10)
    assert found.cost.seconds == 600
    beside = 30 + found.validations * 4 + 0.4 * (1 + found.validations + (10 + found.validations) / 4)
    assert found.steps * 0.5 + beside == pytest.approx(600, abs=3)


def test_disk_at_the_end_and_at_most() -> None:
    found = of(train_steps=100, valid_steps=25, keep_checkpoint=2)
    written = 1_000 + 2 * 400 + 5 * 100 + 100
    assert found.disk_bytes > written
    assert found.disk_bytes - written < 1_000_000, "the rest is the journal and the probes"
    assert found.most_disk_bytes == found.disk_bytes + 2 * 400 + 100


@pytest.mark.parametrize(("count", "wanted"), [(1, 16), (16, 16), (17, 16), (1000, 16)])
def test_every_beginning_of_the_timed_batches_is_spread_over_the_epoch(count: int, wanted: int) -> None:
    places = _spread(count, wanted)
    assert len(set(places)) == len(places) == min(count, wanted)
    for end in range(3, len(places) + 1):
        mean = sum(places[:end]) / end
        assert abs(mean - (count - 1) / 2) < 0.25 * count, places[:end]
