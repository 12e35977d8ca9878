"""Add up what a training run will cost, from the costs of its parts. Read ``dry_run.py`` next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pellucid.config import TrainingConfig
from pellucid.jobs.promises.costs import Cost
from pellucid.training.budget import valid_steps_of
from pellucid.training.probes import SNAPSHOT_STEPS

__all__ = ["Forecast", "RunCosts", "forecast"]

_VALIDATIONS: Final = 10
"""Of a run that sets no interval (``training.budget``)."""
_LINE_BYTES: Final = 330
"""Of a step in ``metrics.jsonl``."""
_PROBE_BYTES: Final = 60_000
_SAVE_SHARE: Final = 20


@dataclass(frozen=True)
class RunCosts:
    """The costs of the parts of one run."""

    preparation: Cost
    step: Cost
    validation: Cost
    early_validation: Cost
    """Before the end of the warm-up, when translations rarely end by themselves, so that few are made."""
    early_last_validation: Cost
    """The same at the end of the run, where all of them are made."""
    save: Cost
    checkpoint_bytes: int
    weights_bytes: int
    data_bytes: int
    steps_of_a_validation: float = 0.0
    """As the run estimates it (``training.validation.cost_in_steps``)."""


@dataclass(frozen=True)
class Forecast:
    """What a run is expected to take."""

    steps: int
    cost: Cost
    """Of the whole command; its ``processor_seconds`` do not depend on other programs."""
    validations: int
    disk_bytes: int
    """At the end."""
    most_disk_bytes: int
    """While a checkpoint and a better model are written beside the older ones."""


def forecast(training: TrainingConfig, costs: RunCosts, *, steps_per_epoch: int) -> Forecast:
    """Return the forecast; of several budgets, the one with the fewest steps decides."""
    bounds = []
    if training.train_steps is not None:
        bounds.append(training.train_steps)
    if training.max_epochs is not None:
        bounds.append(training.max_epochs * steps_per_epoch)
    steps = min(bounds) if bounds else None
    found = _of_steps(training, costs, steps) if steps is not None else None
    if training.minutes is None or (found is not None and found.cost.seconds <= training.minutes * 60):
        if found is None:
            raise ValueError("the length of the run is not set")
        return found
    return _of_minutes(training, costs, training.minutes * 60)


def _of_steps(training: TrainingConfig, costs: RunCosts, steps: int) -> Forecast:
    every = valid_steps_of(training, steps=steps, steps_of_a_validation=costs.steps_of_a_validation)
    validations = -(-steps // every)
    stepping = costs.step * steps
    early = min(validations, training.warmup_steps // every)
    cost = costs.preparation + stepping + _beside(training, costs, validations, early, stepping.seconds, steps)
    return _with_disk(training, costs, steps, cost, validations, stepping.seconds)


def _of_minutes(training: TrainingConfig, costs: RunCosts, seconds: float) -> Forecast:
    left = max(0.0, seconds - costs.preparation.seconds)
    every = max(training.valid_seconds or seconds / _VALIDATIONS, _VALIDATIONS * costs.validation.seconds, 1e-9)
    validations = max(1, int(left / every))
    if training.valid_steps is not None:
        validations = max(1, int(left / (costs.step.seconds * training.valid_steps + costs.validation.seconds)))
    steps = int(left / max(costs.step.seconds, 1e-9))
    for _ in range(3):  # the number of saves and snapshots depends on the steps
        early = min(validations, training.warmup_steps * validations // max(steps, 1))
        beside = _beside(training, costs, validations, early, left, steps).seconds
        steps = max(1, int((left - beside) / max(costs.step.seconds, 1e-9)))
    cost = costs.preparation + costs.step * steps + _beside(training, costs, validations, early, left, steps)
    return _with_disk(training, costs, steps, Cost(seconds, cost.processor_seconds), validations, left)


def _beside(
    training: TrainingConfig, costs: RunCosts, validations: int, early: int, seconds: float, steps: int
) -> Cost:
    """Return the cost of validations, saves, snapshots, and the model folder that each better validation writes."""
    share = costs.weights_bytes / max(costs.checkpoint_bytes, 1)
    saves = _saves(training, costs, validations, seconds, steps) + share * (_snapshots(steps) + validations)
    cost = costs.validation * (validations - early) + costs.early_validation * early + costs.save * saves
    if early < validations:
        return cost
    return cost + costs.early_last_validation + costs.early_validation * -1


def _saves(training: TrainingConfig, costs: RunCosts, validations: int, seconds: float, steps: int) -> int:
    """Return the number of checkpoints: the first, those by time or steps, and one after each validation."""
    if training.save_steps is not None:
        return 1 + validations + steps // training.save_steps
    interval = max(training.save_seconds, _SAVE_SHARE * costs.save.seconds)
    between = seconds / max(validations, 1)
    return 1 + validations + validations * int(between / interval)


def _snapshots(steps: int) -> int:
    return sum(step <= steps for step in SNAPSHOT_STEPS)


def _with_disk(
    training: TrainingConfig, costs: RunCosts, steps: int, cost: Cost, validations: int, seconds: float
) -> Forecast:
    saves = _saves(training, costs, validations, seconds, steps)
    kept = min(saves, training.keep_checkpoint) * costs.checkpoint_bytes
    pictures = _snapshots(steps) * costs.weights_bytes + (_snapshots(steps) + validations) * _PROBE_BYTES
    disk = costs.data_bytes + kept + pictures + costs.weights_bytes + steps * _LINE_BYTES
    # The best checkpoint is kept beside the newest, and the next one is written before an old one goes.
    return Forecast(steps, cost, validations, disk, disk + 2 * costs.checkpoint_bytes + costs.weights_bytes)
