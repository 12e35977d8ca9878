"""Killed at any instant, a run goes on to the very weights of an uninterrupted one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.forked import Started

SCRIPT = Path(__file__).with_name("crash_runs.py")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory where there is one: a killed process cannot tell, and syncing is quick there."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="crash-") as name:
        yield Path(name)


def reports_of(kind: str, folder: Path, **numbers: int) -> list[dict[str, object]]:
    arguments = (SCRIPT, kind, folder, *(f"{k}={v}" for k, v in numbers.items()))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = Started(*arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_a_kill_at_every_operation_of_the_disk(folder: Path) -> None:
    reports = reports_of("operations", folder, steps=4)
    assert not [r for r in reports if r["killed"] != 9 or r["status"] != 0 or not r["same"]]
    kinds = {str(r["operation"]).split()[0] for r in reports}
    assert kinds == {"write", "fsync", "rename", "unlink"}
    # The second save onwards removes an older checkpoint; every file of a save is among the operations.
    touched = {str(r["operation"]).rsplit("/", 1)[-1] for r in reports}
    assert {"weights.safetensors", "averages.safetensors", "optimiser.safetensors", "random.safetensors"} <= touched
    assert {"state.json", "manifest.json", "step-00000004"} <= touched
    assert any(name.endswith(".removed") for name in touched)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(folder: Path) -> None:
    reports = reports_of("moments", folder, steps=40, kills=20, seed=11)
    assert len(reports) == 20
    assert sum(r["killed"] == -signal.SIGPROF for r in reports) >= 15  # the others ended before their moment
    assert not [r for r in reports if r["status"] != 0 or not r["same"]]
    # Moments that all fall before the first save would prove nothing.
    assert len({tuple(r["saved"]) for r in reports}) > 5  # type: ignore[arg-type]


def test_a_full_disk_stops_the_run_and_loses_nothing(folder: Path) -> None:
    stopped, continued = reports_of("disk", folder, steps=6)
    assert stopped["status"] == 75
    assert "optimiser.safetensors" in str(stopped["text"]) or "checkpoints" in str(stopped["text"])
    assert "this save needs" in str(stopped["text"])
    assert stopped["after"] == stopped["before"]
    assert continued["status"] == 0
    assert continued["same"]
