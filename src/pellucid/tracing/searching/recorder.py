"""Watch a search and keep what it shows. Read ``making.py`` next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pellucid.tracing.searching.walks import Distribution
from pellucid.translation.observer import ChosenToken, Expansion

__all__ = ["Recorder"]

_MOST_LISTED: Final = 20
"""Pieces of one step of greedy search or sampling that are kept, besides the chosen one."""


@dataclass
class Recorder:
    """An observer of the search for one sentence, of any method.

    ``between_steps`` is called at every step; an exception from it ends the search.
    """

    between_steps: Callable[[], None]
    expansions: list[Expansion] = field(default_factory=list)
    choices: list[Distribution] = field(default_factory=list)

    def expanded(self, expansion: Expansion) -> None:
        """See ``BeamObserver``."""
        self.between_steps()
        self.expansions.append(expansion)

    def chosen(self, choice: ChosenToken) -> None:
        """See ``WalkObserver``."""
        self.between_steps()
        self.choices.append(Distribution.of(choice, _MOST_LISTED))
