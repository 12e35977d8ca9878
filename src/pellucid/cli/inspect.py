"""The verb ``inspect``: look inside one translation: as the page in one file, as a figure, or in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.console import say
from pellucid.cli.console import show as show_result
from pellucid.cli.explaining.comparing import CompareModelOption, CompareOption, CompareSnapshotOption, other_of
from pellucid.cli.options import DeviceOption, SettingsOption, ThreadsOption
from pellucid.cli.pictures import (
    FigureOption,
    FontOption,
    HeadsOption,
    KindOption,
    LayerOption,
    NumbersOption,
    PlainOption,
    ReferenceOption,
    ShowOption,
    StepOption,
    WordsOption,
    draw_figure,
    heads_of,
    show_in_terminal,
)
from pellucid.durable import can_be_name
from pellucid.errors import counted

if TYPE_CHECKING:
    from pellucid.jobs.inspect import Inspected
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
    typer.Option(
        help="page.html for the page in one file, trace.npz for the numbers, x.json for a comparison; with --figure, "
        "its file."
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Attention weights in the page: none, layer (the one it opens with) or all; if unset, what fits."
    ),
]
EditOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Change the model or the translation, and compare: encoder.5.self_attention.head.3=zero, "
        "decoder.2.feed_forward=mean, step.4=elle, ban=il, word.3=drop; repeatable."
    ),
]


def inspect(
    model_and_text: ModelAndText,
    output: OutputOption = None,
    figure: FigureOption = None,
    show: ShowOption = None,
    reference: ReferenceOption = None,
    view: Annotated[str | None, typer.Option(help="First view of the page: attention, heads, softmax ...")] = None,
    kind: KindOption = None,
    layer: LayerOption = None,
    heads: HeadsOption = None,
    step: StepOption = None,
    words: WordsOption = False,
    weights: WeightsOption = None,
    target: Annotated[str | None, typer.Option(help="Inspect this translation instead of the model's.")] = None,
    edit: EditOption = None,
    compare: CompareOption = None,
    compare_model: CompareModelOption = None,
    compare_snapshot: CompareSnapshotOption = None,
    font: FontOption = None,
    plain: PlainOption = False,
    numbers: NumbersOption = False,
    set_: SettingsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Look inside one translation: the page in one file, a figure, the numbers, or a picture in the terminal."""
    model, text = _model_and_text(model_and_text)
    other = other_of(compare, compare_model, compare_snapshot, edits=edit)
    page = output is not None and figure is None and output.suffix.lower() not in (".npz", ".json")
    show = show or ("attention" if output is None and other is None else None)
    choices: dict[str, Any] = {"kind": kind, "layer": layer, "heads": heads_of(heads), "words": words}
    _refuse_on_page({"--view": view, "--weights": weights}, {"--font": font}, {"--step": step}, page, figure)
    in_terminal = {"--plain": plain, "--numbers": numbers, "--reference": reference, "--target": target}
    _refuse_in_terminal(show, in_terminal, {} if page or figure else choices)

    _refuse_settings(model, set_)
    from pellucid.jobs import inspect as job
    from pellucid.jobs.serve import InsideOptions

    _refuse_output(output, figure, is_compared=bool(other or edit), step=step, **choices)
    start = _start_view("compare" if other and not view else view, step=step, **choices) if page else None
    inspected = job.inspect_text(
        model,
        text,
        options=InsideOptions(settings=set_ or (), device=device, threads=threads),
        target=target,
        picture=job.Picture(kind, layer, choices["heads"]) if show or figure else None,
        start=start,
        step=step,
        edits=edit or (),
        other=other,
    )
    _say(inspected, is_compared=other is not None)
    if show is not None:
        show_in_terminal(inspected.trace, show, reference=reference, plain=plain, numbers=numbers, **choices)
    if output is not None and figure is not None:
        draw_figure(inspected.trace, figure, output, font=font, step=step, **choices)
    elif output is not None:
        say(job.write_inspected(inspected, output, start=start, weights=weights))


def _refuse_settings(model: Path | None, settings: Sequence[str] | None) -> None:
    """Refuse a wrong setting before torch is imported."""
    if settings:
        from pellucid.jobs.models import settings_for

        settings_for(model, settings)


def _refuse_output(
    output: Path | None, figure: str | None, *, is_compared: bool, step: int | None, **choices: Any
) -> None:
    """Refuse a figure without a file, or a file that cannot be written, before anything is computed."""
    if figure is None:
        if output is not None:
            from pellucid.jobs.inspect import refuse_name

            refuse_name(output, is_compared=is_compared)
        return
    if output is None:
        raise typer.BadParameter("a figure needs a file: --output fig.pdf", param_hint="--figure")
    from pellucid.figures.plots import refuse_misfit

    refuse_misfit(figure, **choices, step=step)


def _say(inspected: Inspected, *, is_compared: bool) -> None:
    """Write what was inspected as messages, and a comparison with something else as the result."""
    say(inspected.to_text())
    if is_compared:
        show_result(str(inspected.comparison))


def _model_and_text(given: list[str]) -> tuple[Path | None, str]:
    if len(given) > 2:
        raise typer.BadParameter(f"{counted(len(given), 'argument')}; give a model and one sentence in quotes")
    is_alone = len(given) == 1 and bool(given[0])  # an empty text is a path, that of this folder
    if is_alone and can_be_name(given[0]) and Path(given[0]).is_dir():
        raise typer.BadParameter(f"{given[0]} is a folder, and no sentence was given; add one in quotes")
    return (Path(given[0]) if len(given) == 2 else None), given[-1]


def _refuse_idle(options: Mapping[str, object], *, used: bool, on: str) -> None:
    """Refuse options that would have no effect."""
    if not used and (idle := [name for name, value in options.items() if value not in (None, False)]):
        raise typer.BadParameter(f"has an effect on {on} only", param_hint=idle[0])


def _refuse_on_page(
    of_page: Mapping[str, object],
    of_figure: Mapping[str, object],
    of_both: Mapping[str, object],
    page: bool,
    figure: str | None,
) -> None:
    """Refuse options of the page and of figures where there is none."""
    _refuse_idle(of_page, used=page, on="the page (--output page.html)")
    _refuse_idle(of_figure, used=figure is not None, on="figures (--figure)")
    _refuse_idle(of_both, used=page or figure is not None, on="the page and figures")


def _refuse_in_terminal(show: str | None, given: Mapping[str, object], choices: Mapping[str, object]) -> None:
    """Refuse options of the terminal that what it shows does not use, and choices of attention for the search."""
    of_search = {"--reference": given["--reference"]}
    if show != "search":
        _refuse_idle(of_search, used=False, on="the tree of a search (--show search)")
        of_any = {name: given[name] for name in ("--plain", "--numbers")}
        return _refuse_idle(of_any, used=show is not None, on="the terminal (--show attention)")
    if given["--target"] is not None:
        raise typer.BadParameter("a given translation was not searched; give --reference", param_hint="--target")
    of_attention = {f"--{name}": value for name, value in choices.items()} | {"--numbers": given["--numbers"]}
    return _refuse_idle(of_attention, used=False, on="pictures of attention")


def _start_view(
    view: str | None,
    *,
    kind: str | None,
    layer: int | None,
    heads: tuple[int, ...] | None,
    words: bool,
    step: int | None,
) -> StartView:
    from pellucid.page.single_file import StartView

    more = ({} if step is None else {"step": str(step)}) | ({"merge": "1"} if words else {})
    return StartView(view=view, kind=kind, layer=layer, heads=heads or (), more=more)
