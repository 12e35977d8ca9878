"""What a search shows of itself: every expansion of a beam, and every choice of greedy search and sampling.

A search calls its observer once a step and sentence; without one, nothing of this is made. ``tracing/searching/`` makes
a tree of it. Read ``constraints.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BeamObserver", "BeamTree", "Candidate", "ChosenToken", "Expansion", "Fate", "LiveRow", "WalkObserver"]


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


@dataclass(frozen=True, eq=False)
class ChosenToken:
    """One step of one walk, of greedy search or of sampling: what could come, and what was taken.

    The tensors are for reading only. Steps of a walk come in their order.
    """

    sentence: int
    walk: int
    """Of several walks of a sentence, counted from 0."""
    step: int
    log_probabilities: Tensor
    """[vocab] of the model, after the constraints; minus infinity is a token that cannot come."""
    token: int
    narrowed: Tensor | None = None
    """[vocab] float64, the log-probabilities that ``token`` was drawn from; None where it was not drawn."""
    uniform: float | None = None
    """The number of [0, 1) that decided."""


@runtime_checkable
class WalkObserver(Protocol):
    """Whoever wants to see the choices."""

    def chosen(self, choice: ChosenToken) -> None:
        """Take note of one choice."""


@dataclass
class BeamTree:
    """An observer that keeps everything."""

    expansions: dict[int, list[Expansion]] = field(default_factory=dict)
    """By sentence, in the order of steps."""

    def expanded(self, expansion: Expansion) -> None:
        """Keep it."""
        self.expansions.setdefault(expansion.sentence, []).append(expansion)
