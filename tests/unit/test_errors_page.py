"""The page of errors names every class with its status, and the sentences of long work stand in the source.

What bad input is told is held to the command itself in ``tests/end_to_end/test_bad_input.py``.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import pellucid.errors as tree

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")


def table(section: str) -> list[list[str]]:
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return found[2:]


def written(part: ast.expr) -> str:
    """Return a part of an f-string, what is filled in as a NUL and what stands beside a number in the plural."""
    match part:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id="counted"), args=[_, ast.Constant(value=str(noun))])):
            return f"\0 {tree.counted(2, noun).split(' ', 1)[1]}"
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id="are"))):
            return "are"
    return "\0"


@cache
def templates() -> list[str]:
    """Return every text of the source, what is filled in as a NUL."""
    found = []
    for path in (ROOT / "src" / "pellucid").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(written(part) for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_every_class_is_on_the_page_with_its_status() -> None:
    rows = {row[0].strip("`"): int(row[1]) for row in table("In Python")}
    assert rows == {name: getattr(tree, name).exit_status for name in tree.__all__}


@pytest.mark.parametrize("row", table("While it works"), ids=lambda row: row[0])
def test_what_is_said_while_it_works_stands_in_the_source(row: list[str]) -> None:
    given, status, kind, said = row
    assert given
    assert int(status) == getattr(tree, kind.strip("`")).exit_status
    pattern = ".*".join(re.escape(part) for part in said.strip("`").split("…"))
    assert any(re.search(pattern, template, flags=re.S) for template in templates()), said


def test_there_are_such_rows() -> None:
    assert len(table("While it works")) > 9
