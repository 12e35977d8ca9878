"""What an attribution returns: one number for each source piece and each earlier target piece, a row for each step.

Read ``methods.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pellucid.analysis.attribution.question import Quantity
from pellucid.errors import RequestError, counted
from pellucid.tracing.predictions import Array
from pellucid.tracing.tokens import Tokens
from pellucid.translation.alignment.words import Word

__all__ = ["Attribution", "Method", "Piece"]


class Method(StrEnum):
    """How the parts are computed; the docstring of each method says what they mean."""

    INPUT_X_GRADIENT = "input_x_gradient"
    INTEGRATED_GRADIENTS = "integrated_gradients"
    OCCLUSION = "occlusion"
    VALUE_ZEROING = "value_zeroing"
    ALTI = "alti"
    ALTI_LOGIT = "alti_logit"


@dataclass(frozen=True)
class Piece:
    """One piece, or word, and its part of the score of a step."""

    side: str
    """``source`` or ``target``."""
    position: int
    text: str
    part: float


@dataclass(frozen=True, eq=False)
class Attribution:
    """The parts of the scores of some steps. Arrays are read-only float64 of one row per step in ``steps``.

    Parts have the unit of the score: a logit, or nats for ``log_probability``. The parts of ``alti`` are shares of 1.
    """

    method: Method
    quantity: Quantity
    tokens: Tokens
    steps: tuple[int, ...]
    pieces: tuple[str, ...]
    """The piece whose score is explained, one a step."""
    against: str | None
    """The piece whose score is subtracted from it."""
    source: Array
    """[steps, source]."""
    target: Array
    """[steps, target]: column j is the piece that the decoder was fed at position j, start first; 0 after the step."""
    score: Array
    """[steps]: the score that is explained."""
    expected_sum: Array | None = None
    """[steps]: what the parts must sum to: 1 for ``alti``; for ``integrated_gradients`` the score minus that of zero
    embeddings; for ``alti_logit`` the score minus the part of the biases. None if the method promises no sum."""
    points: int | None = None
    """Points of the integral of ``integrated_gradients``."""

    def __post_init__(self) -> None:
        for array in (self.source, self.target, self.score, self.expected_sum):
            if array is not None:
                array.setflags(write=False)

    @property
    def sum(self) -> Array:
        """The sum of all parts, [steps]."""
        total: Array = self.source.sum(-1) + self.target.sum(-1)
        return total

    @property
    def error(self) -> Array | None:
        """How far the sum is from what it must be, [steps]; None if the method promises no sum."""
        return None if self.expected_sum is None else np.abs(self.sum - self.expected_sum)

    @property
    def source_share(self) -> Array:
        """The share of the source in the sum of absolute parts, [steps]; 0 if every part is 0."""
        source, target = (np.abs(one).sum(-1) for one in (self.source, self.target))
        total = source + target
        share: Array = np.divide(source, total, out=np.zeros_like(total), where=total > 0)
        return share

    def row(self, step: int) -> int:
        """Return the row of a step.

        Raises:
            RequestError: the step is not explained here.
        """
        if step not in self.steps:
            raise RequestError(f"step {step!r} is not among the explained steps {', '.join(map(str, self.steps))}")
        return self.steps.index(step)

    def ranked(self, step: int, *, words: bool = False) -> tuple[Piece, ...]:
        """Return all pieces that the step can see, the largest part first; of equal ones the source first.

        Args:
            step: one of ``steps``.
            words: merge pieces to words, whose part is the sum of those of their pieces.
        """
        row = self.row(step)
        found = []
        for side, pieces, parts, spans in (
            ("source", self.tokens.source_pieces, self.source[row], self.tokens.source_words),
            ("target", self.tokens.fed_pieces[: step + 1], self.target[row], self._fed_words(step)),
        ):
            spans = spans if words else [Word(text, place, place + 1) for place, text in enumerate(pieces)]
            found += [Piece(side, one.start, one.text, float(parts[one.start : one.end].sum())) for one in spans]
        return tuple(sorted(found, key=lambda piece: -piece.part))

    def _fed_words(self, step: int) -> Sequence[Word]:
        """Return the words of the fed pieces up to a step: the start, then what was written before, cut at the step."""
        fed = [Word(self.tokens.fed_pieces[0], 0, 1)]
        for word in self.tokens.target_words:
            first, last = word.start + 1, min(word.end, step) + 1
            if first < last:
                whole = word.end <= step
                text = word.text if whole else "".join(self.tokens.fed_pieces[first:last])
                fed.append(Word(text, first, last))
        return fed

    def to_text(self) -> str:
        """Return one line for each step: what is explained, the sum, and what it must be."""
        lines = []
        for row, step in enumerate(self.steps):
            piece = repr(self.pieces[row]) if self.against is None else f"{self.pieces[row]!r} and not {self.against!r}"
            line = f"step {step}: why {piece}: score {self.score[row]:.4f}, parts sum to {self.sum[row]:.4f}"
            if self.expected_sum is not None:
                line += f", must be {self.expected_sum[row]:.4f}"
            lines.append(line)
        points = f" with {counted(self.points, 'point')}" if self.points else ""
        return "\n".join([f"{self.method}{points}, of the {self.quantity.replace('_', '-')}", *lines])
