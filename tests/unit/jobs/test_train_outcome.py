"""What a run says at its end is true of a run that was continued and of one that was too short."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.jobs.train import TrainOutcome
from pellucid.training.reporter import TrainingResult


def result(*, seconds: float, steps: int) -> TrainingResult:
    return TrainingResult(
        steps=steps,
        seconds=seconds,
        reason="the end",
        best={},
        best_step=steps,
        epochs=1.0,
        target_tokens=9,
        skipped_steps=0,
        rollbacks=0,
    )


@pytest.mark.parametrize(
    ("of_run", "of_command", "told"),
    [(352.0, 43.0, "352 s in total, 43 of them in this command"), (42.0, 43.0, "43 s in total\n")],
)
def test_steps_and_seconds_are_both_those_of_the_whole_run(of_run: float, of_command: float, told: str) -> None:
    text = TrainOutcome(result(seconds=of_run, steps=150), Path("model"), of_command).to_text()
    assert told in text
    assert "no step" not in text


def test_a_run_without_a_step_says_so() -> None:
    assert "no step was trained" in TrainOutcome(result(seconds=21.0, steps=0), Path("model"), 21.0).to_text()
