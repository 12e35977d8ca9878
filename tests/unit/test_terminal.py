"""Text for a terminal commands nothing, and is otherwise the text it was."""

from __future__ import annotations

import io
import logging
import unicodedata
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.cli.console import logging_to_console, say, say_error, show
from pellucid.terminal import line_of, shown_on, visible

TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
MARKS = "\u061c\u200e\u200f"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def commands(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"} or character in TURNS


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_that_is_shown_commands_a_terminal(text: str) -> None:
    assert not [c for c in visible(text) if (commands(c) and c not in "\n\t") or c in MARKS]
    assert not [c for c in line_of(text) if commands(c) or c in MARKS]
    terminal = Terminal()
    shown_on(terminal).write(text)
    assert not [c for c in terminal.getvalue() if commands(c) and c not in "\n\t"]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters=TURNS + MARKS)))
def test_other_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == line_of(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31mred", "\\x9b31mred"),
        ("abc\rxyz\x08", "abc\\rxyz\\x08"),
        ("ab\u202ecd", "ab\\u202ecd"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_a_terminal_obeys_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == line_of(text) == shown


def test_a_name_cannot_begin_a_line_of_its_own() -> None:
    assert line_of("a\nerror: b\tc") == "a\\nerror: b\\tc"


def test_sentences_keep_the_marks_of_their_script_and_files_keep_everything() -> None:
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        out = shown_on(stream)
        assert out.write("שלום\u200f!\x1b[2J\n") == 11
        out.flush()
    assert terminal.getvalue() == "שלום\u200f!\\x1b[2J\n"
    assert file.getvalue() == "שלום\u200f!\x1b[2J\n"


def test_every_way_out_of_the_console_spells_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[31mb\x9b2Jc\u202ed\n[bold]e[/]:warning:"
    spelt = "a\\x1b[31mb\\x9b2Jc\\u202ed\n{}[bold]e[/]:warning:\n"
    say(hostile)
    say_error(hostile)
    show(hostile)
    written = capsys.readouterr()
    assert written.out == spelt.format("")
    assert written.err == spelt.format("") + "error: " + spelt.format("  ")


def test_the_log_and_warnings_are_messages(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("pellucid.test")
    with logging_to_console(), warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)  # the line above has put Python's own way back
        log.warning("from %s", "\x1b[2J")
        warnings.warn("old \x9b name", stacklevel=1)
        log.info("not worth a line")
    written = capsys.readouterr().err
    assert "from \\x1b[2J" in written
    assert "old \\x9b name" in written
    assert "not worth" not in written


def test_the_log_is_bounded_and_says_what_it_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("pellucid.test")
    with logging_to_console():
        for number in range(5000):
            log.error("record %d %s", number, "x" * 10_000)
    written = capsys.readouterr().err
    assert written.count("record ") == 10
    assert len(written) < 10 * 4200
    assert "4,990 more log messages were omitted" in written
