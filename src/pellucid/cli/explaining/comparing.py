"""Options of the verb ``inspect`` that compare its sentence with another one, another model or a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pellucid.jobs.comparing.inspect import Other

__all__ = ["CompareModelOption", "CompareOption", "CompareSnapshotOption", "other_of"]

CompareOption = Annotated[
    str | None,
    typer.Option("--compare", help="Compare with this sentence; --output x.json writes the differences."),
]
CompareModelOption = Annotated[
    Path | None, typer.Option("--compare-model", help="Compare with this model folder or run folder.")
]
CompareSnapshotOption = Annotated[
    int | None,
    typer.Option(
        "--compare-snapshot", help="Compare with the snapshot of this step of the run, or of --compare-model."
    ),
]


def other_of(text: str | None, model: Path | None, snapshot: int | None, *, edits: object) -> Other | None:
    """Return what is compared; None if nothing is.

    Raises:
        typer.BadParameter: there are edits, which are compared with the sentence before them.
    """
    if text is None and model is None and snapshot is None:
        return None
    if edits:
        raise typer.BadParameter(
            "edits are compared with the translation before them; leave out --compare, --compare-model and "
            "--compare-snapshot",
            param_hint="--edit",
        )
    from pellucid.jobs.comparing.inspect import Other

    return Other(text=text, model=model, snapshot=snapshot)
