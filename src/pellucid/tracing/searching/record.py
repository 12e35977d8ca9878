"""The tree of a search, as an immutable record. ``making.py`` makes it; read ``beam.py`` next.

A node is a candidate: one piece behind those of its parent. The sum of log-probabilities along its path, divided by the
length penalty, is its score. Nodes are numbered step by step, and in a step from the best to the worst, so a parent has
a lower number than its children.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property

from pellucid.errors import RequestError
from pellucid.tracing.provenance import Provenance
from pellucid.translation.hypothesis import Hypothesis

__all__ = ["Ending", "Method", "Node", "Outcome", "Ranked", "ReferenceInTree", "SearchTree", "Step", "Stop", "Verdict"]


class Method(StrEnum):
    """How the pieces of a translation were chosen."""

    BEAM = "beam"
    GREEDY = "greedy"
    SAMPLING = "sampling"


class Outcome(StrEnum):
    """What became of a candidate."""

    KEPT = "kept"
    """Its hypothesis went on to the next step."""
    OPEN = "open"
    """It was in the beam when the search ended; see ``SearchTree.ending``."""
    FINISHED = "finished"
    """It ends its sentence."""
    MAX_LENGTH = "max_length"
    """It would have gone on, but its hypothesis has the maximum length."""
    STUCK = "stuck"
    """It was in the beam, but no piece may follow."""
    OUTSIDE = "outside"
    """As many better candidates as the beam holds went on."""
    LATE_END = "late_end"
    """It ends its sentence, but is not among the first ``beam_size`` candidates of its step."""
    LESS_PROBABLE = "less_probable"
    """Greedy search takes only the most probable piece."""
    CUT_TOP_K = "cut_top_k"
    """Sampling: it is not among the ``top_k`` most probable pieces."""
    CUT_TOP_P = "cut_top_p"
    """Sampling: the pieces before it reach ``top_p`` without it."""
    NOT_DRAWN = "not_drawn"
    """Sampling: it could have been drawn."""


LIVE = frozenset({Outcome.KEPT, Outcome.OPEN, Outcome.MAX_LENGTH, Outcome.STUCK})
"""Outcomes of candidates that were in the beam without an end of sentence."""
ENDS = frozenset({Outcome.FINISHED, Outcome.MAX_LENGTH, Outcome.STUCK})
"""Outcomes of candidates that are hypotheses of the result."""


@dataclass(frozen=True)
class Node:
    """A candidate of a step."""

    number: int
    """Its place in ``SearchTree.nodes``."""
    parent: int | None
    """The number of the node before it; None at the start of the sentence."""
    step: int
    """The number of pieces before it."""
    place: int
    """Among the candidates of its step; 0 is the best."""
    token: int
    piece: str
    log_probability: float
    """Of the piece, given the source and the pieces before it."""
    total: float
    """The sum of the log-probabilities along the path."""
    divisor: float
    """The length penalty of a hypothesis of ``step + 1`` pieces."""
    outcome: Outcome
    narrowed: float | None = None
    """The log-probability with which sampling drew it, after temperature, top-k and top-p; minus infinity if cut."""

    @property
    def score(self) -> float:
        """``total`` divided by ``divisor``."""
        return self.total / self.divisor


@dataclass(frozen=True)
class Step:
    """The candidates of a step, and how many others there were."""

    step: int
    num_rows: int
    """Hypotheses that were continued."""
    first: int
    """The number of the first of the nodes; there are ``count``."""
    count: int
    num_others: int
    """Further continuations. None of them is better than the last node of this step."""
    others_log_probability: float | None = None
    """Greedy search and sampling: of all of them together; minus infinity if the model or a rule excludes them."""
    others_narrowed: float | None = None
    """Sampling: the same after temperature, top-k and top-p."""
    excluded_log_probability: float | None = None
    """Greedy search and sampling: of all pieces that a rule of the search excludes, such as a banned one."""
    uniform: float | None = None
    """Sampling: the number of [0, 1) that decided."""


class Stop(StrEnum):
    """Why a search ended."""

    FULL = "full"
    """As many hypotheses as the beam holds have finished."""
    CANNOT_WIN = "cannot_win"
    """No open hypothesis can come to a better score than the best finished one."""
    MAX_LENGTH = "max_length"
    """The hypotheses have the maximum length."""
    NOTHING_LEFT = "nothing_left"
    """No hypothesis is open."""
    STUCK = "stuck"
    """No piece may follow."""
    END = "end"
    """Greedy search and sampling: the end of the sentence was taken."""


@dataclass(frozen=True)
class Ending:
    """Why the search ended, with its numbers."""

    stop: Stop
    num_finished: int
    max_length: int
    """Most pieces of a hypothesis, the end of sentence included."""
    bound: float | None = None
    """An upper bound of what the best open hypothesis can come to: its sum, divided by the penalty of ``max_length``;
    sums only fall, and penalties only grow."""
    to_beat: float | None = None
    """The best finished score."""

    @property
    def may_have_missed(self) -> bool:
        """Return whether an open hypothesis might still have become the best."""
        return self.bound is not None and self.to_beat is not None and self.bound > self.to_beat


@dataclass(frozen=True)
class Ranked:
    """A hypothesis of the result; the best one comes first."""

    node: int
    """Its last node."""
    text: str
    score: float
    log_probability: float
    is_finished: bool


class Verdict(StrEnum):
    """What a given translation shows about the search."""

    FOUND = "found"
    """It is the best one that the search found."""
    SAME_TEXT = "same_text"
    """The best one found has this text, in other pieces."""
    SEARCH_ERROR = "search_error"
    """The model gives it a better score than the best one found: the search lost it."""
    MODEL_ERROR = "model_error"
    """The model itself gives the best one found at least as good a score: no search would help."""


@dataclass(frozen=True)
class ReferenceInTree:
    """A given translation, scored by the model and looked for in the tree."""

    text: str
    pieces: tuple[str, ...]
    ids: tuple[int, ...]
    """With the end of sentence."""
    token_log_probabilities: tuple[float, ...]
    log_probability: float
    score: float
    found_score: float
    """Of the best hypothesis of the search."""
    verdict: Verdict
    lost_step: int | None = None
    """The step at which its path leaves the beam; None if it never does."""
    lost_node: int | None = None
    """The node at which it leaves; None also if it was not even among the candidates of that step."""
    rank: int | None = None
    """Among the hypotheses of the result; 0 is the best. None if it is not one of them."""


@dataclass(frozen=True)
class SearchTree:
    """Every expansion of a search for one sentence; see ``pellucid.search_tree``."""

    source: str
    method: Method
    best: Hypothesis
    """What the ordinary search returns, bit for bit."""
    nodes: tuple[Node, ...]
    steps: tuple[Step, ...]
    ending: Ending
    hypotheses: tuple[Ranked, ...]
    """All that the search came to, the best first; only the first is ``best``."""
    provenance: Provenance
    reference: ReferenceInTree | None = None

    @cached_property
    def children(self) -> Mapping[int | None, tuple[int, ...]]:
        """The numbers of the nodes behind each node, the best first; those of None begin the sentence."""
        found: dict[int | None, list[int]] = {}
        for node in self.nodes:
            found.setdefault(node.parent, []).append(node.number)
        return {parent: tuple(numbers) for parent, numbers in found.items()}

    @property
    def winner(self) -> tuple[int, ...]:
        """The numbers of the nodes of the best hypothesis, from the first to the last."""
        return tuple(node.number for node in self.path(self.hypotheses[0].node)) if self.hypotheses else ()

    def path(self, number: int) -> tuple[Node, ...]:
        """Return the nodes from the start of the sentence to a node.

        Raises:
            RequestError: there is no such node.
        """
        if not 0 <= number < len(self.nodes):
            raise RequestError(f"node = {number}; this tree has nodes 0 to {len(self.nodes) - 1}")
        found: list[Node] = []
        at: int | None = number
        while at is not None:
            found.append(self.nodes[at])
            at = self.nodes[at].parent
        return tuple(reversed(found))

    def ids(self, number: int) -> tuple[int, ...]:
        """Return the ids of the hypothesis that ends with a node; ``pellucid.trace`` takes them as ``target_ids``."""
        return tuple(node.token for node in self.path(number))

    def to_table(self) -> dict[str, object]:
        """Return everything, ready for JSON; infinite numbers are floats."""
        table = asdict(self) | {"provenance": self.provenance.to_table()}
        table["nodes"] = [asdict(node) | {"score": node.score} for node in self.nodes]
        return table
