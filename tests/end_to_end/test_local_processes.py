"""``train`` starts processes of this machine by itself: the same training, one screen, and none is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pellucid.config import Recipe, recipe_from
from pellucid.errors import ProcessLostError, StoppedError
from pellucid.jobs.choosing import processes as choosing
from pellucid.jobs.reporting.reporter import QuietReporter
from pellucid.jobs.train import train
from pellucid.training.machine.sharing import Division, SharingTrial
from pellucid.training.processes import local
from pellucid.training.reporter import StepRecord

from .conftest import Command
from .small_runs import SMALL, numbered_lines, options, settings

Started = list["subprocess.Popen[bytes]"]
SHORT = (
    "training.accum_count=2",
    "training.batch_size=97",
    "training.decay_method=constant",
    "training.valid_steps=1000000",
    "training.valid_bleu_sentences=0",
    "training.precision=fp32",
    "tokenizer.kind=bytes",
    "data.cleaning.drop_copies=false",
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Return the processes that a run starts."""
    found: Started = []

    def popen(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        found.append(subprocess.Popen(*arguments, **options))  # type: ignore[call-overload]
        return found[-1]

    everything = {name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}
    monkeypatch.setattr(local, "subprocess", SimpleNamespace(Popen=popen, **everything))
    return found


def steps_of(run: Path) -> list[tuple[int, float, int]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"], row["target_tokens"]) for row in rows if row["kind"] == "step"]


@pytest.mark.slow
def test_the_number_of_processes_changes_no_step(command: Command, tmp_path: Path, started: Started) -> None:
    (tmp_path / "s").write_text(numbered_lines())
    own = settings(*SHORT, "training.adam_epsilon=1e-3")

    def trained(run: str, steps: int, processes: int) -> str:
        texts = ("--train-src", "s", "--train-tgt", "s", "--preset", "tiny", "--output", run)
        numbers = {"train_steps": steps, "processes": processes, "threads": processes}
        changes = options(*(f"training.{name}={value}" for name, value in numbers.items()))
        done = command("train", *texts, *own, *changes)
        assert done.status == 0, done.err
        return done.err

    said = trained("shared", 2, 2)
    assert "processes: 2 of 1 thread each" in said
    assert said.count("the model is in") == 1
    assert [process.returncode for process in started] == [0]
    assert not torch.distributed.is_initialized()
    trained("shared", 3, 1)
    trained("alone", 3, 1)
    assert len(started) == 1
    shared, alone = steps_of(tmp_path / "shared"), steps_of(tmp_path / "alone")
    assert [(step, tokens) for step, _, tokens in shared] == [(step, tokens) for step, _, tokens in alone]
    assert [loss for _, loss, _ in shared] == pytest.approx([loss for _, loss, _ in alone], rel=1e-5)
    state = json.loads((tmp_path / "shared/checkpoints/step-00000002/state.json").read_text())
    assert (state["runtime"]["processes"], state["runtime"]["threads"]) == (2, 1)


class _AtStep(QuietReporter):
    """Does something after a step of this session."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act
        self._steps = 0

    def stepped(self, record: StepRecord) -> None:
        self._steps += 1
        if self._steps == 2:
            self._act()


def run_of(folder: Path, **own: object) -> Recipe:
    (folder / "s").write_text(numbered_lines())
    table: dict[str, object] = {"preset": "tiny", "data": {"train": [{"src": folder / "s", "tgt": folder / "s"}]}}
    more = [*SMALL, *SHORT, "training.threads=2", "training.train_steps=1000000"]
    return recipe_from(table, [*more, *(f"training.{name}={value}" for name, value in own.items())], place="test")


@pytest.mark.slow
def test_whatever_ends_one_process_ends_both(tmp_path: Path, started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = run_of(tmp_path, processes=2)
    with pytest.raises(ProcessLostError) as lost:
        train(recipe, tmp_path / "run", reporter=_AtStep(lambda: started[0].kill()))
    assert lost.value.exit_status == 75
    for words in ("process 1 of this run has ended", "process 1 was killed by SIGKILL", "same command"):
        assert words in str(lost.value)

    # Continued, with the number that the run began with; SIGTERM to the first process saves and ends all.
    monkeypatch.setattr(choosing, "sharing_trial", lambda *_, **__: pytest.fail("the run has its number"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    reporter = _AtStep(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(StoppedError, match="stopped by SIGTERM after step") as stopped:
        train(run_of(tmp_path), tmp_path / "run", reporter=reporter)
    newest = max((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert f"after step {int(newest.name[5:])}" in str(stopped.value)
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_a_process_that_cannot_begin_is_named_with_its_last_words(started: Started) -> None:
    words = "import sys; print('no room here', file=sys.stderr); sys.exit(9)"
    with (
        pytest.raises(ProcessLostError, match=r"process 1 of 2(.|\n)*ended with status 9(.|\n)*no room here"),
        local.started_here([sys.executable, "-c", words], count=2, threads=1),
    ):
        pytest.fail("there is nobody to train with")
    assert started[0].returncode == 9
    assert "WORLD_SIZE" not in os.environ


@pytest.mark.usefixtures("started")
def test_a_trial_that_pays_starts_processes_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Division] = []

    def trial(model: object, division: Division, **_: object) -> SharingTrial:
        asked.append(division)
        return SharingTrial(division, whole_seconds=0.4, part_seconds=0.5)

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(choosing, "sharing_trial", trial)
    monkeypatch.setattr(choosing, "started_here", lambda command, **_: pytest.fail(" ".join(command)))
    with pytest.raises(pytest.fail.Exception, match=r"pellucid train --recipe=.*training\.processes=2.*threads=1"):
        train(run_of(tmp_path), tmp_path / "run", reporter=QuietReporter())
    assert asked == [Division(batches=2, processes=2, threads=1)]
    said: list[str] = []
    monkeypatch.setenv("WORLD_SIZE", "1")
    train(run_of(tmp_path, train_steps=1), tmp_path / "other", reporter=QuietReporter(said.append))
    assert not [line for line in said if line.startswith("processes:")]
    assert len(asked) == 1
