"""The heat map in the terminal: every cell, every width, nothing that a terminal cannot show."""

from __future__ import annotations

import re

import numpy as np
import pytest
from rich.cells import cell_len

from pellucid.errors import RequestError
from pellucid.figures.palette import SEQUENTIAL_DARK, mix
from pellucid.figures.terminal import TerminalStyle, attention_text, fitted, shown, style_for
from pellucid.tracing.record import Trace

WEIGHTS = np.array([[[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]]])


def make_trace(source: list[str], fed: list[str], predicted: list[str], weights: np.ndarray = WEIGHTS) -> Trace:
    return Trace.from_arrays(
        source_pieces=source,
        fed_pieces=fed,
        predicted_pieces=predicted,
        attention={"decoder.0.cross_attention.weights": weights},
    )


SMALL = make_trace(["▁ein", "▁Hund", "</s>"], ["<s>", "▁dog"], ["▁dog", "</s>"])
GOLDEN = """\
Decoder attention over the encoder, layer 0
Each row looks at the columns: it was fed the piece on its left and predicts the one on its right
weight 0   ..::--==++**##%%@@ 1

head 0
             + _ein
             | + _Hund
             | | + </s>
<s>  -> _dog   ::##
_dog -> </s> @@
"""
IN_NUMBERS = """\
            ┌ ▁ein
            │   ┌ ▁Hund
            │   │   ┌ </s>
<s>  → ▁dog .00 .25 .75
▁dog → </s> 1.0 .00 .00
"""


def test_in_plain_ascii() -> None:
    assert attention_text(SMALL, style=TerminalStyle(ascii_only=True)) == GOLDEN


def test_in_numbers() -> None:
    assert attention_text(SMALL, style=TerminalStyle(numbers=True)).endswith(IN_NUMBERS)


def test_a_cell_has_the_colour_of_its_weight() -> None:
    text = attention_text(SMALL, style=TerminalStyle(colour=True))
    rows = [line for line in text.splitlines() if "→" in line]
    cells = [[tuple(map(int, cell)) for cell in re.findall(r"\x1b\[48;2;(\d+);(\d+);(\d+)m", row)] for row in rows]
    assert cells == [[mix(SEQUENTIAL_DARK, value) for value in row] for row in WEIGHTS[0].tolist()]
    assert all(row.endswith("\x1b[0m") for row in rows)


def test_labels_of_any_width_leave_the_columns_in_line() -> None:
    trace = make_trace(["▁动物", "e\u0301", "</s>"], ["<s>", "▁동물"], ["▁동물", "n\u0303o\u0302"])
    rows = [line for line in attention_text(trace, style=TerminalStyle(numbers=True)).splitlines() if "→" in line]
    places = [cell_len(line[: line.index(number)]) for line, number in zip(rows, (".00", "1.0"), strict=True)]
    assert places[0] == places[1]


@pytest.mark.parametrize("width", [40, 61, 97])
@pytest.mark.parametrize("numbers", [False, True])
def test_a_wide_matrix_comes_whole_in_blocks_that_fit(width: int, numbers: bool) -> None:
    columns = 53
    weights = np.random.default_rng(1).dirichlet(np.ones(columns), (1, 2))
    trace = make_trace([f"▁w{number}" for number in range(columns)], ["<s>", "▁x"], ["▁x", "</s>"], weights)
    text = attention_text(trace, style=TerminalStyle(width=width, numbers=numbers))
    blocks = re.findall(r"columns (\d+) to (\d+) of 0 to 52: the terminal is (\d+) wide", text)
    covered = [column for first, last, _ in blocks for column in range(int(first), int(last) + 1)]
    assert covered == list(range(columns))
    assert {int(told) for *_, told in blocks} == {width}
    assert re.findall(r"▁w(\d+)", text) == [str(number) for number in range(columns)]
    body = text[text.index("head 0") :]
    assert all(cell_len(line) <= width for line in body.splitlines() if not line.startswith("columns"))


def test_a_narrow_terminal_still_shows_every_column() -> None:
    text = attention_text(SMALL, style=TerminalStyle(width=1))
    assert text.count("the terminal is 1 wide") == 3
    with pytest.raises(RequestError, match="at least 1"):
        TerminalStyle(width=0)


@pytest.mark.parametrize(
    ("label", "longest", "expected"),
    [
        ("animal", 6, "animal"),
        ("animals", 6, "anima…"),
        ("动物园", 5, "动物…"),
        ("动物园", 4, "动…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("👩\u200d🔬ab", 3, "👩\u200d🔬…"),
    ],
)
def test_a_long_label_is_cut_between_characters(label: str, longest: int, expected: str) -> None:
    assert fitted(label, longest) == expected


def test_nothing_that_steers_a_terminal_comes_through() -> None:
    assert shown("a\x1b[31m\u202eb\n", ascii_only=False) == "a\\x1b[31m\\u202eb\\n"
    assert shown("▁中", ascii_only=True) == "_\\u4e2d"


def test_words_say_their_rule() -> None:
    text = attention_text(SMALL, words=True)
    assert "summed over the pieces looked at, averaged over the pieces that look" in text
    assert "▁" not in text


@pytest.mark.parametrize(
    ("environment", "changes", "colour", "ascii_only"),
    [
        ({"TERM": "xterm-256color"}, {}, True, False),
        ({"COLORTERM": "truecolor"}, {}, True, False),
        ({"TERM": "dumb"}, {}, False, False),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, {}, False, False),
        ({"TERM": "xterm-256color"}, {"plain": True}, False, True),
        ({"TERM": "xterm-256color"}, {"is_terminal": False}, False, False),
        ({"TERM": "xterm-256color"}, {"encoding": "ANSI_X3.4-1968"}, True, True),
        ({"TERM": "xterm-256color"}, {"encoding": "utf8"}, True, False),
    ],
)
def test_the_style_is_what_the_terminal_can_show(
    environment: dict[str, str], changes: dict[str, object], colour: bool, ascii_only: bool
) -> None:
    settings: dict[str, object] = {"width": 71, "is_terminal": True, "encoding": "UTF-8"} | changes
    style = style_for(environment, **settings)  # type: ignore[arg-type]
    assert (style.width, style.colour, style.ascii_only) == (71, colour, ascii_only)
