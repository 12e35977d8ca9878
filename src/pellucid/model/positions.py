"""Encode positions: sinusoids in all supported layouts, and learned positions (section 3.5).

    angle(t, i) = t * frequency(i)          i = 0 ... d_model / 2 - 1

    interleaved                   sin, cos, sin, cos ...     frequency 10000^(-2i / d_model)       the paper
    half_split_paper_frequency    all sines, all cosines     frequency 10000^(-2i / d_model)       Hugging Face Marian
    half_split_t2t                all sines, all cosines     frequency 10000^(-i / (d_model/2-1))  T2T, fairseq
    learned                       a trained table            -

The three sinusoid tables are not interchangeable: a model trained with one produces nonsense with
another. Read ``embedding.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from pellucid.config import ModelConfig, PositionLayout
from pellucid.errors import RequestError, counted

__all__ = ["Positions", "sinusoids"]


def sinusoids(layout: PositionLayout, *, num_positions: int, d_model: int) -> Tensor:
    """Compute the table of a sinusoid layout in float64, [num_positions, d_model], from position 0.

    Vaswani et al. 2017, section 3.5; the top of this file lists the other layouts.

    Raises:
        ValueError: ``layout`` is LEARNED, which has no formula.
    """
    if layout is PositionLayout.LEARNED:
        raise ValueError("learned positions are weights and cannot be computed")
    num_pairs = d_model // 2
    if layout is PositionLayout.HALF_SPLIT_T2T:
        exponents = torch.arange(num_pairs, dtype=torch.float64) / (num_pairs - 1)
    else:
        exponents = torch.arange(num_pairs, dtype=torch.float64) * 2 / d_model
    frequencies = torch.exp(-math.log(10_000) * exponents)
    angles = torch.arange(num_positions, dtype=torch.float64)[:, None] * frequencies
    sines, cosines = angles.sin(), angles.cos()
    if layout is PositionLayout.INTERLEAVED:
        return torch.stack([sines, cosines], dim=-1).flatten(1)
    return torch.cat([sines, cosines], dim=-1)


class Positions(nn.Module):
    """The position table of one side: row ``position_offset + t`` belongs to token t.

    ``table`` is [position_offset + max_positions, d_model]. Learned positions are a weight; sinusoids are
    computed and not stored with the weights. A computed table is rounded once, from float64 to the type of
    the model, whenever that type changes.
    """

    table: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.layout = config.position_layout
        self.offset = config.position_offset
        self.max_positions = config.max_positions
        self.d_model = config.d_model
        if self.layout is PositionLayout.LEARNED:
            self.table = nn.Parameter(torch.empty(self.offset + self.max_positions, self.d_model))
        else:
            self.register_buffer("table", self._computed().to(torch.get_default_dtype()), persistent=False)

    def forward(self, count: int, *, start: int = 0) -> Tensor:
        """Return the rows of tokens ``start`` to ``start + count - 1``, [count, d_model].

        Raises:
            RequestError: the sequence is longer than the table. More sinusoids could be computed, but
                a model translates badly at positions that it was not trained on.
        """
        if start + count > self.max_positions:
            raise RequestError(
                f"a sequence of {counted(start + count, 'token')} is longer than the model's max_positions = "
                f"{self.max_positions}; split the text, or train with a larger model.max_positions"
            )
        first = self.offset + start
        return self.table[first : first + count]

    def _computed(self) -> Tensor:
        # On the CPU, for any default device: on "meta", which the check of a model folder uses,
        # ``arange`` imports all of torch's compiler, 90 MB (torch 2.13.0).
        with torch.device("cpu"):
            return sinusoids(self.layout, num_positions=self.offset + self.max_positions, d_model=self.d_model)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # nn.Module moves and converts buffers here. A conversion from float32 to float64 would keep the
        # rounding error of float32.
        before = self.table.dtype
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.table.dtype != before and self.layout is not PositionLayout.LEARNED:
            self.table = self._computed().to(self.table)
        return self
