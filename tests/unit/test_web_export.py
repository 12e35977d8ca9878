"""The page's CSV holds no cell that a spreadsheet would compute, and loses nothing. Run by Node, without a browser."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import pellucid

MODULES = Path(pellucid.__file__).parent / "web" / "modules"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node runs the page's module here, and is not installed")


def written(columns: list[object], rows: list[list[object]], folder: Path) -> list[list[str]]:
    """Return the cells of the CSV that the page writes, as a reader of CSV finds them."""
    package = folder / "node_modules" / "pellucid"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("pictures/export", "numbers"):
        (package / name).parent.mkdir(exist_ok=True)
        shutil.copy(MODULES / f"{name}.js", package / f"{name}.js")
    (package / "package.json").write_text('{"type": "module", "exports": {"./*": "./*.js"}}')
    (folder / "run.mjs").write_text(
        'import {csvOf} from "pellucid/pictures/export"; import {readFileSync, writeFileSync} from "node:fs";'
        'writeFileSync("out.csv", csvOf(JSON.parse(readFileSync("in.json", "utf8"))));'
    )
    (folder / "in.json").write_text(json.dumps({"columns": columns, "rows": rows}))
    assert NODE is not None
    subprocess.run([NODE, "run.mjs"], cwd=folder, check=True, timeout=600)
    with (folder / "out.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


FORMULAS = [
    "=1+1",
    '=HYPERLINK("http://a.invalid","x")',
    "+1+1",
    "-1+1",
    "-",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A1",
    "-2.5",
]


def test_what_begins_like_a_formula_is_marked_as_text(tmp_path: Path) -> None:
    found = written(list(FORMULAS), [[text, "after"] for text in FORMULAS], tmp_path)
    assert found[0] == [f"'{text}" for text in FORMULAS]
    assert found[1:] == [[f"'{text}", "after"] for text in FORMULAS]


def test_everything_else_is_as_it_was(tmp_path: Path) -> None:
    texts = ["a=b", "\u2581=1", "1-1", "a,b", 'a "b"', "two\nlines", "", " =1", "'", "\u2212"]
    numbers: list[object] = [-1, -0.5, 1e-12, -3.25, 0, 12]
    found = written(["a"], [list(texts), numbers, [None]], tmp_path)
    assert found[1] == texts
    assert [float(text) for text in found[2]] == numbers
    assert found[3] in ([], [""])
