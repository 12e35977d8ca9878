"""The verb ``average``: one model from several checkpoints of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import say

__all__ = ["average"]


def average(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    output: Annotated[Path, typer.Option(help="The new model folder.")],
    last: Annotated[
        int | None, typer.Option(help="Average the last so many checkpoints; all that are kept if unset.")
    ] = None,
    best: Annotated[int | None, typer.Option(help="Average the best so many by validation score instead.")] = None,
) -> None:
    """Average the weights of checkpoints into a model folder."""
    from pellucid.jobs import average as job

    say(job.average_run(run, output, last=last, best=best).to_text())
