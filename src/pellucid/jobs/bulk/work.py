"""What runs parts, as the other modules see it. Read ``files.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.tally import Tally

__all__ = ["Finished", "Progress", "Runner", "Work"]

Progress = Callable[[int, int | None], None]
"""Called with the number of lines that are done, and of all lines; None if it is unknown."""


@dataclass(frozen=True)
class Finished:
    """What became of a part."""

    text: str
    tally: Tally


class Runner(Protocol):
    """Runs parts, several at once from different threads."""

    def __call__(self, part: Part, advance: Callable[[int], None]) -> Finished:
        """Run a part; call ``advance`` now and then with the number of its lines that are done, and let it raise."""


@dataclass(frozen=True)
class Work:
    """How parts are run."""

    run: Runner
    at_once: int
    lines_per_part: int
    facts: Mapping[str, Any]
    """Everything that the result depends on besides the inputs, as JSON."""
