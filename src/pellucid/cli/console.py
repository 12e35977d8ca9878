"""What the command line writes to standard error: messages, tables and progress. Standard output is for text only.

Progress bars are drawn in a terminal; elsewhere there are plain lines, one at a time and seldom.
Read ``main.py`` next.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pellucid.durable import naming
from pellucid.errors import ConfigError

__all__ = ["counting", "error_console", "need_standard_output", "print_result", "say", "say_error"]

_SECONDS_BETWEEN_PLAIN_LINES = 10.0


def error_console() -> Console:
    """Return a console on today's standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def need_standard_output() -> None:
    """Refuse a verb whose result is text where there is nowhere to write it.

    Raises:
        ConfigError: standard output is closed.
    """
    if sys.stdout is None:
        raise ConfigError("standard output is closed; send it to a file or to a pipe")


def print_result(text: str, *, end: str = "\n") -> None:
    """Write the result of a verb to standard output; an error of writing has that name."""
    with naming("standard output"):
        print(text, end=end, flush=True)


def say(text: str) -> None:
    """Write a line for the person who watches."""
    error_console().print(escape(text))


def say_error(text: str) -> None:
    """Write why the command ends."""
    error_console().print(f"[bold red]error:[/] {escape(text)}")


@contextmanager
def counting(what: str, *, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show how many of something are done: the value is a function that takes the number done so far."""
    console = error_console()
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
            task = progress.add_task(escape(what), total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    yield _plain_lines(what, total)


def _plain_lines(what: str, total: int | None) -> Callable[[int], None]:
    last = time.monotonic()

    def advance(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if sys.stderr is not None and now - last >= _SECONDS_BETWEEN_PLAIN_LINES:
            last = now
            of = f" of {total:,}" if total is not None else ""
            sys.stderr.write(f"{what}: {done:,}{of}\n")
            sys.stderr.flush()

    return advance
