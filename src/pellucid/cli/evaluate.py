"""The verb ``evaluate``: BLEU, chrF and TER with their signatures, intervals, and the worst sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, need_standard_output, say

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model folder or a run folder.")],
    src: Annotated[Path, typer.Option(help="Source sentences, one a line.")],
    ref: Annotated[Path, typer.Option(help="Reference translations, line by line.")],
    against: Annotated[Path | None, typer.Option(help="A second model; the difference is tested in pairs.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown here.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of \\[translation], as in beam_size=1.")
    ] = None,
    tokenizer: Annotated[
        str, typer.Option(help="How BLEU finds words; auto follows the target language, char needs no package.")
    ] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    threads: Annotated[int, typer.Option(help="Processor threads; 0 is OMP_NUM_THREADS, or every core.")] = 0,
) -> None:
    """Translate a test set and score it against its references."""
    from pellucid.jobs import evaluate as job

    need_standard_output()
    taken = [src, ref]
    for place in (json_, markdown):
        if place is not None:
            job.refuse_unwritable(place, taken=taken)
            taken.append(place)
    with counting("translated lines") as progress:
        report = job.evaluate_files(
            model,
            src,
            ref,
            against=against,
            tokenizer=tokenizer,
            settings=set_ or [],
            device=device,
            threads=threads,
            progress=progress,
        )
    print(report.to_text(), flush=True)
    for path, text in ((json_, report.to_json()), (markdown, report.to_markdown())):
        if path is not None:
            job.write_report(path, text)
            say(f"report written to {path}")
