"""Embed token ids as vectors, and project vectors to a score for each piece (section 3.4).

Read ``dropout.py`` next.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pellucid.config import DecoderStart, ModelConfig
from pellucid.model.dropout import Dropout
from pellucid.model.positions import Positions
from pellucid.model.recorder import Scope, visit

__all__ = ["ZERO_VECTOR_ID", "InputSum", "OutputProjection", "TokenEmbedding"]

ZERO_VECTOR_ID = -1
"""The first input of the decoder with ``decoder_start = "zero_vector"``: an id whose embedding is the zero vector."""


class _FreezeRow(torch.autograd.Function):
    """The identity, with no gradient for one row."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, table: Tensor, row: int) -> Tensor:
        ctx.row = row  # type: ignore[attr-defined]
        return table.view_as(table)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        # In place, to save a copy of the whole table: nothing else reads this gradient.
        (gradient,) = gradients
        gradient[ctx.row] = 0  # type: ignore[attr-defined]
        return gradient, None


class TokenEmbedding(nn.Module):
    """A vector for each piece of a vocabulary: ``weight`` [vocab_size, d_model]."""

    def __init__(self, vocab_size: int, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, config.d_model))
        self.pad = config.specials.pad if config.zero_padding_row else None
        self.starts_with_zero_vector = config.decoder_start is DecoderStart.ZERO_VECTOR

    def forward(self, ids: Tensor) -> Tensor:
        """Embed ``ids`` [batch, time] as [batch, time, d_model]; ZERO_VECTOR_ID becomes the zero vector.

        If the padding row is fixed at zero, it gets no gradient.
        """
        if not self.starts_with_zero_vector:
            return functional.embedding(ids, self.weight, padding_idx=self.pad)
        embedded = functional.embedding(ids.clamp(min=0), self.weight, padding_idx=self.pad)
        return embedded.masked_fill((ids == ZERO_VECTOR_ID)[..., None], 0)

    def as_output_weight(self) -> Tensor:
        """Return the table as the weight of the output projection; a fixed padding row gets no gradient here either."""
        if self.pad is None or not torch.is_grad_enabled():
            return self.weight
        frozen: Tensor = _FreezeRow.apply(self.weight, self.pad)  # type: ignore[no-untyped-call]
        return frozen


class InputSum(nn.Module):
    """The input of a stack: embedding, times sqrt(d_model), plus position, then dropout (sections 3.4, 3.5, 5.4)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
        self.positions = Positions(config)
        self.dropout = Dropout(config.dropout)

    def forward(self, embedded: Tensor, *, start: int = 0, scope: Scope | None = None) -> Tensor:
        """Return the sum for ``embedded`` [batch, time, d_model], whose first token has position ``start``."""
        embedded = visit(scope, "embedding", embedded)
        scaled = visit(scope, "scaled_embedding", embedded * self.scale if self.scale != 1 else embedded)
        position = self.positions(embedded.shape[1], start=start)
        if scope is not None:
            position = visit(scope, "position", position.expand_as(scaled))
        return visit(scope, "input", self.dropout(scaled + position))


class OutputProjection(nn.Module):
    """The last linear map, to one score per piece; ``weight`` is None if the target embedding is used (section 3.4)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.target_vocab_size
        tied = config.share_decoder_embeddings
        self.weight = None if tied else nn.Parameter(torch.empty(size, config.d_model))
        self.bias = nn.Parameter(torch.zeros(size)) if config.output_bias else None

    def forward(self, hidden: Tensor, target_embedding: TokenEmbedding) -> Tensor:
        """Return logits [..., target_vocab_size] for ``hidden`` [..., d_model]."""
        return functional.linear(hidden, self.weight_with(target_embedding), self.bias)

    def weight_with(self, target_embedding: TokenEmbedding) -> Tensor:
        """Return the weight of the map, [target_vocab_size, d_model]: that of the embedding if the two are tied."""
        return target_embedding.as_output_weight() if self.weight is None else self.weight
