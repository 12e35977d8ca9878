"""The question that an attribution answers: which score, at which steps of one forced pass.

The score of a step is the logit of the piece that it writes, or its log-probability, or the difference of its logit to
that of another piece ("why *il* and not *elle*"), which equals the difference of their log-probabilities. Read
``gradients.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import torch
from torch import Tensor

from pellucid.model.recorder import Recorder
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.recorder import Editor, Others
from pellucid.tracing.edits import ValueEdit

__all__ = ["Parts", "Quantity", "Question", "batches"]

_BATCH_TOKENS: Final = 4096


class Quantity(StrEnum):
    """What the score of a piece is."""

    LOGIT = "logit"
    """Its logit. Without a second piece, a part that raises all logits alike counts, though it changes nothing."""
    LOG_PROBABILITY = "log_probability"
    """Its log-probability, in nats."""


class Parts(NamedTuple):
    """What a method returns, in float64."""

    source: Tensor
    """[steps, source]."""
    target: Tensor
    """[steps, target], for the pieces that the decoder was fed, start first; zero after the step."""
    expected_sums: Tensor | None = None
    """[steps]: what the parts of a step must sum to; None if the method promises nothing."""
    points: int | None = None
    """Points of the integral."""


@dataclass(frozen=True)
class Question:
    """One pass of a model in evaluation mode, and the scores that are explained."""

    model: Transformer
    source_ids: tuple[int, ...]
    """With the end of sentence."""
    fed_ids: tuple[int, ...]
    """Start first; none after the last step is needed."""
    steps: tuple[int, ...]
    piece_ids: tuple[int, ...]
    """The piece whose score is explained, one a step."""
    against_id: int | None = None
    """The piece whose score is subtracted."""
    quantity: Quantity = Quantity.LOGIT
    edits: tuple[ValueEdit, ...] = ()
    others: Others = field(default_factory=Others)
    """What the edits take from other sentences."""
    between_passes: Callable[[], None] = lambda: None
    """Called before each pass of ``ask``; ends the work by an exception."""

    @property
    def sides(self) -> tuple[int, int]:
        """Numbers of source and target positions."""
        return len(self.source_ids), len(self.fed_ids)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.model.parameters()).device

    def scores_of(self, logits: Tensor) -> Tensor:
        """Return the scores [batch, steps] for ``logits`` [batch, target, vocabulary], in float32 or wider."""
        rows = logits[:, list(self.steps)]
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        if self.quantity is Quantity.LOG_PROBABILITY and self.against_id is None:
            rows = rows.log_softmax(-1)
        pieces = torch.tensor(self.piece_ids, device=rows.device)
        scores = rows.gather(-1, pieces.expand(len(rows), -1)[..., None])[..., 0]
        return scores if self.against_id is None else scores - rows[..., self.against_id]

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Return the embeddings of the source [source, d_model] and of the fed pieces [target, d_model], unscaled."""
        with torch.no_grad():
            source = self.model.source_embedding(torch.tensor([self.source_ids], device=self.device))
            target = self.model.decoder_embedding(torch.tensor([self.fed_ids], device=self.device))
        return source[0], target[0]

    def ask(self, recorder: Recorder, *, batch: int) -> Tensor:
        """Run ``batch`` copies of the pass under the edits and ``recorder``; return the scores [batch, steps].

        Raises:
            ValueError: the model is in training mode.
        """
        if self.model.training:
            raise ValueError("the model is in training mode, where dropout changes every value; call model.eval()")
        self.between_passes()
        source = torch.tensor([self.source_ids], device=self.device).expand(batch, -1)
        target = torch.tensor([self.fed_ids], device=self.device).expand(batch, -1)
        asking = _Asking(self, recorder)
        hidden = asking.decode(target, asking.encode(source))
        return self.scores_of(self.model.project(hidden))


class _Asking(Editor):
    """A recorder that applies edits first, then passes the value to another recorder."""

    def __init__(self, question: Question, inner: Recorder) -> None:
        super().__init__(question.edits, question.model, others=question.others)
        self._inner = inner

    def visit(self, site: str, value: Tensor) -> Tensor:
        return self._inner.visit(site, super().visit(site, value))


def batches(question: Question, count: int) -> Iterator[range]:
    """Yield consecutive rows of ``count`` that fit in one pass together."""
    size = max(1, _BATCH_TOKENS // max(question.sides))
    yield from (range(first, min(first + size, count)) for first in range(0, count, size))
