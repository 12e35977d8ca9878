"""The suite catches bugs of the usual kinds; ``benchmarks/plant_bugs.py`` plants them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "plant_bugs.py"
BUGS = tomllib.loads(SCRIPT.with_name("planted_bugs.toml").read_text(encoding="utf-8"))


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 20


@pytest.mark.parametrize("name", BUGS)
def test_the_list_keeps_up_with_the_code(name: str) -> None:
    bug = BUGS[name]
    assert (ROOT / bug["file"]).read_text(encoding="utf-8").count(bug["old"]) == 1, "mend benchmarks/planted_bugs.toml"
    assert bug["old"] != bug["new"]
    for test in bug["tests"]:
        assert (ROOT / test.partition("::")[0]).exists()


@pytest.mark.slow(minutes=2)
def test_every_planted_bug_is_caught() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
