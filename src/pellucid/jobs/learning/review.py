"""Review corrections: list those of a state, accept or reject them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from pellucid.errors import ConfigError, DataError, counted
from pellucid.serving.corrections.journal import Journal
from pellucid.serving.corrections.states import Correction, State
from pellucid.terminal import line_of

__all__ = ["Action", "lines_of", "review"]

ALL: Final = "all"


class Action(StrEnum):
    """What a review does."""

    LIST = "list"
    ACCEPT = "accept"
    REJECT = "reject"


_GIVES: Final = {Action.ACCEPT: State.ACCEPTED, Action.REJECT: State.REJECTED}


def review(
    folder: Path, action: str, ids: Sequence[str] = (), *, state: str = State.PENDING
) -> tuple[list[Correction], str]:
    """List corrections, or decide them; return them, and a line that counts all of the folder.

    ``all`` for the ids of ``accept`` and ``reject`` stands for those that are pending.

    Raises:
        ConfigError: an action or a state is unknown, or ids are missing or not wanted.
        DataError: the folder has no journal, or it is damaged.
        RequestError: there is no such id.
    """
    journal = Journal(folder)
    if not journal.path.is_file():
        raise DataError(f"{journal.path}: no such file; 'pellucid serve --corrections {folder}' collects corrections")
    if action not in list(Action):
        raise ConfigError(f"{action!r} is unknown; use {', '.join(Action)}")
    if state not in (ALL, *State):
        raise ConfigError(f"--state {state!r} is unknown; use {', '.join((*State, ALL))}")
    if action == Action.LIST:
        if ids:
            raise ConfigError("list shows all corrections of a state; leave the ids out, and choose with --state")
        found = [one for one in journal.corrections() if state in (ALL, one.state)]
    else:
        if not ids:
            raise ConfigError(f"name the corrections to {action} by their ids, or {ALL!r} for all that are pending")
        pending = [one.id for one in journal.corrections() if one.state is State.PENDING]
        found = journal.decide(pending if [*ids] == [ALL] else ids, _GIVES[Action(action)])
    counts = Counter(one.state for one in journal.corrections())
    totals = ", ".join(f"{counts[one]:,} {one.value}" for one in State)
    return found, f"{counted(len(found), 'correction')} here; in all {totals}"


def lines_of(one: Correction) -> list[str]:
    """Return a correction as lines for the screen: what was shown, if known, with -, and what is proposed with +."""
    shown = [f"  - {line_of(one.translation)}"] if one.translation else []
    return [
        f"{one.id}  {one.source_language} → {one.target_language}  {one.state.value}",
        f"    {line_of(one.source)}",
        *shown,
        f"  + {line_of(one.target)}",
    ]
