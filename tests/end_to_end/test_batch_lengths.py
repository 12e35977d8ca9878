"""Batches have mixed lengths where packed steps pad nothing; it is said, recorded, and kept for the whole run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from pellucid.jobs.promises import batch_size

from .conftest import Command
from .small_runs import numbered_lines, settings

_SAID = "batches: of mixed lengths, since packed steps need no padding (training.batch_lengths)"


def train(*more: str, steps: int = 3, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    return (
        "train", "--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", "run", *options,
        *settings("tokenizer.kind=bytes", f"training.train_steps={steps}", "training.batch_size=256", *more),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def text(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(numbered_lines())
    (tmp_path / "t").write_text(numbered_lines().upper())


def recorded(folder: Path) -> str:
    found: str = tomllib.loads((folder / "run" / "recipe.toml").read_text())["training"]["batch_lengths"]
    return found


def packs(answer: bool, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batch_size, "takes_packed", lambda *_, **__: answer)


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_new_run_mixes_lengths_where_it_packs_and_goes_on_with_what_it_has(
    is_packed: bool, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs(is_packed, monkeypatch)
    dry = command(*train(options=("--dry-run",)))
    assert dry.status == 0, dry.err
    begun = command(*train())
    assert begun.status == 0, begun.err
    assert [_SAID in shown for shown in (dry.err, begun.err)] == [is_packed] * 2
    assert recorded(tmp_path) == ("mixed" if is_packed else "similar")
    packs(not is_packed, monkeypatch)
    continued = command(*train(steps=5))
    assert continued.status == 0, continued.err
    assert "continuing from step 3" in continued.err
    assert recorded(tmp_path) == ("mixed" if is_packed else "similar")


def test_a_run_is_the_same_in_one_go_and_in_two(command: Command, tmp_path: Path) -> None:
    asked = ("training.batch_lengths=mixed", "training.decay_method=constant")
    first, rest = train(*asked, steps=3), train(*asked[1:], steps=7)
    for arguments in (first, rest, train(*asked, steps=7, options=("--output", "whole"))):
        done = command(*arguments)
        assert done.status == 0, done.err
    losses = {}
    for run in ("run", "whole"):
        rows = [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        losses[run] = [row["loss"] for row in rows if row["kind"] == "step" and row["step"] == 7]
    assert losses["run"] == losses["whole"] != []


def test_other_lengths_in_the_same_run_are_refused(command: Command) -> None:
    begun = command(*train("training.batch_lengths=mixed"))
    assert begun.status == 0, begun.err
    other = command(*train("training.batch_lengths=similar", steps=5))
    assert other.status == 1
    assert "training.batch_lengths: was 'mixed', now 'similar'" in other.err


def test_the_other_processes_of_a_run_have_nothing_left_to_decide(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs(False, monkeypatch)
    asked = ("training.accum_count=2", "training.step_method=eager", "training.decay_method=constant")
    shared = command(*train(*asked, "training.processes=2"))
    assert shared.status == 0, shared.err
    alone = command(*train(*asked, "training.processes=1", options=("--output", "alone")))
    assert alone.status == 0, alone.err
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()[:3]]
        for run in ("run", "alone")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
