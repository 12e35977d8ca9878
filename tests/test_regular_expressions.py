"""Regular expressions mean the same in every Python that pellucid promises.

Before 3.11.5, a possessive group such as ``(?:ab?|c)*+`` could end at the wrong place: where its last attempt gave up,
having looked ahead, and not where that attempt began (github.com/python/cpython/issues/106052). An alternative ``(?!)``
at the end of the group, which never matches, puts the place right. Before 3.11.2, ``fullmatch`` refused some texts
whose end such a group does not reach (issue 100061), so an expression that has one is used with ``match`` and ``\\Z``.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid

parser = importlib.import_module("re._parser")
codes = importlib.import_module("re._constants")

SOURCE = Path(pellucid.__file__).parent
ONE_CHARACTER = {codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY}


def possessive_groups(tree: object) -> Iterator[list[object]]:
    """Yield the alternatives of every possessive group in the parse tree of an expression."""
    if isinstance(tree, tuple) and len(tree) == 2 and tree[0] is codes.POSSESSIVE_REPEAT:
        body = tree[1][2]
        if len(body) == 1 and body[0][0] is codes.SUBPATTERN:
            body = body[0][1][3]
        alternatives = body[0][1][1] if len(body) == 1 and body[0][0] is codes.BRANCH else [body]
        if not (len(body) == 1 and body[0][0] in ONE_CHARACTER):
            yield alternatives
    if isinstance(tree, (tuple, list, parser.SubPattern)):
        for part in tree:
            yield from possessive_groups(part)


def is_safe(alternatives: list[object]) -> bool:
    """Return whether a group ends with ``(?!)``, or every alternative is a plain row of characters."""
    rows = [list(alternative) for alternative in alternatives]  # type: ignore[call-overload]
    ends = len(rows[-1]) == 1 and str(rows[-1]) == str(list(parser.parse("(?!)")))
    return ends or all(operation in ONE_CHARACTER for row in rows for operation, _ in row)


def groups_of(expression: str | bytes, flags: int = 0) -> list[list[object]]:
    return list(possessive_groups(parser.parse(expression, flags)))


@pytest.mark.parametrize(
    ("expression", "safe"),
    [
        (r"(?:[^\"\\]|\\.)*+", [True]),
        (r"(?:a(?=b)|c)*+", [False]),
        (r"(?:a(?=b)|c|(?!))*+", [True]),
        (r"(?:'[^']*'|x)++(?:y+)?+", [False, False]),
        (r"(?:(?:ab*)*+|(?!))*+", [True, False]),
        (r"[ab]*+.++", []),
    ],
)
def test_the_rule_itself(expression: str, safe: list[bool]) -> None:
    assert [is_safe(alternatives) for alternatives in groups_of(expression)] == safe


def compiled() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Yield every compiled expression of a module, after a name that says where it is."""
    for module in pkgutil.walk_packages(pellucid.__path__, "pellucid."):
        if module.name.endswith("__main__"):
            continue
        try:
            values = vars(importlib.import_module(module.name))
        except ImportError:  # an extra that is not installed, or a GPU's library
            continue
        for name, value in values.items():
            several = (
                value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else [value]
            )
            yield from ((f"{module.name}.{name}", one) for one in several if isinstance(one, re.Pattern))


def test_possessive_groups_do_not_depend_on_the_release() -> None:
    groups = [(name, groups_of(pattern.pattern, pattern.flags)) for name, pattern in compiled()]
    assert len([name for name, found in groups if found]) > 8
    wrong = [name for name, found in groups if not all(is_safe(one) for one in found)]
    assert not wrong, f"a possessive group needs the alternative (?!) at its end: {wrong}"


def test_parts_of_expressions_follow_the_rule_too() -> None:
    """Literals with a possessive group that a function puts into a larger expression."""
    seen = 0
    wrong = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\)[*+?]\+", node.value)
            ):
                continue
            try:
                groups = groups_of(node.value)
            except re.error:  # a piece of an f-string, which the test above sees whole
                continue
            seen += bool(groups)
            if not all(is_safe(one) for one in groups):
                wrong.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert seen > 5
    assert not wrong


def test_fullmatch_is_not_used_with_a_possessive_group() -> None:
    for name, pattern in compiled():
        module, _, variable = name.rpartition(".")
        if groups_of(pattern.pattern, pattern.flags):
            text = Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8")
            assert not re.search(rf"\b{variable}(?:\[.*?\])?\.fullmatch", text), name
