"""The verb ``average``: one model from several checkpoints of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import say
from pellucid.cli.options import NewModelOption

__all__ = ["average"]


def average(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    output: NewModelOption,
    last: Annotated[int | None, typer.Option(help="Average this many of the last checkpoints; if unset, all.")] = None,
    best: Annotated[int | None, typer.Option(help="Average this many checkpoints with the best validations.")] = None,
) -> None:
    """Average the weights of checkpoints into a model folder."""
    from pellucid.jobs import average as job

    say(job.average_run(run, output, last=last, best=best))
