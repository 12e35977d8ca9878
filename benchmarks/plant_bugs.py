"""Plant bugs of the usual kinds, one at a time, and report which test catches each.

    .venv/bin/python benchmarks/plant_bugs.py [NAME ...]

The bugs are in ``planted_bugs.toml``: a file, the text in it, the wrong text, and the tests that must
notice. The repository is copied to a temporary folder; nothing here is changed. Before any bug is
planted the same tests must pass. The status is 1 if a bug gets through, or if the text that it
replaces is no longer there, so that the list cannot rot.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("planted_bugs.toml")
SECONDS_PER_BUG = 120
SECONDS_FOR_ALL_TESTS = 600
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".environments", "runs", "results", "__pycache__", ".*_cache", ".hypothesis", "build", "dist"
)


@dataclass(frozen=True)
class Bug:
    """A change that no test suite of a translator may let through."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def read_bugs(path: Path = LIST) -> tuple[Bug, ...]:
    """Read the list; every entry is a table named after its bug."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(Bug(name, **(entry | {"tests": tuple(entry["tests"])})) for name, entry in table.items())


def place_is_unique(bug: Bug, root: Path = ROOT) -> bool:
    """Say whether the text to replace stands in its file exactly once, and the wrong text differs."""
    text = (root / bug.file).read_text(encoding="utf-8") if (root / bug.file).is_file() else ""
    return text.count(bug.old) == 1 and bug.old != bug.new


def run_tests(root: Path, tests: Sequence[str], *, seconds: int = SECONDS_PER_BUG) -> tuple[str, str]:
    """Run tests of a copy; return ``passed``, ``failed`` or ``broken``, and the test that failed or what went wrong."""
    environment = os.environ | {
        "PYTHONPATH": str(root / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",  # a restored file of the same size and second would meet old bytecode
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return "broken", f"no end after {seconds} s"
    outcome = {0: "passed", 1: "failed"}.get(done.returncode, "broken")
    first = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", done.stdout, flags=re.M)
    return outcome, first[1] if first else (done.stdout + done.stderr).strip()[-300:]


def plant(bug: Bug, root: Path) -> tuple[str, str]:
    """Plant one bug in a copy, run its tests, and take it out again."""
    path = root / bug.file
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(bug.old, bug.new), encoding="utf-8")
    try:
        return run_tests(root, bug.tests)
    finally:
        path.write_text(original, encoding="utf-8")


def check_copy(root: Path, bugs: Sequence[Bug]) -> str:
    """Return why a copy is not fit to plant bugs in; empty when it is."""
    code = "import pellucid; print(pellucid.__file__)"
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if not done.stdout.startswith(str(root)):
        return f"the copy is not what is imported: {done.stdout}{done.stderr}"
    every_test = sorted({test for bug in bugs for test in bug.tests})
    outcome, what = run_tests(root, every_test, seconds=SECONDS_FOR_ALL_TESTS)
    return "" if outcome == "passed" else f"the tests fail before any bug is planted: {what}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant the bugs that are named, or all; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args(arguments).names
    bugs = [bug for bug in read_bugs() if not names or bug.name in names]
    if unknown := set(names) - {bug.name for bug in bugs}:
        print(f"no such bug: {', '.join(sorted(unknown))}; the names are in {LIST.name}")
        return 1
    if lost := [bug.name for bug in bugs if not place_is_unique(bug)]:
        print(f"the text to replace does not stand in its file exactly once: {', '.join(lost)}; mend {LIST.name}")
        return 1
    started = time.monotonic()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="planted-bugs-") as folder:
        root = Path(folder).resolve() / "copy"
        shutil.copytree(ROOT, root, ignore=NOT_COPIED)
        if problem := check_copy(root, bugs):
            print(problem)
            return 1
        for bug in bugs:
            begun = time.monotonic()
            outcome, what = plant(bug, root)
            verdict = {"failed": "caught", "passed": "MISSED", "broken": "BROKEN"}[outcome]
            missed += outcome != "failed"
            by = f"by {what}" if outcome == "failed" else what
            print(f"{verdict}  {bug.name:<44} {time.monotonic() - begun:5.1f} s  {by}", flush=True)
    print(f"{len(bugs) - missed} of {len(bugs)} planted bugs caught in {time.monotonic() - started:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
