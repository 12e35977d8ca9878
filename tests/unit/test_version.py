"""The version is known in a source tree that was never installed, and is written in one place."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pellucid

ROOT = Path(__file__).resolve().parents[2]

# What importlib.metadata does where no distribution of this name is installed.
_NOT_INSTALLED = """
import importlib.metadata as metadata, runpy, sys

found = metadata.Distribution.from_name
def from_name(name):
    if name.lower() == "pellucid":
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.Distribution.from_name = from_name
try:
    metadata.version("pellucid")
except metadata.PackageNotFoundError:
    pass
else:
    sys.exit("the test did not hide the distribution")
"""


def run_uninstalled(code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", _NOT_INSTALLED + code], env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize(
    "code",
    [
        "import pellucid; print(pellucid.__version__)",
        "sys.argv[1:] = ['--version']; runpy.run_module('pellucid', run_name='__main__')",
    ],
    ids=["import", "command"],
)
def test_a_tree_that_was_never_installed_knows_its_version(code: str) -> None:
    done = run_uninstalled(code)
    assert (done.returncode, done.stdout.strip()) == (0, pellucid.__version__), done.stderr


@pytest.mark.slow
def test_a_model_folder_is_written_where_nothing_was_installed(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("".join(f"wort {i} und noch eins\n" for i in range(29)))
    arguments = [
        "train", "--train-src", str(text), "--train-tgt", str(text), "--output", str(tmp_path / "run"),
        *(part for setting in (
            "training.train_steps=1", "training.threads=1", "training.valid_bleu_sentences=1", "model.d_model=4",
            "model.num_heads=2", "model.d_feedforward=5", "model.num_encoder_layers=1", "model.num_decoder_layers=1",
            "tokenizer.kind=bytes", "data.cleaning.drop_copies=false",
        ) for part in ("--set", setting)),
    ]  # fmt: skip
    done = run_uninstalled(f"sys.argv[1:] = {arguments!r}; runpy.run_module('pellucid', run_name='__main__')")
    assert done.returncode == 0, done.stderr
    described = tomllib.loads((tmp_path / "run" / "model" / "model.toml").read_text(encoding="utf-8"))
    assert described["pellucid_version"] == pellucid.__version__
    assert f"pellucid {pellucid.__version__}" in (tmp_path / "run" / "model" / "card.md").read_text(encoding="utf-8")


def test_the_version_is_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    home = ROOT / project["tool"]["hatch"]["version"]["path"]
    values = [
        ast.literal_eval(node.value)
        for node in ast.parse(home.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    assert values == [pellucid.__version__]


def test_nobody_asks_for_the_version_of_an_installed_pellucid() -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("src", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"version", "distribution", "metadata"}
        and any(isinstance(argument, ast.Constant) and argument.value == "pellucid" for argument in node.args)
    ]
    assert not offences, "pellucid.version has it, also in a tree that was never installed"
