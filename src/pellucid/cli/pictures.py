"""Options of the verb ``inspect`` for pictures outside the page: figures for papers, heat maps in the terminal.

Read ``console.py`` next.
"""

from __future__ import annotations

import locale
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.console import is_terminal, need_standard_output, show_picture
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
    "ShowOption",
    "StepOption",
    "WordsOption",
    "draw_figure",
    "heads_of",
    "refuse_figure",
    "show_in_terminal",
]

FigureOption = Annotated[
    str | None,
    typer.Option("--figure", help="Write a figure for a paper: attention, links, heads, positions or softmax."),
]
ShowOption = Annotated[str | None, typer.Option("--show", help="Print a picture in the terminal: attention.")]
KindOption = Annotated[
    str | None, typer.Option("--kind", help="Whose attention: encoder, decoder, or cross, which is taken if unset.")
]
LayerOption = Annotated[
    int | None, typer.Option("--layer", help="Counted from 0; if unset the last, and in the page the first.")
]
HeadsOption = Annotated[
    str | None, typer.Option("--heads", help="Heads counted from 0, with commas between; all if unset.")
]
StepOption = Annotated[int | None, typer.Option("--step", help="Of the decoder, counted from 0, for softmax.")]
WordsOption = Annotated[bool, typer.Option("--words", help="Words instead of pieces.")]
FontOption = Annotated[str | None, typer.Option("--font", help="A font file, or an installed family, for a figure.")]
PlainOption = Annotated[bool, typer.Option("--plain", help="ASCII only, without colour.")]
NumbersOption = Annotated[bool, typer.Option("--numbers", help="Weights in hundredths in the cells.")]


def heads_of(text: str | None) -> tuple[int, ...] | None:
    """Read heads such as ``2,4``; None is all of them.

    Raises:
        RequestError: it is no list of whole numbers.
    """
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise RequestError(f"--heads {text!r}; give whole numbers with commas between, such as 2,4") from None


def refuse_figure(
    name: str, *, kind: str | None, layer: int | None, heads: str | None, words: bool, step: int | None
) -> None:
    """Refuse a figure that does not exist, or what does not go with it, before any work.

    Raises:
        RequestError: it is such a figure.
        ConfigError: matplotlib is not installed.
    """
    from pellucid.figures.plots import refuse_misfit

    refuse_misfit(name, kind=kind, layer=layer, heads=heads, words=words, step=step)


def draw_figure(
    trace: Trace,
    name: str,
    output: Path,
    *,
    kind: str | None = None,
    layer: int | None = None,
    heads: str | None = None,
    words: bool = False,
    step: int | None = None,
    font: str | None = None,
) -> None:
    """Write a figure of a trace to a .pdf, .svg or .png file."""
    from pellucid.figures.plots import figure_named, save_figure

    chosen = heads_of(heads)
    figure = figure_named(trace, name, font=font, kind=kind, layer=layer, heads=chosen, words=words, step=step)
    save_figure(figure, output)


def show_in_terminal(
    trace: Trace,
    what: str,
    *,
    kind: str | None = None,
    layer: int | None = None,
    heads: str | None = None,
    words: bool = False,
    plain: bool = False,
    numbers: bool = False,
) -> None:
    """Print a picture of a trace on standard output, as wide as the terminal."""
    from pellucid.figures.terminal import attention_text, style_for

    if what != "attention":
        raise RequestError(f"--show {what!r}; what the terminal can show is attention")
    need_standard_output()
    style = style_for(
        os.environ,
        width=shutil.get_terminal_size().columns,
        is_terminal=is_terminal(),
        encoding=locale.getencoding(),
        plain=plain,
        numbers=numbers,
    )
    shown = attention_text(trace, kind=kind or "cross", layer=layer, heads=heads_of(heads), words=words, style=style)
    show_picture(shown)
