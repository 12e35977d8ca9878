"""Options and arguments that several verbs share, each written once. Read ``main.py`` next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from pellucid.sample.embedded import DIRECTIONS

__all__ = [
    "DeviceOption",
    "EngineOption",
    "MemoryOption",
    "ModelArgument",
    "NewModelOption",
    "PrecisionOption",
    "SampleOption",
    "SettingsOption",
    "ThreadsOption",
    "Verb",
]

_MAY_BE_EMPTY: Final = {"suggest": ("prefix",), "synthesize": ("tag", "language_tag")}
"""Options for which an empty text says something: nothing is typed yet, no tag."""


class Verb(TyperCommand):
    """A verb that refuses an empty text for an option, such as a variable of a script that nobody set.

    Most options would ignore it in silence, and an empty path is the current folder.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            typer.BadParameter: an option has an empty text, or another fault.
        """
        given, *_ = self.make_parser(ctx).parse_args(args=list(args))
        for param in self.params:
            value = given.get(param.name or "")
            values = value if isinstance(value, list | tuple) else [value]
            if param.param_type_name != "option" or param.name in _MAY_BE_EMPTY.get(self.name or "", ()):
                continue
            if any(isinstance(one, str) and not one.strip() for one in values):
                raise typer.BadParameter(
                    "is empty; give a value, or leave the option out", ctx=ctx, param_hint=param.opts[0]
                )
        return super().parse_args(ctx, args)


ModelArgument = Annotated[
    Path, typer.Argument(help=f"A model folder, a run folder, or an embedded translator: {', '.join(DIRECTIONS)}.")
]
NewModelOption = Annotated[Path, typer.Option("--output", help="The new model folder.")]
SampleOption = Annotated[
    Path | None,
    typer.Option("--sample", help="Source sentences for the comparison, one a line; generated if unset."),
]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of [translation], such as beam_size=1.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 ...")]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        help="auto, native (a C file compiled here; auto on a CPU), device (CUDA graphs; auto on a GPU), torch, "
        "or ctranslate2.",
    ),
]
MemoryOption = Annotated[
    list[str] | None,
    typer.Option("--memory", help="A translation memory (TMX, XLIFF, PO, TSV ...) whose exact matches are used."),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision", help="auto, int8 (weights in 8 bits; auto on a CPU), bf16 (auto on a GPU), or fp32 (exact)."
    ),
]
ThreadsOption = Annotated[
    int, typer.Option("--threads", min=0, help="CPU threads; 0 uses OMP_NUM_THREADS, or the physical cores.")
]
