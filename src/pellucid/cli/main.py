"""The command ``pellucid``: one verb a file, each of which parses, calls a job and prints.

Text goes to standard output, everything else to standard error. Exit status: 0; 1 bad input or
settings; 2 usage; 75 stopped and resumable; 130 Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from pellucid.cli import average, demo, evaluate, export, import_, score, train, translate
from pellucid.cli.console import say_error
from pellucid.errors import PellucidError

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


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("pellucid"))
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
    try:
        app(standalone_mode=True)
    except PellucidError as error:
        say_error(str(error))
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        say_error("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has left (as in "| head"); what it wanted it has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        place = f"{error.filename}: " if error.filename else ""
        remedy = "; free some space and give the same command again" if is_full else ""
        say_error(f"{place}{error.strerror or error}{remedy}")
        sys.exit(75 if is_full else 1)
