"""The verb ``attribute``: why the model writes a piece, and not another one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import say, show
from pellucid.cli.options import DeviceOption, ThreadsOption
from pellucid.errors import counted

__all__ = ["attribute"]


def attribute(
    model_and_text: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] TEXT",
            help="A model folder or run folder, and one sentence in quotes; without a folder, the walkthrough model.",
        ),
    ],
    target: Annotated[str | None, typer.Option(help="Explain this translation instead of the model's.")] = None,
    step: Annotated[int | None, typer.Option(help="The step to explain, from 0; all steps if unset.")] = None,
    word: Annotated[str | None, typer.Option(help="Explain this word of the translation instead of --step.")] = None,
    against: Annotated[str | None, typer.Option(help="Explain why the step does not write this word.")] = None,
    method: Annotated[
        str,
        typer.Option(
            help="input_x_gradient, integrated_gradients, occlusion, value_zeroing, alti or alti_logit; alti_logit if "
            "unset."
        ),
    ] = "alti_logit",
    quantity: Annotated[str, typer.Option(help="What is explained: logit or log_probability.")] = "logit",
    points: Annotated[
        int | None, typer.Option(help="Points of integrated_gradients; as many as its sums need if unset.")
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Merge pieces to words.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write all numbers to this JSON file, too.")] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
) -> None:
    """Say how much each source piece and each earlier target piece has to do with what a step writes."""
    from pellucid.jobs.explaining import attribute as job
    from pellucid.jobs.serve import InsideOptions

    if len(model_and_text) > 2:
        raise typer.BadParameter(f"{counted(len(model_and_text), 'argument')}; give a model and one sentence in quotes")
    if step is not None and word is not None:
        raise typer.BadParameter("names a step, as --step does; give one of them", param_hint="--word")
    if against is not None and step is None and word is None:
        raise typer.BadParameter("compares two pieces of one step; add --step or --word", param_hint="--against")
    made = job.attribute_text(
        Path(model_and_text[0]) if len(model_and_text) == 2 else None,
        model_and_text[-1],
        method=method,
        target=target,
        step=step,
        word=word,
        against=against,
        quantity=quantity,
        points=points,
        options=InsideOptions(device=device, threads=threads),
    )
    for line in job.lines_of(made, words=words):
        show(line)
    if output is not None:
        job.write_numbers(made, output)
        say(f"wrote {output}")
