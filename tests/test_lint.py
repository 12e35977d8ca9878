"""``make lint`` and ``make test`` fail on what they are there to find, and name the file.

Each test plants one fault in a small copy of the repository and runs the real target of the real Makefile there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CONFIGURATION = ("Makefile", "pyproject.toml", ".oxfmtrc.json", ".oxlintrc.json")
CLEAN = {
    "src/pellucid/__init__.py": '"""Nothing is wrong here."""\n',
    "tests/test_clean.py": '"""Nothing is wrong here."""\n',
    "benchmarks/clean.py": '"""Nothing is wrong here."""\n',
    "src/pellucid/web/modules/clean.js": "export const double = (x) => 2 * x;\n",
}
# What is planted: the file, its text, and what the output says besides the name of the file.
FAULTS = {
    "unformatted Python": ("tests/test_planted.py", "x = {  'a':1 }\n", "would be reformatted"),
    "untyped function": ("tests/test_planted.py", "def double(x):\n    return 2 * x\n", "[no-untyped-def]"),
    "JavaScript lint error": ("src/pellucid/web/modules/planted.js", "const planted = 1;\n", "no-unused-vars"),
    "unformatted JavaScript": ("src/pellucid/web/modules/planted.js", "export const  planted=1\n", "Format issues"),
}


def copy_of_the_configuration(folder: Path) -> Path:
    for name in CONFIGURATION:
        shutil.copy(ROOT / name, folder / name)
    return folder


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def make(folder: Path, target: str, stamp: str, **environment: str) -> tuple[int, str]:
    """Run a target with the tools beside this Python; ``stamp`` says that they are installed."""
    command = ["make", f"--assume-old=.venv/{stamp}", target, f"BIN={BIN}"]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def skip_without(*tools: str) -> None:
    missing = [tool for tool in tools if not (BIN / tool).exists()]
    if missing or shutil.which("make") is None:
        pytest.skip(f"not installed beside {sys.executable}: {', '.join(missing) or 'make'}; make lint installs them")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which ``make lint`` finds nothing."""
    skip_without("ruff", "mypy", "oxfmt", "oxlint")
    folder = copy_of_the_configuration(tmp_path_factory.mktemp("lint"))
    for name, text in CLEAN.items():
        write(folder, name, text)
    status, output = make(folder, "lint", ".check-installed")
    assert status == 0, output
    return folder


@pytest.mark.parametrize("fault", FAULTS)
def test_lint_fails_on(fault: str, clean: Path) -> None:
    name, text, says = FAULTS[fault]
    write(clean, name, text)
    try:
        status, output = make(clean, "lint", ".check-installed")
    finally:
        (clean / name).unlink()
    assert status != 0, output
    assert name in output
    assert says in output


def test_the_tests_fail_on_a_broken_link(tmp_path: Path) -> None:
    skip_without("pytest")
    folder = copy_of_the_configuration(tmp_path)
    write(folder, "tests/test_docs.py", (ROOT / "tests/test_docs.py").read_text(encoding="utf-8"))
    write(folder, "docs/broken.md", "[A page](nowhere.md)\n")
    write(folder, "docs/whole.md", "[A page](broken.md)\n")
    chosen = {"PYTEST_ADDOPTS": "-k test_links_lead_somewhere -p no:cacheprovider"}
    status, output = make(folder, "test", ".test-installed", **chosen)
    assert status != 0
    assert "test_links_lead_somewhere[docs/broken.md]" in output
    assert "'nowhere.md'" in output
    assert "1 failed, 1 passed" in output
