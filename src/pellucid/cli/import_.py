"""The verb ``import``: convert a model of another tool into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, say
from pellucid.cli.options import NewModelOption, SampleOption, ThreadsOption

__all__ = ["import_"]


def import_(
    folder: Annotated[Path, typer.Argument(help="The model of another tool: its folder or its file.")],
    output: NewModelOption,
    format_: Annotated[
        str | None, typer.Option("--format", help="marian or marian-npz; recognised by its files if unset.")
    ] = None,
    sample: SampleOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Import a model of another tool, and prove that it computes the same here."""
    from pellucid.jobs import exchange as job

    with counting("compared sentences") as progress:
        outcome = job.import_model(
            folder, output, format=format_, sample=sample, threads=threads, say=say, progress=progress
        )
    say(outcome.to_text())
