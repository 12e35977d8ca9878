"""The verb ``synthesize``: a model makes one side of new training pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import say, show
from pellucid.cli.options import DeviceOption, EngineOption, PrecisionOption, ThreadsOption
from pellucid.cli.screens.translation import TranslationScreen
from pellucid.errors import ConfigError
from pellucid.jobs.options.parts import CHUNK_LINES

__all__ = ["synthesize"]

LanguageTagOption = Annotated[
    str, typer.Option(help="Tag before each line for a model with several target languages, as in '>>deu<<'.")
]


def synthesize(
    model: Annotated[Path, typer.Argument(help="A reverse model for back-translation; the teacher for distillation.")],
    file: Annotated[str, typer.Argument(help="Text in the source language of that model, a segment a line.")],
    output: Annotated[Path, typer.Option(help="The corpus: source, tab, target on each line.")],
    kind: Annotated[str, typer.Option(help="back-translation (tagged), or distillation.")] = "back-translation",
    reference: Annotated[
        str | None,
        typer.Option(help="For distillation: keep the n-best translation closest to the same line of this file."),
    ] = None,
    search: Annotated[str, typer.Option(help="beam, sampling, or top-k (sampling from 10 pieces).")] = "beam",
    tag: Annotated[str | None, typer.Option(help="Tag for the recipe; <bt> if unset, none for distillation.")] = None,
    language_tag: LanguageTagOption = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of [translation], or a filter, as in cleaning.max_ratio=3."),
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    chunk_lines: Annotated[int, typer.Option(help="Lines that are translated together.")] = CHUNK_LINES,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin again, whatever an earlier command finished of this corpus.")
    ] = False,
) -> None:
    """Make training text with a model: back-translation or distillation.

    The same command continues an interrupted one. The lines for a recipe go to standard output.
    """
    from pellucid.jobs.options.translation import ModelOptions
    from pellucid.jobs.synthesis import job
    from pellucid.jobs.synthesis.pairs import SynthesisKind

    for option, name, allowed in (("--kind", kind, SynthesisKind), ("--search", search, job.Search)):
        if name not in list(allowed):
            raise ConfigError(f"{option} {name!r} is unknown; use {', '.join(allowed)}")
    request = job.SynthesisRequest(
        model=model,
        file=file,
        output=output,
        kind=SynthesisKind(kind),
        reference=reference,
        search=job.Search(search),
        tag=tag,
        language_tag=language_tag,
        options=ModelOptions(settings=set_ or (), device=device, threads=threads, engine=engine, precision=precision),
        chunk_lines=chunk_lines,
        restart=restart,
    )
    with TranslationScreen() as screen:
        outcome = job.synthesize(request, say=screen.message, progress=screen.progress)
    for problem in outcome.problems:
        say(f"dropped: {problem}")
    say(f"{output}: {outcome.summary}")
    say(f"{request.provenance}: where it comes from; the lines for a recipe:")
    show(outcome.recipe)
