"""The verb ``align``: which words of a text and of its translation belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import need_standard_output, say, say_error, show
from pellucid.cli.options import DeviceOption, ModelArgument, ThreadsOption

__all__ = ["align"]


def align(
    model: ModelArgument,
    src: Annotated[Path, typer.Option(help="Source sentences, one a line.")],
    tgt: Annotated[Path, typer.Option(help="Their translations, line by line.")],
    choose: Annotated[
        bool, typer.Option("--choose", help="Measure all heads on these pairs, and name the best in the model folder.")
    ] = False,
    gold: Annotated[
        Path | None, typer.Option(help="With --choose: known links, a line for each pair, such as 0-0 1-2.")
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Print the links between the words of each pair, as 0-0 1-2; or choose the heads that align words best."""
    from pellucid.jobs.aligning import files as job

    if gold is not None and not choose:
        say_error("--gold is for --choose")
        raise typer.Exit(2)
    if choose:
        say(job.choose_heads(model, src, tgt, gold=gold, device=device, threads=threads, say=say).to_text())
        return
    need_standard_output()
    for line in job.align_files(model, src, tgt, device=device, threads=threads):
        show(line)
