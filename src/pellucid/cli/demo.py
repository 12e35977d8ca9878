"""The verb ``demo``: train a small English-French translator on the embedded corpus and use it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import show
from pellucid.runtime import let_others_run_at_barriers

__all__ = ["demo"]


def demo(
    minutes: Annotated[
        float, typer.Option(help="Limit of the training time; training ends earlier when the translations are right.")
    ] = 20.0,
    seed: Annotated[int, typer.Option(help="Decides the corpus, the first weights and the order of the batches.")] = 1,
    output: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Do not train; open the page for the walkthrough model, and for the run if any."),
    ] = False,
) -> None:
    """Train a translator on sentences that ship with pellucid, translate with it and score it."""
    if serve:
        from pellucid.cli.serve import serve as serve_models
        from pellucid.jobs.serve import demo_folders

        serve_models(demo_folders(output))
        return
    let_others_run_at_barriers()  # other programs should not slow down the first run of a newcomer
    from pellucid.cli.screens.training import TrainingScreen
    from pellucid.jobs import demo as job

    with TrainingScreen() as screen:
        outcome = job.demo(output, minutes=minutes, seed=seed, reporter=screen)
    show(outcome.to_text())
