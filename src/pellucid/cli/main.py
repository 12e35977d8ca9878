"""The command ``pellucid``: each verb has a file that parses its options, calls a job and prints the result.

Results go to standard output, everything else to standard error. Exit status: 0; 1 bad input or settings; 2 usage;
3 the result is worse than its recipe promises (``train --check``) or than before (``learn``); 75 stopped without loss,
as by SIGTERM; 130 Ctrl-C.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Final, NoReturn

import typer

from pellucid.cli import (
    align,
    average,
    demo,
    evaluate,
    export,
    import_,
    inspect,
    score,
    serve,
    suggest,
    synthesize,
    train,
    translate,
)
from pellucid.cli.console import logging_to_console, say, say_error, show
from pellucid.cli.explaining import attribute
from pellucid.cli.learning import corrections, learn
from pellucid.cli.options import Verb
from pellucid.durable import naming, shortage_of
from pellucid.errors import PellucidError, StoppedError
from pellucid.signals import RaiseOnSigterm, Terminated
from pellucid.version import __version__

__all__ = ["app", "run"]

_UsageError: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""Base class of all errors in the command line; Typer does not export it."""

_TERMINATED: Final = "stopped by SIGTERM; the same command does what is left, or all of it where nothing was kept"

app = typer.Typer(
    name="pellucid",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich draws boxes around the help, and takes longer to import than the help is worth
    pretty_exceptions_enable=False,
    help="A Transformer translator that you train on your own text, run anywhere, and see through.",
)


def _add(verb: Callable[..., None], name: str | None = None) -> None:
    """Add a verb, with the first paragraph of its docstring in the list of all verbs; Typer itself would cut it."""
    paragraph = (verb.__doc__ or "").split("\n\n")[0]
    app.command(name, cls=Verb, short_help=" ".join(paragraph.split()))(verb)


_add(demo.demo)
_add(train.train)
_add(translate.translate)
_add(suggest.suggest)
_add(synthesize.synthesize)
_add(score.score)
_add(align.align)
_add(evaluate.evaluate)
_add(average.average)
_add(import_.import_, "import")
_add(export.export)
_add(serve.serve)
_add(corrections.corrections)
_add(learn.learn)
_add(inspect.inspect)
_add(attribute.attribute)


def _show_version(wanted: bool) -> None:
    if wanted:
        show(__version__)
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Define the options before the verb."""


def run() -> None:
    """Run the command line and exit with its status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Translations are UTF-8 with one \n a line in every locale.
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    with logging_to_console(), RaiseOnSigterm(Terminated) as sigterm:
        try:
            _call()
        except PellucidError as error:
            say_error(str(error))
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            say_error(_TERMINATED if sigterm.has_arrived else "interrupted")
            sys.exit(StoppedError.exit_status if sigterm.has_arrived else 130)
        except MemoryError:
            say_error("not enough memory; give less text at once, or use a machine with more memory")
            sys.exit(1)
        except BrokenPipeError:
            # The reader of our output has closed it, as in "| head", so it has all that it wanted.
            _discard_standard_output()
            sys.exit(0)
        except OSError as error:
            _exit_with(error)
        except Exception:  # a bug of ours; say() spells out control characters of names, and Python would not
            say(traceback.format_exc().rstrip())
            sys.exit(1)


def _exit_with(error: OSError) -> NoReturn:
    """Report an error of the system, and exit."""
    try:
        _flush()
    except OSError:
        _discard_standard_output()
    place = f"{error.filename}: " if error.filename else ""
    shortage = shortage_of(error)
    say_error(f"{place}{error.strerror or error}" + (f": {shortage}" if shortage else ""))
    sys.exit(75 if shortage else 1)


def _call() -> None:
    """Run the verb, and flush standard output while an error can still be reported."""
    try:
        status = app(standalone_mode=False)  # so that Typer raises its errors instead of printing them
    except _UsageError as error:
        _exit_with_usage(error)
    except SystemExit as leaving:
        # Typer turns a broken pipe into status 1, but keeps the cause as the context.
        if isinstance(leaving.__context__, BrokenPipeError):
            raise leaving.__context__ from None
        _flush()
        raise
    _flush()
    if status == 130:  # Typer turns Ctrl-C, and Terminated, into a status without a message
        raise KeyboardInterrupt
    sys.exit(status or 0)


def _exit_with_usage(error: Exception) -> NoReturn:
    """Report what is wrong with the command line, and exit."""
    context, message = getattr(error, "ctx", None), error.format_message()  # type: ignore[attr-defined]
    if context and message == context.get_help():  # without any argument
        show(message)
    else:
        say_error(f"{message}\n{context.get_usage()}\n{context.command_path} --help says more" if context else message)
    sys.exit(2)


def _flush() -> None:
    if sys.stdout is None:
        return
    with naming("standard output"):
        sys.stdout.flush()


def _discard_standard_output() -> None:
    """Redirect it to the null device, so that the flush at the end of Python does not fail again."""
    if sys.stdout is None:
        return
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # not a real file
        return
