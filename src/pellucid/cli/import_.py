"""The verb ``import``: another tool's model becomes a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, say

__all__ = ["import_"]


def import_(
    folder: Annotated[Path, typer.Argument(help="Another tool's model: its folder, or its file.")],
    output: Annotated[Path, typer.Option(help="The new model folder.")],
    format_: Annotated[
        str | None, typer.Option("--format", help="What it is: marian, marian-npz; told by its files if not given.")
    ] = None,
    sample: Annotated[
        Path | None, typer.Option(help="Source sentences to compare on, one a line; made up if not given.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Processor threads; 0 is OMP_NUM_THREADS, or every core.")] = 0,
) -> None:
    """Bring a model in from another tool, and prove that it is the same model here."""
    from pellucid.jobs import exchange as job

    with counting("compared sentences") as progress:
        outcome = job.import_model(
            folder, output, format=format_, sample=sample, threads=threads, say=say, progress=progress
        )
    say(outcome.to_text())
