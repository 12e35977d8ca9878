"""The one place that writes to the terminal: messages and progress to standard error, results to standard output.

Whatever it writes has its control characters spelt out, since names and sentences in it come from other people; see
``terminal.py``. Progress bars are drawn in a terminal; elsewhere there are plain lines, one at a time and seldom. Only
what draws or colours imports rich, since that takes longer than many a verb. Read ``main.py`` next.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pellucid.durable import naming
from pellucid.errors import ConfigError
from pellucid.terminal import visible

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Bar",
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

_TERMINALS_BY_DECREE: Final = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Variables by which rich takes for a terminal what is none."""
_SECONDS_BETWEEN_PLAIN_LINES: Final = 10.0
_LOG_WINDOW_SECONDS: Final = 10.0
_MOST_LOG_RECORDS: Final = 10
"""Of a window; whoever provokes records cannot fill a disk with them."""
_LONGEST_LOG_RECORD: Final = 4000


def need_standard_output() -> None:
    """Refuse a verb whose result is text where there is nowhere to write it.

    Raises:
        ConfigError: standard output is closed.
    """
    if sys.stdout is None:
        raise ConfigError("standard output is closed; send it to a file or to a pipe")


def say(text: str) -> None:
    """Write a message for the person who watches."""
    if sys.stderr is not None:
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()


def say_error(text: str) -> None:
    """Write why the command ends; further lines are indented, so that no name can pass for a message of ours."""
    indented = visible(text).replace("\n", "\n  ")
    if not draws_bars():
        say(f"error: {indented}")
        return
    from rich.text import Text

    _error_console().print(Text.assemble(("error:", "bold red"), " ", indented))


def show(text: str) -> None:
    """Write a result to standard output, and end its line."""
    show_picture(visible(text) + "\n")


def show_picture(text: str) -> None:
    """Write to standard output what has colours of its own; whoever drew it has spelt out the names in it.

    An error of writing carries the name "standard output".
    """
    if sys.stdout is not None:
        with naming("standard output"):
            sys.stdout.write(text)
            sys.stdout.flush()


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def draws_bars() -> bool:
    """Return whether standard error is a terminal, where progress is drawn as a bar."""
    if sys.stderr is None or not (sys.stderr.isatty() or any(map(os.environ.get, _TERMINALS_BY_DECREE))):
        return False
    return _error_console().is_terminal


class Bar:
    """A bar in the terminal that shows how far something is; it is drawn from now on, until ``stop``.

    Args:
        total: what ``update`` counts up to; None is unknown.
        counts: whether the numbers and the times stand after the bar, and the bar disappears at the end.
    """

    def __init__(self, *, total: float | None, counts: bool = False) -> None:
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
        self._progress = Progress(*columns, console=_error_console(), transient=counts)
        self._task = self._progress.add_task("", total=total)
        self._progress.start()

    def update(self, done: float, text: str) -> None:
        """Show how much is done."""
        self._progress.update(self._task, completed=done, description=visible(text))

    def say(self, text: str) -> None:
        """Write a message above the bar."""
        from rich.text import Text

        self._progress.console.print(Text(visible(text)))

    def stop(self) -> None:
        """Draw the bar no more."""
        self._progress.stop()


@contextmanager
def counting(what: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how many of something are done: the value is a function that takes the number done so far."""
    if not draws_bars():
        yield _plain_lines(what, total)
        return
    bar = Bar(total=total, counts=True)
    bar.update(0, what)
    try:
        yield lambda done: bar.update(done, what)
    finally:
        bar.stop()


@contextmanager
def logging_to_console() -> Iterator[None]:
    """Show the log and warnings of libraries as messages: at most ten in ten seconds, and how many were left out."""
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
    """Write records of the log as messages, at most so many in a window of time."""

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
                self._tell_left_out()
                self._window_ends, self._written = now + _LOG_WINDOW_SECONDS, 0
            self._written += 1
            text = self.format(record)
            cut = len(text) - _LONGEST_LOG_RECORD
            say(text if cut <= 0 else f"{text[:_LONGEST_LOG_RECORD]} ... and {cut:,} more characters")
        except Exception:  # the record is malformed, or standard error cannot be written
            self._left_out += 1

    def close(self) -> None:
        self._tell_left_out()
        super().close()

    def _tell_left_out(self) -> None:
        if self._left_out:
            say(f"{self._left_out:,} more messages of the log were left out")
        self._left_out = 0


def _error_console() -> Console:
    """Return a console on today's standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def _plain_lines(what: str, total: int | None) -> Callable[[int], None]:
    last = time.monotonic()

    def advance(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if sys.stderr is not None and now - last >= _SECONDS_BETWEEN_PLAIN_LINES:
            last = now
            of = f" of {total:,}" if total is not None else ""
            say(f"{what}: {done:,}{of}")

    return advance
