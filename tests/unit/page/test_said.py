"""What the server writes in English, the page says in its reader's language: every refusal that a page can cause."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid
from pellucid.tracing.editing.conflicts import refuse_conflicts
from pellucid.tracing.editing.refusal import EditError
from pellucid.tracing.editing.text import parse_edit

PACKAGE = Path(pellucid.__file__).parent
SAID = (PACKAGE / "web" / "modules" / "said.js").read_text(encoding="utf-8")
ROOMS = ["tracing/edits.py", "tracing/editing", "tracing/searching/making.py", "tracing/searching/given.py"]
ROOMS += ["serving/bounds.py", "serving/traces.py"]

NOT_FROM_THE_PAGE = re.compile(
    r"is of type|^a sample has no|^pair .* of the sample|requires the tokenizer|attach it with|^edits\[|without terms"
    r"|shows the search of one|one beam; leave|n_best = |^(step|word) = |^(step\.7|ban): the piece"
    r"|^the text of an edit is empty|the stack is encoder or decoder|no longer stored|^text 0: "
)
"""From Python alone, or never shown: the page makes a trace again that the server no longer has."""


def patterns() -> list[re.Pattern[str]]:
    table = SAID.partition("const REFUSALS = [")[2].partition("\n];")[0]
    found = [re.compile(row) for row in re.findall(r"^  \[/(.*)/, \"", table, flags=re.M)]
    assert len(found) > 40
    return found


def text_of(node: ast.expr) -> str:
    """Return a text, with 7 for each value in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(filled, node.values))
    return ""


def filled(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    counted = re.search(r"counted\(.*, '([\w ]+)'\)", ast.unparse(part))
    return f"7 {counted[1]}s" if counted else "7"


def refusals() -> Iterator[str]:
    """Return what the rooms of the page refuse."""
    for path in (file for room in ROOMS for file in [PACKAGE / room, *(PACKAGE / room).glob("*.py")] if file.is_file()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            inside: list[ast.expr] = []
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                if ast.unparse(node.exc.func) in {"RequestError", "EditError", "BusyError", "TraceGoneError"}:
                    inside = [one for one in ast.walk(node.exc) if isinstance(one, ast.Constant | ast.JoinedStr)]
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
                inside = [node.value]
            # The longest text is the sentence; the others are parts of it.
            if text := max((text_of(one) for one in inside), key=len, default=""):
                yield text


def test_every_refusal_that_a_page_can_cause_is_known_to_it() -> None:
    known, found = patterns(), list(refusals())
    assert len(found) > 40
    begins = ("7", 'word.7="7"', 'step.7="7"', "source")  # what the first value of a sentence can be
    unknown = [
        text for text in found if not any(one.search(re.sub("^7", begin, text)) for one in known for begin in begins)
    ]
    assert [text for text in unknown if not NOT_FROM_THE_PAGE.search(text)] == []


def test_layers_heads_and_rows_that_do_not_exist_are_known_too() -> None:
    for name in ("layer", "head", "row", "unit", "position"):
        text = f"decoder.9.feed_forward=zero: {name} = 9; allowed are the whole numbers 0 to 5"
        assert any(one.search(text) for one in patterns())


@pytest.mark.parametrize(
    "edits",
    [
        ('step.2="a"', 'step.2="b"'),
        ("positions=zero", "positions=interleaved"),
        ("encoder.0.self_attention.head.0=zero", "encoder.0.self_attention.head.0=mean"),
    ],
)
def test_edits_that_cannot_both_act_are_known_too(edits: tuple[str, str]) -> None:
    first, second = map(parse_edit, edits)
    with pytest.raises(EditError) as told:
        refuse_conflicts([first, second])
    found = [one.search(told.value.refused[0][1]) for one in patterns()]
    assert [one.groups() for one in found if one] == [(str(second), str(first))]
