"""Copy, reverse and sort are learned from scratch through the real command.

Each task has another seed, so the recipe does not depend on one; docs/log.md has all three tasks with three seeds.
No time is asserted: the recipe fixes the steps, and docs/log.md says how long they took where.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.forked import Started

from .toy_tasks import TASKS, UNSEEN_PAIRS, write_task

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "toy.toml"


def pellucid(*arguments: str | Path) -> None:
    process = Started("-m", "pellucid", *arguments, stderr=subprocess.PIPE, text=True)
    _, said = process.communicate()
    assert process.returncode == 0, said


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize(("task", "seed"), [(task, seed) for seed, task in enumerate(sorted(TASKS), start=1)])
def test_a_toy_task_is_learned(task: str, seed: int, tmp_path: Path) -> None:
    write_task(task, tmp_path, seed=seed)
    run = tmp_path / "run"
    pellucid("train", "--recipe", RECIPE, "--data-dir", tmp_path, "--output", run, "--set", f"training.seed={seed}")
    pellucid("translate", run, tmp_path / "test.src", "--output", tmp_path / "out", "--beam-size", "1")
    wanted = (tmp_path / "test.tgt").read_text().splitlines()
    found = (tmp_path / "out").read_text().splitlines()
    right = sum(a == b for a, b in zip(wanted, found, strict=True))
    assert right >= 0.99 * UNSEEN_PAIRS
