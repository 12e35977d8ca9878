"""What the translator asks of an engine: token ids and settings in, hypotheses out.

An engine says which of the settings it lacks, and the translator then takes one that has them. Read ``torch_engine.py``
next, the engine that lacks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pellucid.config import TranslationConfig
from pellucid.translation.hypothesis import Hypothesis

if TYPE_CHECKING:
    from pellucid.translation.constraints import Constraints
    from pellucid.translation.engines.dropping import Drops
    from pellucid.translation.observer import BeamObserver
    from pellucid.translation.units import Unit

__all__ = ["DivisibleEngine", "Engine", "Outcome", "SearchRequest"]

Outcome = tuple[int, list[Hypothesis] | str]
"""The place of a unit, and its hypotheses, the best first; or why it failed, as a sentence."""


@dataclass(frozen=True)
class SearchRequest:
    """Units to search, all with the same settings."""

    units: Sequence[Unit]
    config: TranslationConfig
    constraints: Constraints
    key_of: Callable[[Sequence[int]], Hashable]
    """What a reader can tell apart: an n-best list holds each key once."""
    observer: BeamObserver | None = None
    drops: Drops | None = None
    """Texts, by ``Unit.request``, whose search may stop."""
    head: tuple[int, int] | None = None
    """Layer and head of the decoder, both from 0; the hypotheses are ``AlignedHypothesis`` with its cross-attention."""


class Engine(Protocol):
    """Something that searches. Its results for a unit do not depend on the other units of a request."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def lacks(self, request: SearchRequest) -> str | None:
        """Return what of the request this engine cannot do, as a noun phrase; None if it can do all of it."""

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search every unit of a request; they come in any order, each once."""


@runtime_checkable
class DivisibleEngine(Protocol):
    """An engine that gives each of its threads whole sentences, so that several calls at once can share its threads."""

    def divided(self) -> tuple[Engine, int]:
        """Return an engine that computes a call on one thread, and how many calls at once use all threads of this."""
