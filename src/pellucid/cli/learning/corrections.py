"""The verb ``corrections``: the review of what users propose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.console import say, show

__all__ = ["corrections"]


def corrections(
    action: Annotated[str, typer.Argument(help="list, accept or reject.")],
    folder: Annotated[Path, typer.Argument(help="The folder of 'pellucid serve --corrections'.")],
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="To accept or reject; 'all': all pending ones.")
    ] = None,
    state: Annotated[str, typer.Option(help="Of those to list: pending, accepted, rejected, or all.")] = "pending",
) -> None:
    """Review the corrections that clients of the server have sent. The server may run meanwhile."""
    from pellucid.jobs.learning.review import lines_of, review

    found, totals = review(folder, action, ids or [], state=state)
    for one in found:
        for line in lines_of(one):
            show(line)
    say(totals)
