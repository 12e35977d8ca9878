"""The verb ``score``: how probable a model finds given translations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, need_standard_output, say, show
from pellucid.cli.options import DeviceOption, EngineOption, ModelArgument, PrecisionOption, ThreadsOption

__all__ = ["score"]


def score(
    model: ModelArgument,
    src: Annotated[Path, typer.Option(help="Source sentences, one a line.")],
    tgt: Annotated[Path, typer.Option(help="Their translations, line by line.")],
    engine: EngineOption = "auto",
    precision: PrecisionOption = "fp32",
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Print the log-probability and the number of tokens of each pair, tab-separated; the perplexity at the end."""
    from pellucid.jobs import score as job
    from pellucid.jobs.options.translation import ModelOptions

    need_standard_output()
    options = ModelOptions(device=device, threads=threads, engine=engine, precision=precision)
    with counting("scored pairs") as progress:
        outcome = job.score_files(model, src, tgt, options=options, say=say, progress=progress)
    show("\n".join(f"{pair.log_probability:.6f}\t{len(pair.ids)}" for pair in outcome.pairs))
    say(outcome.to_text())
