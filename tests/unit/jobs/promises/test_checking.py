"""After a miss, ``--check`` says that preset auto chose other settings here than in the promised run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.config import Promise, recipe_from, to_toml
from pellucid.jobs.choosing.preset import settings_in_words
from pellucid.jobs.promises.checking import _explanations
from pellucid.jobs.train import TrainOutcome
from pellucid.training.reporter import TrainingResult


@pytest.mark.parametrize("dropout", [0.1, 0.3])
def test_other_choices_of_preset_auto_are_an_explanation(dropout: float, tmp_path: Path) -> None:
    measured = settings_in_words(recipe_from({"preset": "tiny", "model": {"dropout": 0.1}}))
    table = {"command": "c", "hardware": "h", "minutes": 1, "test_src": "a", "test_tgt": "b", "not_measured": "yet"}
    promise = Promise.model_validate(table | {"chosen": measured})
    (tmp_path / "recipe.toml").write_text(to_toml(recipe_from({"preset": "tiny", "model": {"dropout": dropout}})))
    result = TrainingResult(
        steps=1,
        seconds=1.0,
        reason="the end",
        best={},
        best_step=1,
        epochs=1.0,
        target_tokens=9,
        skipped_steps=0,
        rollbacks=0,
    )
    found = _explanations(promise, TrainOutcome(result, tmp_path / "model", 1.0), ())
    assert [line for line in found if "chose other settings" in line and measured in line] == (
        [] if dropout == 0.1 else list(found)
    )
