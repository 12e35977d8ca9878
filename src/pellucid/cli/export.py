"""The verb ``export``: convert a model folder into a model of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, say
from pellucid.cli.options import ModelArgument, SampleOption, ThreadsOption

__all__ = ["export"]


def export(
    model: ModelArgument,
    output: Annotated[
        Path, typer.Option(help="The new folder (for argos, the new file); with --verify-only, the one to check.")
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
    sample: SampleOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Export a model to the format of another tool, and prove that it computes the same there."""
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
