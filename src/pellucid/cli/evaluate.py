"""The verb ``evaluate``: BLEU, chrF and TER with their signatures, intervals, and the worst sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, need_standard_output, say, show
from pellucid.cli.options import Engine, Precision

__all__ = ["evaluate"]


def evaluate(
    ref: Annotated[list[Path], typer.Option(help="Reference translations, line by line; give it again for more.")],
    model: Annotated[Path | None, typer.Argument(help="A model folder or a run folder.")] = None,
    src: Annotated[Path | None, typer.Option(help="Source sentences, one a line; a model needs them.")] = None,
    hyp: Annotated[Path | None, typer.Option(help="Score the translations in this file, instead of a model.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="A second model or file of translations; the difference is tested in pairs.")
    ] = None,
    tgt_lang: Annotated[str | None, typer.Option(help="Code of the target language; as a rule the model's.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON here.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown here.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of [translation], as in beam_size=1.")
    ] = None,
    tokenizer: Annotated[
        str, typer.Option(help="How BLEU finds words; auto follows the target language, char needs no package.")
    ] = "auto",
    engine: Engine = "auto",
    precision: Precision = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    threads: Annotated[int, typer.Option(help="Processor threads; 0 is OMP_NUM_THREADS, or every core.")] = 0,
) -> None:
    """Translate a test set, or take translations that are there, and score them against references."""
    from pellucid.jobs import evaluate as job

    need_standard_output()
    taken = [path for path in (src, hyp, against, *ref) if path is not None]
    for place in (json_, markdown):
        if place is not None:
            job.refuse_unwritable(place, taken=taken)
            taken.append(place)
    with counting("translated lines") as progress:
        report = job.evaluate_files(
            ref,
            src=src,
            model=model,
            hypotheses=hyp,
            against=against,
            target_language=tgt_lang,
            tokenizer=tokenizer,
            settings=set_ or [],
            device=device,
            threads=threads,
            engine=engine,
            precision=precision,
            say=say,
            progress=progress,
        )
    show(report.to_text())
    for path, text in ((json_, report.to_json()), (markdown, report.to_markdown())):
        if path is not None:
            job.write_report(path, text)
            say(f"report written to {path}")
