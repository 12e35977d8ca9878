"""``train`` starts processes of this machine by itself: the same training, one screen, and none is left behind."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pellucid.config import Recipe, recipe_from
from pellucid.errors import ConfigError, PellucidError, ProcessLostError, StoppedError
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


def refuse(error: Exception) -> Callable[..., object]:
    def call(*_: object, **__: object) -> object:
        raise error

    return call


FAILURES: dict[str, tuple[object, str, Exception]] = {
    "no port": (socket, "create_server", OSError(errno.EADDRINUSE, "Address already in use")),
    "no store": (torch.distributed, "TCPStore", RuntimeError("The server socket has failed to listen")),
    "no process": (subprocess, "Popen", BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")),
    "no room for messages": (tempfile, "TemporaryFile", OSError(errno.ENOSPC, "No space left on device")),
    "no connection": (torch.distributed, "init_process_group", RuntimeError("Unable to find address for: lo")),
}
SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.mark.parametrize("name", FAILURES)
def test_processes_that_cannot_be_connected_are_a_plain_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, attribute, error = FAILURES[name]
    monkeypatch.setattr(place, attribute, refuse(error))
    with (
        pytest.raises(ConfigError, match=r"cannot be connected \(.*\); set training\.processes=1") as refused,
        local.started_here(SLEEPS, count=2, threads=1),
    ):
        pytest.fail("there is nobody to train with")
    assert str(error) in str(refused.value)
    assert not torch.distributed.is_initialized()


def test_processes_that_never_meet_are_given_up(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_SECONDS_TO_CONNECT", 0)
    with (
        pytest.raises(ConfigError, match="did not find each other within 0 seconds"),
        local.started_here(SLEEPS, count=2, threads=1),
    ):
        pytest.fail("there is nobody to train with")
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConfigError("the processes cannot be connected (no port); set training.processes=1"), "connected (no port)."),
        (
            ProcessLostError("process 1 ended; nothing is lost\nprocess 1 ended\n  no room"),
            "process 1 ended (no room).",
        ),
    ],
)
def test_a_run_goes_on_alone_where_auto_chose_the_processes(
    error: PellucidError, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = SharingTrial(Division(2, 2, 1), whole_seconds=0.4, part_seconds=0.5)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(choosing, "sharing_trial", lambda *_, **__: trial)
    monkeypatch.setattr(choosing, "started_here", refuse(error))
    said: list[str] = []
    done = train(run_of(tmp_path, train_steps=2), tmp_path / "run", reporter=QuietReporter(said.append))
    assert done.result.steps == 2
    (line,) = (line for line in said if line.startswith("processes: 1 of 2 threads"))
    assert f"in place of 2, because {'the processes cannot be ' * ('connected' in told)}{told}" in line
    assert f"Nothing is lost, and a step takes about {trial.gain:.2f} times as long" in line
    state = json.loads((tmp_path / "run/checkpoints/step-00000002/state.json").read_text())
    assert (state["runtime"]["processes"], state["runtime"]["threads"]) == (1, 2)
    with pytest.raises(type(error), match=r"the processes cannot be connected|process 1 ended"):
        train(run_of(tmp_path, processes=2), tmp_path / "asked", reporter=QuietReporter())


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
