"""What is counted while lines are translated. Tallies of parts add up to that of the file. Read ``survey.py`` next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

__all__ = ["MOST_PROBLEMS", "Tally"]

MOST_PROBLEMS: Final = 20
"""Failed lines that are reported one by one; the rest is counted, so that memory has a bound."""


@dataclass(frozen=True)
class Tally:
    """Counts of some lines that follow each other."""

    lines: int = 0
    failed: int = 0
    problems: tuple[tuple[int, str], ...] = ()
    """Number in the file, from 1, and error of the first lines that failed; at most ``MOST_PROBLEMS``."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """How many lines have each flag."""
    with_bars: int = 0
    """Lines with the mark that separates fields of the Moses format."""

    def __add__(self, later: Tally) -> Tally:
        """Return the counts of these lines and of the lines after them."""
        return Tally(
            lines=self.lines + later.lines,
            failed=self.failed + later.failed,
            problems=(self.problems + later.problems)[:MOST_PROBLEMS],
            flags=dict(Counter(self.flags) + Counter(later.flags)),
            with_bars=self.with_bars + later.with_bars,
        )

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> Self:
        """Return the tally that ``dataclasses.asdict`` and JSON made of one.

        Raises:
            KeyError, TypeError, ValueError: the table is none.
        """
        return cls(
            lines=int(table["lines"]),
            failed=int(table["failed"]),
            problems=tuple((int(line), str(error)) for line, error in table["problems"]),
            flags={str(flag): int(count) for flag, count in table["flags"].items()},
            with_bars=int(table["with_bars"]),
        )
