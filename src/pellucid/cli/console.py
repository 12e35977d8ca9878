"""The only file that writes to the terminal: messages and progress to standard error, results to standard output.

Control characters are spelt out in everything that it writes, because names and sentences come from strangers; see
``terminal.py``. Progress is a bar in a terminal, and a plain line every ten seconds elsewhere. Only a bar or a colour
imports rich, which takes longer than many verbs. Read ``main.py`` next.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pellucid.durable import naming
from pellucid.errors import ConfigError, counted
from pellucid.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "SECONDS_BETWEEN_PLAIN_LINES",
    "Bar",
    "Screen",
    "counting",
    "draws_bars",
    "is_terminal",
    "logging_to_console",
    "need_standard_output",
    "say",
    "say_error",
    "show",
    "show_picture",
]

_TERMINAL_VARIABLES: Final = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""With one of these, rich may treat another stream as a terminal."""
SECONDS_BETWEEN_PLAIN_LINES: Final = 10.0
_LOG_WINDOW_SECONDS: Final = 10.0
_MOST_LOG_RECORDS: Final = 10
"""Limit for each window, so that an attacker who provokes records cannot fill a disk with them."""
_LONGEST_LOG_RECORD: Final = 4000
_SERVERS: Final = frozenset({"uvicorn", "starlette", "asyncio"})


def need_standard_output() -> None:
    """Refuse a verb whose result is text if standard output is closed.

    Raises:
        ConfigError: standard output is closed.
    """
    if sys.stdout is None:
        raise ConfigError("standard output is closed; send it to a file or to a pipe")


def say(text: str) -> None:
    """Write a message for the user."""
    if sys.stderr is not None:
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()


def say_error(text: str) -> None:
    """Write why the command fails; further lines are indented, so that no file name can imitate our messages."""
    indented = visible(text).replace("\n", "\n  ")
    if not draws_bars():
        say(f"error: {indented}")
        return
    from rich.text import Text

    _error_console().print(Text.assemble(("error:", "bold red"), " ", indented))


def show(text: str) -> None:
    """Write a result and a line feed to standard output."""
    show_picture(visible(text) + "\n")


def show_picture(text: str) -> None:
    """Write text with colours to standard output; the caller must have spelt out the control characters of names.

    An error of writing has the file name "standard output".
    """
    if sys.stdout is not None:
        with naming("standard output"):
            sys.stdout.write(text)
            sys.stdout.flush()


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def draws_bars() -> bool:
    """Return whether progress is drawn as a bar, because standard error is a terminal."""
    if sys.stderr is None or not (sys.stderr.isatty() or any(map(os.environ.get, _TERMINAL_VARIABLES))):
        return False
    return _error_console().is_terminal


class Bar:
    """A progress bar in the terminal; it is drawn until ``stop``.

    Args:
        total: the final number of ``update``; None if it is unknown.
        counts: whether numbers and times follow the bar, and not only the text.
        disappears: at the end; else it stays on the screen.
    """

    def __init__(self, *, total: float | None, counts: bool = False, disappears: bool = False) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        text = TextColumn("{task.description}", markup=False)
        numbers = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        columns = numbers if counts else (BarColumn(24), text)
        self._progress = Progress(*columns, console=_error_console(), transient=disappears)
        self._task = self._progress.add_task("", total=total)
        self._progress.start()

    def update(self, done: float, text: str) -> None:
        """Show the number that is done, and a text."""
        self._progress.update(self._task, completed=done, description=visible(text))

    def say(self, text: str) -> None:
        """Write a message above the bar."""
        from rich.text import Text

        self._progress.console.print(Text(visible(text)))

    def stop(self) -> None:
        """Stop drawing the bar."""
        self._progress.stop()


class Screen:
    """Show a job while it runs, with a bar in a terminal; use it as a context manager."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def message(self, text: str) -> None:
        """Show a sentence."""
        if self._bar is not None:
            self._bar.say(text)
        else:
            say(text)


@contextmanager
def counting(what: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show the progress of a task; yield a function that receives the number that is done."""
    if not draws_bars():
        yield _plain_lines(what, total)
        return
    bar = Bar(total=total, counts=True, disappears=True)
    bar.update(0, what)
    try:
        yield lambda done: bar.update(done, what)
    finally:
        bar.stop()


@contextmanager
def logging_to_console() -> Iterator[None]:
    """Show the log and the warnings of libraries as messages: at most ten in ten seconds, and the count of the rest."""
    handler = _ConsoleHandler(level=logging.WARNING)
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        handler.close()


class _ConsoleHandler(logging.Handler):
    """Write records of the log as messages, with a limit for each window of time."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._window_ends = 0.0
        self._written = self._left_out = 0

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now < self._window_ends and self._written >= _MOST_LOG_RECORDS:
            self._left_out += 1
            return
        try:
            if now >= self._window_ends:
                self._report_left_out()
                self._window_ends, self._written = now + _LOG_WINDOW_SECONDS, 0
            self._written += 1
            text = self.format(record)
            if record.name.partition(".")[0] in _SERVERS or record.name.startswith("pellucid.serving"):
                # A server runs for months, and whoever reads its log asks when.
                text = f"{time.strftime('%Y-%m-%d %H:%M:%S%z', time.localtime(record.created))} {text}"
            cut = len(text) - _LONGEST_LOG_RECORD
            say(text if cut <= 0 else f"{text[:_LONGEST_LOG_RECORD]} ... and {counted(cut, 'more character')}")
        except Exception:  # a malformed record, or a standard error that cannot be written
            self._left_out += 1

    def close(self) -> None:
        self._report_left_out()
        super().close()

    def _report_left_out(self) -> None:
        if self._left_out:
            were = "was" if self._left_out == 1 else "were"
            say(f"{counted(self._left_out, 'more log message')} {were} omitted")
        self._left_out = 0


def _error_console() -> Console:
    """Return a console on the present standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def _plain_lines(what: str, total: int | None) -> Callable[[int], None]:
    last = time.monotonic()

    def advance(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if sys.stderr is not None and now - last >= SECONDS_BETWEEN_PLAIN_LINES:
            last = now
            of = f" of {total:,}" if total is not None else ""
            say(f"{what}: {done:,}{of}")

    return advance
