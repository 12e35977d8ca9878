"""The precision of a trial is on the screen and in the recipe of the run, and a run keeps the one it began with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pellucid.jobs import opening
from pellucid.training.machine.precision import PrecisionTrial

from .conftest import Command
from .small_runs import numbered_lines, settings


def train(*more: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    return (
        "train", "--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", "run", *options,
        *settings("tokenizer.kind=bytes", *more),
    )  # fmt: skip


def write_text(folder: Path) -> None:
    (folder / "s").write_text(numbered_lines())
    (folder / "t").write_text(numbered_lines().upper())


def pretend(trial: PrecisionTrial | None, patch: pytest.MonkeyPatch) -> None:
    def tried(*_: object, **__: object) -> PrecisionTrial:
        assert trial is not None, "there is nothing to try"
        return trial

    patch.setattr(opening, "precision_trial", tried)


@pytest.mark.parametrize(("bf16_seconds", "chosen"), [(0.25, "bf16"), (0.75, "fp32")])
def test_the_faster_precision_is_taken_said_and_kept(
    bf16_seconds: float, chosen: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path)
    pretend(PrecisionTrial(0.5, bf16_seconds), monkeypatch)
    dry = command(*train("training.train_steps=3", options=("--dry-run",)))
    assert dry.status == 0, dry.err
    assert f"{chosen}: a step of this model takes 500 ms in fp32 and {1000 * bf16_seconds:.0f} ms in bf16" in dry.err
    begun = command(*train("training.train_steps=3"))
    assert begun.status == 0, begun.err
    assert f"precision: {chosen}, a step of this model takes 500 ms" in begun.err
    assert tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())["training"]["precision"] == chosen
    pretend(PrecisionTrial(bf16_seconds, 0.5), monkeypatch)
    continued = command(*train("training.train_steps=5"))
    assert continued.status == 0, continued.err
    assert f"precision: {chosen}, the precision that this run began with" in continued.err
    assert "bit-identical" not in continued.err
    assert tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())["training"]["precision"] == chosen


def test_a_precision_that_is_asked_for_is_not_tried(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path)
    pretend(None, monkeypatch)
    outcome = command(*train("training.train_steps=2", "training.precision=bf16"))
    assert outcome.status == 0, outcome.err
