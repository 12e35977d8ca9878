"""Pictures of the verb ``inspect`` outside the page, and their options: figures for papers, heat maps in the terminal.

Read ``console.py`` next.
"""

from __future__ import annotations

import locale
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.console import is_terminal, need_standard_output, say, show_picture
from pellucid.errors import RequestError

if TYPE_CHECKING:
    from pellucid.tracing.record import Trace

__all__ = [
    "FigureOption",
    "FontOption",
    "HeadsOption",
    "KindOption",
    "LayerOption",
    "NumbersOption",
    "PlainOption",
    "ReferenceOption",
    "ShowOption",
    "StepOption",
    "WordsOption",
    "draw_figure",
    "heads_of",
    "show_in_terminal",
]

FigureOption = Annotated[
    str | None,
    typer.Option("--figure", help="Write a figure for a paper: attention, links, heads, positions or softmax."),
]
ShowOption = Annotated[str | None, typer.Option("--show", help="Print in the terminal: attention, or search.")]
ReferenceOption = Annotated[
    str | None,
    typer.Option("--reference", help="With --show search: was this translation lost, or does the model not want it?"),
]
KindOption = Annotated[
    str | None, typer.Option("--kind", help="Whose attention: encoder, decoder or cross; if unset, cross.")
]
LayerOption = Annotated[
    int | None, typer.Option("--layer", help="Counted from 0; if unset, the last one, on the page the first one.")
]
HeadsOption = Annotated[
    str | None, typer.Option("--heads", help="Counted from 0 and separated by commas; if unset, all.")
]
StepOption = Annotated[int | None, typer.Option("--step", help="Step of the decoder, counted from 0, for softmax.")]
WordsOption = Annotated[bool, typer.Option("--words", help="Show words instead of pieces.")]
FontOption = Annotated[
    str | None, typer.Option("--font", help="Font of a figure: a file, or the name of an installed family.")
]
PlainOption = Annotated[bool, typer.Option("--plain", help="ASCII only, without colour.")]
NumbersOption = Annotated[bool, typer.Option("--numbers", help="Print the weights in hundredths in the cells.")]


def heads_of(text: str | None) -> tuple[int, ...] | None:
    """Read numbers of heads such as ``2,4``; None means all heads.

    Raises:
        RequestError: the text is not a list of whole numbers.
    """
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise RequestError(f"--heads {text!r}: give whole numbers separated by commas, such as 2,4") from None


def draw_figure(trace: Trace, name: str, output: Path, *, font: str | None = None, **choices: Any) -> None:
    """Write a figure of a trace to a .pdf, .svg or .png file; ``choices`` are those of ``figure_named``."""
    from pellucid.figures.plots import figure_named, save_figure

    save_figure(figure_named(trace, name, font=font, **choices), output)
    say(f"wrote {output}")


def show_in_terminal(
    trace: Trace,
    what: str,
    *,
    reference: str | None = None,
    kind: str | None = None,
    plain: bool = False,
    numbers: bool = False,
    **choices: Any,
) -> None:
    """Print a picture of a trace on standard output, as wide as the terminal.

    ``reference`` is for the tree of the search, and ``choices`` are those of ``attention_text``.
    """
    from pellucid.figures.search_tree import tree_text
    from pellucid.figures.terminal import attention_text, style_for
    from pellucid.tracing.searching.making import tree_for

    if what not in ("attention", "search"):
        raise RequestError(f"--show {what!r} is unknown; the terminal can show attention and search")
    need_standard_output()
    style = style_for(
        os.environ,
        width=shutil.get_terminal_size().columns,
        is_terminal=is_terminal(),
        encoding=locale.getencoding(),
        plain=plain,
        numbers=numbers,
    )
    if what == "search":
        show_picture(tree_text(tree_for(trace, reference=reference), style=style))
    else:
        show_picture(attention_text(trace, kind=kind or "cross", style=style, **choices))
