"""The verb ``learn``: from accepted corrections to a better model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import show

__all__ = ["learn"]

_NOT_BETTER = 3


def learn(
    model: Annotated[Path, typer.Argument(help="The run folder of a model, or a model folder, or a link to one.")],
    corrections: Annotated[Path, typer.Option(help="The folder of 'pellucid serve --corrections'.")],
    output: Annotated[Path, typer.Option(help="The new run folder; the same continues a stopped run.")],
    general: Annotated[
        list[str] | None,
        typer.Option(help="Text whose score must not fall, in any format; if unset, the run's validation text."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(help="A link that leads to the new model if that is better; a server follows it.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget of the whole run; if unset, 300 steps.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any setting, such as training.seed=7.")] = None,
) -> None:
    """Fine-tune a model on accepted corrections; status 3 if the new model is not better."""
    from pellucid.cli.screens.training import TrainingScreen
    from pellucid.jobs.learning.learn import learn as job

    settings = [*(set_ or []), *([] if minutes is None else [f"training.minutes={minutes}"])]
    with TrainingScreen() as screen:
        lesson = job(
            model, corrections, output=output, general=general or [], settings=settings, into=into, reporter=screen
        )
    show(lesson.to_text())
    if not lesson.is_better:
        raise typer.Exit(_NOT_BETTER)
