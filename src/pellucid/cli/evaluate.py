"""The verb ``evaluate``: BLEU, chrF and TER with their signatures, intervals, and the worst sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, need_standard_output, say, show
from pellucid.cli.options import DeviceOption, EngineOption, PrecisionOption, SettingsOption, ThreadsOption

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[Path | None, typer.Argument(help="A model folder or a run folder.")] = None,
    ref: Annotated[list[Path] | None, typer.Option(help="References, line by line; repeat it for several.")] = None,
    test: Annotated[list[str] | None, typer.Option(help="A test set with both sides: TMX, XLIFF, PO ...")] = None,
    src: Annotated[Path | None, typer.Option(help="Source sentences, one per line; required with a model.")] = None,
    hyp: Annotated[Path | None, typer.Option(help="Score the translations in this file, instead of a model.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another model or file of translations, compared by a paired test.")
    ] = None,
    tgt_lang: Annotated[str | None, typer.Option(help="Code of the target language; if unset, the model's.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown to this file.")] = None,
    set_: SettingsOption = None,
    tokenizer: Annotated[
        str, typer.Option(help="Tokenizer of BLEU; auto follows the target language, char needs no package.")
    ] = "auto",
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Score the translations of a model, or those in a file, against reference translations."""
    from pellucid.jobs import evaluate as job
    from pellucid.jobs.options.translation import ModelOptions

    if not ref and not test:
        raise typer.BadParameter("give references, or a test set with both sides by --test", param_hint="--ref")
    need_standard_output()
    taken = [path for path in (src, hyp, against, *(ref or [])) if path is not None]
    for place in (json_, markdown):
        if place is not None:
            job.refuse_unwritable(place, taken=taken)
            taken.append(place)
    options = ModelOptions(settings=set_ or (), device=device, threads=threads, engine=engine, precision=precision)
    with counting("translated lines") as progress:
        report = job.evaluate_files(
            ref or [],
            options=options,
            src=src,
            test=test or [],
            model=model,
            hypotheses=hyp,
            against=against,
            target_language=tgt_lang,
            tokenizer=tokenizer,
            say=say,
            progress=progress,
        )
    show(report.to_text())
    for path, text in ((json_, report.to_json()), (markdown, report.to_markdown())):
        if path is not None:
            job.write_report(path, text)
            say(f"report written to {path}")
