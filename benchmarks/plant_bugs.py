"""Plant typical bugs, one at a time, and report which test catches each.

    .venv/bin/python benchmarks/plant_bugs.py [NAME ...]

``planted_bugs.toml`` lists the bugs: a file, a text in it, the wrong text, and the tests that must fail.
The bugs are planted in a copy of the repository in a temporary folder. Before any bug is planted, the same
tests must pass. The exit status is 1 if no test catches a bug, or if the text that it replaces no longer
exists, so that the list stays up to date.
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
    """A change that the tests of a translator must catch."""

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
    """Return whether the text to replace occurs exactly once in its file, and the wrong text differs."""
    text = (root / bug.file).read_text(encoding="utf-8") if (root / bug.file).is_file() else ""
    return text.count(bug.old) == 1 and bug.old != bug.new


def run_tests(root: Path, tests: Sequence[str], *, seconds: int = SECONDS_PER_BUG) -> tuple[str, str]:
    """Run tests of a copy; return ``passed``, ``failed`` or ``broken``, and the failed test or the error."""
    environment = os.environ | {
        "PYTHONPATH": str(root / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",  # a restored file with the same size and time would use the old bytecode
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return "broken", f"timed out after {seconds} s"
    outcome = {0: "passed", 1: "failed"}.get(done.returncode, "broken")
    first = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", done.stdout, flags=re.M)
    return outcome, first[1] if first else (done.stdout + done.stderr).strip()[-300:]


def plant(bug: Bug, root: Path) -> tuple[str, str]:
    """Plant one bug in a copy, run its tests, and restore the file."""
    path = root / bug.file
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace(bug.old, bug.new), encoding="utf-8")
    try:
        return run_tests(root, bug.tests)
    finally:
        path.write_text(original, encoding="utf-8")


def check_copy(root: Path, bugs: Sequence[Bug]) -> str:
    """Return why bugs cannot be planted in a copy, or an empty string."""
    code = "import pellucid; print(pellucid.__file__)"
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if not done.stdout.startswith(str(root)):
        return f"Python does not import the copy: {done.stdout}{done.stderr}"
    every_test = sorted({test for bug in bugs for test in bug.tests})
    outcome, what = run_tests(root, every_test, seconds=SECONDS_FOR_ALL_TESTS)
    return "" if outcome == "passed" else f"the tests fail before any bug is planted: {what}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Plant the named bugs, or all; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args(arguments).names
    bugs = [bug for bug in read_bugs() if not names or bug.name in names]
    if unknown := set(names) - {bug.name for bug in bugs}:
        print(f"no such bug: {', '.join(sorted(unknown))}; the names are in {LIST.name}")
        return 1
    if lost := [bug.name for bug in bugs if not place_is_unique(bug)]:
        print(f"the text to replace does not occur exactly once in its file: {', '.join(lost)}; correct {LIST.name}")
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
