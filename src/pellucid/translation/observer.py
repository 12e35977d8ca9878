"""What a beam search shows of itself: every expansion, so that the tree can be drawn.

A search calls its observer once a step and sentence; without one, nothing of this is made. Read
``constraints.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

__all__ = ["BeamObserver", "BeamTree", "Candidate", "Expansion", "Fate", "LiveRow"]


class Fate(StrEnum):
    """What became of a candidate.

    ``live``: goes on as a row of the next step. ``finished``: ended the sentence.
    ``max_length``: would have gone on, and the maximum length was reached. ``pruned``: lost.
    """

    LIVE = "live"
    FINISHED = "finished"
    MAX_LENGTH = "max_length"
    PRUNED = "pruned"


@dataclass(frozen=True)
class LiveRow:
    """A row of the beam before a step: its tokens so far and their summed log-probability."""

    ids: tuple[int, ...]
    log_probability: float


@dataclass(frozen=True)
class Candidate:
    """One continuation of a live row. ``row`` is its row at the next step where its fate is ``live``."""

    parent: int
    token: int
    token_log_probability: float
    log_probability: float
    fate: Fate
    row: int | None = None


@dataclass(frozen=True)
class Expansion:
    """One step of one sentence: the live rows and their best 2 * beam_size continuations, best first.

    ``sentence`` is the index in the call, ``step`` counts from 0 and is the number of tokens before it.
    """

    sentence: int
    step: int
    rows: tuple[LiveRow, ...]
    candidates: tuple[Candidate, ...]


class BeamObserver(Protocol):
    """Whoever wants to see the expansions."""

    def expanded(self, expansion: Expansion) -> None:
        """Take note of one expansion; it comes after those of all earlier steps."""


@dataclass
class BeamTree:
    """An observer that keeps everything."""

    expansions: dict[int, list[Expansion]] = field(default_factory=dict)
    """By sentence, in the order of steps."""

    def expanded(self, expansion: Expansion) -> None:
        """Keep it."""
        self.expansions.setdefault(expansion.sentence, []).append(expansion)
