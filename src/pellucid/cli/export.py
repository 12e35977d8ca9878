"""The verb ``export``: a model folder becomes another tool's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, say

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="A model folder or a run folder.")],
    output: Annotated[
        Path, typer.Option(help="The new folder, or file for argos; with --verify-only, the one to check.")
    ],
    format_: Annotated[
        str, typer.Option("--format", help="What to write: argos, ctranslate2, marian (Hugging Face MarianMT), onnx.")
    ] = "marian",
    quantization: Annotated[
        str | None,
        typer.Option(help="ctranslate2 and argos: float32 (exact), float16, bfloat16, int16, int8, int8_float16 ..."),
    ] = None,
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="Write nothing; compare an earlier export with the model.")
    ] = False,
    sample: Annotated[
        Path | None, typer.Option(help="Source sentences to compare on, one a line; made up if not given.")
    ] = None,
    threads: Annotated[int, typer.Option(help="Processor threads; 0 is OMP_NUM_THREADS, or every core.")] = 0,
) -> None:
    """Bring a model out to another tool's format, and prove that it is the same model there."""
    from pellucid.jobs import exchange as job

    options = {} if quantization is None else {"quantization": quantization}
    with counting("compared sentences") as progress:
        outcome = job.export_model(
            model,
            output,
            format=format_,
            options=options,
            verify_only=verify_only,
            sample=sample,
            threads=threads,
            say=say,
            progress=progress,
        )
    say(outcome.to_text())
