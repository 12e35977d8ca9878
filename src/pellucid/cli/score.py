"""The verb ``score``: how probable a model finds given translations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import counting, need_standard_output, say, show

__all__ = ["score"]


def score(
    model: Annotated[Path, typer.Argument(help="A model folder or a run folder.")],
    src: Annotated[Path, typer.Option(help="Source sentences, one a line.")],
    tgt: Annotated[Path, typer.Option(help="Their translations, line by line.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    threads: Annotated[int, typer.Option(help="Processor threads; 0 is OMP_NUM_THREADS, or every core.")] = 0,
) -> None:
    """Print the log-probability and the number of tokens of each pair, tab-separated; the perplexity at the end."""
    from pellucid.jobs import score as job

    need_standard_output()
    with counting("scored pairs") as progress:
        outcome = job.score_files(model, src, tgt, device=device, threads=threads, progress=progress)
    show("\n".join(f"{row.log_probability:.6f}\t{row.num_tokens}" for row in outcome.rows))
    say(outcome.to_text())
