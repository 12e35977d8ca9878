"""The command ``pellucid``: one verb a file, each of which parses, calls a job and prints.

Text goes to standard output, everything else to standard error. Exit status: 0; 1 bad input or
settings; 2 usage; 75 stopped and resumable; 130 Ctrl-C.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Annotated

import typer

from pellucid.cli import average, demo, evaluate, export, import_, inspect, score, serve, train, translate
from pellucid.cli.console import say_error
from pellucid.errors import PellucidError
from pellucid.version import __version__

__all__ = ["app", "run"]

app = typer.Typer(
    name="pellucid",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A Transformer translator that you train on your own text, run anywhere, and see through.",
)
app.command()(demo.demo)
app.command()(train.train)
app.command()(translate.translate)
app.command()(score.score)
app.command()(evaluate.evaluate)
app.command()(average.average)
app.command("import")(import_.import_)
app.command()(export.export)
app.command()(serve.serve)
app.command()(inspect.inspect)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Hold the options that stand before every verb."""


def run() -> None:
    """Run the command line and leave the process with its exit status; no error shows a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Translations are UTF-8 with one \n a line, whatever the locale says.
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    try:
        _call()
    except PellucidError as error:
        say_error(str(error))
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        say_error("interrupted")
        sys.exit(130)
    except MemoryError:
        say_error("there is not enough memory; give less text at once, or use a machine with more")
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output has left (as in "| head"); what it wanted it has.
        _let_go_of_standard_output()
        sys.exit(0)
    except OSError as error:
        try:
            _flush()
        except OSError:
            _let_go_of_standard_output()
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        # A write to an open stream has no file name; a file of ours that is full is named where it is written.
        name = error.filename or ("standard output" if is_full else "")
        place = f"{name}: " if name else ""
        remedy = "; free some space and give the same command again" if is_full else ""
        say_error(f"{place}{error.strerror or error}{remedy}")
        sys.exit(75 if is_full else 1)


def _call() -> None:
    """Run the verb, and write out what stands in buffers, where an error can still be told."""
    try:
        app(standalone_mode=True)
    except SystemExit as leaving:
        # Typer turns a broken pipe into status 1 on its way out; its cause stays known as the context.
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        _flush()
        # Of Ctrl-C Typer leaves the status alone; somebody has to say what happened.
        if leaving.code == 130 and isinstance(leaving.__context__, typer.Exit):
            raise KeyboardInterrupt from None
        raise
    _flush()


def _flush() -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def _let_go_of_standard_output() -> None:
    """Point it at nothing, so that Python's own flush at the end does not fail a second time."""
    if sys.stdout is None:
        return
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # not a stream of the system
        return
