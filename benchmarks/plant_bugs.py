"""Plant typical bugs, one at a time, and report which test catches each.

    .venv/bin/python benchmarks/plant_bugs.py [NAME ...]

``planted_bugs.toml`` lists the bugs: a file, a text in it, the wrong text, and the tests that must fail.
The bugs are planted in a copy of the repository in a temporary folder. Before any bug is planted, the same
tests must pass. The exit status is 1 if no test catches a bug, or if the text that it replaces no longer
exists, so that the list stays up to date.

This process imports torch and the other libraries once, but nothing of pellucid. It forks a child for every
bug, and the child imports the copy and runs the tests.
"""

from __future__ import annotations

import argparse
import compileall
import gc
import importlib
import os
import py_compile
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("planted_bugs.toml")
SECONDS_PER_BUG = 600  # ends tests that hang; a busy machine needs a minute for some
SECONDS_FOR_ALL_TESTS = 1200
LIBRARIES = (
    *("hypothesis", "numpy.ctypeslib", "numpy.typing", "pydantic.main", "pydantic.type_adapter", "rich", "sacrebleu"),
    *("safetensors.torch", "sentencepiece", "tomlkit", "torch._dynamo", "typer"),
)
# Plain assertions: pytest would otherwise rewrite those of all of Hypothesis, again for every bug. No plugin is used.
PYTEST = ("-x", "-q", "--tb=no", "-rfE", "--assert=plain", "-p", "no:cacheprovider")
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


def prepare(root: Path) -> None:
    """Have the children import pellucid from the copy, and import the other libraries for them."""
    os.environ |= {
        "PYTHONPATH": str(root / "src"),  # for the commands that tests start
        "PYTHONDONTWRITEBYTECODE": "1",  # a restored file of the same size and second would meet old bytecode
        "OMP_NUM_THREADS": "1",  # threads do not survive a fork
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(root / "src"), str(root)]
    # This bytecode is compared with the text of its source, so a child compiles only the file that has the bug.
    compileall.compile_dir(root / "src", quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # or every child looks through all that the libraries hold, again and again


def run_tests(root: Path, tests: Sequence[str], *, seconds: int = SECONDS_PER_BUG) -> tuple[str, str]:
    """Run tests of a copy; return ``passed``, ``failed`` or ``broken``, and the test that failed or what went wrong."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            signal.alarm(seconds)  # nothing handles the signal, so it also ends a loop in C
            _run_pytest(root, tests, output.fileno())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        said = output.read()
    if status == -signal.SIGALRM:
        return "broken", f"no end after {seconds} s"
    outcome = {0: "passed", 1: "failed"}.get(status, "broken")
    first = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", said, flags=re.M)
    return outcome, first[1] if first else said.strip()[-300:]


def _run_pytest(root: Path, tests: Sequence[str], output: int) -> NoReturn:
    """Run pytest in the copy, write to ``output``, and end this process with pytest's status."""
    status = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(root)
        status = pytest.main([*PYTEST, *tests])
        imported = str(sys.modules["pellucid"].__file__)
        if not imported.startswith(str(root)):
            raise ImportError(f"the tests import {imported}, not the copy")
    except BaseException:
        status = 70
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


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
    """Return why a copy is not fit to plant bugs in; empty when it is."""
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
        prepare(root)
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
