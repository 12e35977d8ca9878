"""The verb ``export``: a model folder becomes another tool's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, say

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="A model folder or a run folder.")],
    output: Annotated[Path, typer.Option(help="The new folder; with --verify-only, the one to check.")],
    format_: Annotated[str, typer.Option("--format", help="What to write: marian (Hugging Face MarianMT).")] = "marian",
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Write nothing; compare an earlier export with the model.")
    ] = False,
    sample: Annotated[
        Path | None, typer.Option(help="Source sentences to compare on, one a line; made up if not given.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Processor threads; 0 is all.")] = 0,
) -> None:
    """Bring a model out to another tool's format, and prove that it is the same model there."""
    from pellucid.jobs import exchange as job

    with counting("compared sentences") as progress:
        outcome = job.export_model(
            model,
            output,
            format=format_,
            verify_only=verify_only,
            sample=sample,
            threads=threads,
            say=say,
            progress=progress,
        )
    say(outcome.to_text())
