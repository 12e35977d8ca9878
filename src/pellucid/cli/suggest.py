"""The verb ``suggest``: the words that may come next in a translation that is being typed."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.console import need_standard_output, say, show
from pellucid.cli.options import (
    DeviceOption,
    EngineOption,
    ModelArgument,
    PrecisionOption,
    SettingsOption,
    ThreadsOption,
)

__all__ = ["suggest"]


def suggest(
    model: ModelArgument,
    text: Annotated[
        str, typer.Argument(help="The source text; - is standard input, lines with a text, a tab and a prefix.")
    ] = "-",
    prefix: Annotated[
        str, typer.Option(help="What is typed so far; a space at its end says that its last word is whole.")
    ] = "",
    count: Annotated[int, typer.Option(min=1, help="Words that are wanted.")] = 5,
    format_: Annotated[str, typer.Option("--format", help="text or jsonl.")] = "text",
    beam_size: Annotated[int | None, typer.Option(help="Hypotheses kept at each step; 1 is greedy search.")] = None,
    set_: SettingsOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Print the next words of a translation that is being typed, with probabilities and whole translations."""
    from pellucid.jobs.assisting.suggest import suggest as job
    from pellucid.jobs.options.translation import ModelOptions

    need_standard_output()
    settings = [f"beam_size={beam_size}"] * (beam_size is not None) + list(set_ or [])
    options = ModelOptions(settings=settings, device=device, threads=threads, engine=engine, precision=precision)
    for lines in job(model, text, options=options, prefix=prefix, count=count, format=format_, say=say):
        show(lines)
