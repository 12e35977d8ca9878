"""The verb ``align``: which words of a text and of its translation belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import need_standard_output, say, show
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
        Path | None, typer.Option(help="Known links to measure against, a line for each pair, such as 0-0 1-2.")
    ] = None,
    gold_order: Annotated[
        str | None,
        typer.Option(help="What the numbers of a known link count: source-target (if unset) or target-source."),
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="With --gold: write precision, recall and error rate of each pair to this file.")
    ] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Print the links between the words of each pair, as 0-0 1-2; or choose the heads that align words best.

    The numbers, those of known links too, count what stands between spaces: "tired." is one word.
    """
    from pellucid.jobs.aligning import files as job

    if gold is None and (scores is not None or gold_order is not None):
        raise typer.BadParameter("needs known links; add --gold", param_hint="--scores" if scores else "--gold-order")
    if choose and scores is not None:
        raise typer.BadParameter("does not fit --choose; measure without it afterwards", param_hint="--scores")
    order = gold_order or "source-target"
    if choose:
        found = job.choose_heads(model, src, tgt, gold=gold, order=order, device=device, threads=threads, say=say)
        say(found.to_text())
        return
    need_standard_output()
    if gold is None:
        for line in job.align_files(model, src, tgt, device=device, threads=threads):
            show(line)
        return
    measured = job.measure_links(model, src, tgt, gold=gold, order=order, device=device, threads=threads)
    for links in measured.links:
        show(" ".join(f"{i}-{j}" for i, j in links))
    if scores is not None:
        measured.write_scores(scores)
    say(measured.to_text())
