"""The verb ``inspect``: look inside one translation, as a page in one file, a figure, or in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.console import say
from pellucid.cli.pictures import (
    FigureOption,
    FontOption,
    HeadsOption,
    KindOption,
    LayerOption,
    NumbersOption,
    PlainOption,
    ShowOption,
    StepOption,
    WordsOption,
    draw_figure,
    heads_of,
    refuse_figure,
    show_in_terminal,
)

if TYPE_CHECKING:
    from pellucid.page.single_file import StartView

__all__ = ["inspect"]

ModelAndText = Annotated[
    list[str],
    typer.Argument(
        metavar="[MODEL] TEXT",
        help="A model folder or run folder, and one sentence in quotes; without a folder, the walkthrough model.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(help="page.html is the page in one file, trace.npz the numbers; of a figure, its file."),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(help="Weights in the page: none, those of the layer it opens with, or all; unset: what fits."),
]


def inspect(
    model_and_text: ModelAndText,
    output: OutputOption = None,
    figure: FigureOption = None,
    show: ShowOption = None,
    view: Annotated[str | None, typer.Option(help="What the page opens with: attention, heads, softmax ...")] = None,
    kind: KindOption = None,
    layer: LayerOption = None,
    heads: HeadsOption = None,
    step: StepOption = None,
    words: WordsOption = False,
    weights: WeightsOption = None,
    target: Annotated[str | None, typer.Option(help="Look at this translation instead of the model's own.")] = None,
    font: FontOption = None,
    plain: PlainOption = False,
    numbers: NumbersOption = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of the search: beam_size=1.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0 is OMP_NUM_THREADS, or every core.")] = 0,
) -> None:
    """Look inside one translation: the page in one file, a figure, the numbers, or a picture in the terminal."""
    model, text = _model_and_text(model_and_text)
    page = output is not None and figure is None and output.suffix.lower() != ".npz"
    if output is None:
        if figure is not None:
            raise typer.BadParameter("a figure needs a file: --output fig.pdf", param_hint="--figure")
        show = show or "attention"
    _refuse_idle({"--view": view, "--weights": weights}, acts=page, on="the page (--output page.html)")
    _refuse_idle({"--font": font}, acts=figure is not None, on="figures (--figure)")
    _refuse_idle({"--plain": plain, "--numbers": numbers}, acts=show is not None, on="the terminal (--show attention)")
    _refuse_idle({"--step": step}, acts=page or figure is not None, on="the page and figures")

    from pellucid.jobs import inspect as job

    if output is not None and figure is None:
        job.refuse_name(output)
    if figure is not None:
        refuse_figure(figure, kind=kind, layer=layer, heads=heads, words=words, step=step)
    start = _start(view, kind=kind, layer=layer, heads=heads, step=step, words=words) if page else None
    draws = show is not None or figure is not None
    inspected = job.inspect_text(
        model,
        text,
        target=target,
        settings=set_ or (),
        picture=job.Picture(kind, layer, heads_of(heads)) if draws else None,
        start=start,
        step=step,
        device=device,
        threads=threads,
    )
    say(inspected.to_text())
    trace = inspected.trace
    if show is not None:
        show_in_terminal(trace, show, kind=kind, layer=layer, heads=heads, words=words, plain=plain, numbers=numbers)
    if output is not None and figure is not None:
        draw_figure(trace, figure, output, kind=kind, layer=layer, heads=heads, words=words, step=step, font=font)
        say(f"wrote {output}")
    elif output is not None:
        say(job.write_inspected(inspected, output, start=start, weights=weights))


def _model_and_text(given: list[str]) -> tuple[Path | None, str]:
    if len(given) > 2:
        raise typer.BadParameter(f"{len(given)} arguments; give a model and one sentence in quotes")
    if len(given) == 1 and Path(given[0]).is_dir():
        raise typer.BadParameter(f"{given[0]} is a folder, and no sentence was given; add one in quotes")
    return (Path(given[0]) if len(given) == 2 else None), given[-1]


def _refuse_idle(options: dict[str, object], *, acts: bool, on: str) -> None:
    """Refuse options that would be ignored."""
    if not acts and (idle := [name for name, value in options.items() if value not in (None, False)]):
        raise typer.BadParameter(f"acts on {on} only", param_hint=idle[0])


def _start(
    view: str | None, *, kind: str | None, layer: int | None, heads: str | None, step: int | None, words: bool
) -> StartView:
    from pellucid.page.single_file import StartView

    more = ({} if step is None else {"step": str(step)}) | ({"merge": "1"} if words else {})
    return StartView(view=view, kind=kind, layer=layer, heads=heads_of(heads) or (), more=more)
