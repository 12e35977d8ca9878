"""Pack the sentences of a batch: their tokens one after the other, and the bounds between them.

The number of tokens is rounded up, as a shape must come back. The tokens that are left over belong to rows without a
sentence, with no more tokens than a block of attention takes; all their weights in the loss are 0, so they add nothing
to sums and gradients. Read ``../gpu/corpus.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.config import SpecialIds

if TYPE_CHECKING:
    from pellucid.training.batches import PairWeights
    from pellucid.training.gpu.shapes import PackedShape

__all__ = ["PackedBatch", "Side", "bounds_of", "pack"]


@dataclass(frozen=True)
class Side:
    """The tokens of one side on the device.

    ``ids`` and ``positions`` are ``[tokens]``; row i has the tokens from ``bounds[i]`` to ``bounds[i + 1]``, at most
    ``block``. All are integers of 32 bits.
    """

    ids: Tensor
    positions: Tensor
    bounds: Tensor
    block: int

    def joined(self, other: Side) -> Side:
        """Return this side and, after it, another one of the same block."""
        return Side(
            torch.cat([self.ids, other.ids]),
            torch.cat([self.positions, other.positions]),
            torch.cat([self.bounds, other.bounds[1:] + len(self.ids)]),
            self.block,
        )


@dataclass(frozen=True)
class PackedBatch:
    """A batch of packed sentences; the ids of ``target`` are the inputs of the decoder.

    ``target_ids`` and ``target_weights`` are ``[target tokens]``: the pieces to predict, and 1 for a token or 0 for one
    that is left over, in float32. With ``pair``, the tokens of each side are two passes over the same targets, the
    second after the first, and these are the weights of their loss.
    """

    source: Side
    target: Side
    target_ids: Tensor
    target_weights: Tensor
    pair: PairWeights | None = None

    def ids(self) -> tuple[Tensor, Tensor]:
        """Return what encoder and decoder read."""
        return self.source.ids, self.target.ids

    def with_ids(self, source: Tensor, target: Tensor) -> PackedBatch:
        """Return the batch with other pieces to read."""
        return replace(self, source=replace(self.source, ids=source), target=replace(self.target, ids=target))

    def joined(self, other: PackedBatch, pair: PairWeights) -> PackedBatch:
        """Return this batch and one with rows of the same lengths as two passes."""
        return PackedBatch(
            self.source.joined(other.source),
            self.target.joined(other.target),
            torch.cat([self.target_ids, other.target_ids]),
            torch.cat([self.target_weights, other.target_weights]),
            pair,
        )

    def num_target_tokens(self) -> Tensor:
        """Return the number of tokens to predict, a scalar on the device; those of two passes count once."""
        return self.target_weights.sum() / (1 if self.pair is None else 2)


def bounds_of(lengths: NDArray[np.integer], *, rows: int, tokens: int) -> NDArray[np.int32]:
    """Return the bounds of sentences of these lengths, ``[rows + 1]``; the other rows share the tokens left over."""
    counts = np.zeros(rows, dtype=np.int64)
    counts[: len(lengths)] = lengths
    spare = rows - len(lengths)
    left = tokens - int(counts.sum())
    if spare:
        counts[len(lengths) :] = left // spare
        counts[len(lengths) : len(lengths) + left % spare] += 1
    bounds = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum(counts, out=bounds[1:])
    return bounds


def pack(
    pieces: tuple[Tensor, Tensor],
    bounds: tuple[Tensor, Tensor],
    is_real: Tensor,
    *,
    shape: PackedShape,
    specials: SpecialIds,
    start_id: int,
) -> PackedBatch:
    """Return the batch of the pieces of both sides, ``[tokens]``, which have anything where a sentence ends.

    ``is_real`` [rows] says which rows have a sentence.
    """
    (source_ids, source_positions, _), (target_ids, target_positions, is_target) = (
        _ended(ids, ends, is_real, specials) for ids, ends in zip(pieces, bounds, strict=True)
    )
    inputs = torch.full_like(target_ids, start_id)
    inputs[1:] = target_ids[:-1].masked_fill(target_positions[1:] == 0, start_id)
    return PackedBatch(
        source=Side(source_ids, source_positions, bounds[0], shape.block),
        target=Side(inputs, target_positions, bounds[1], shape.block),
        target_ids=target_ids.long(),
        target_weights=is_target.float(),
    )


def _ended(ids: Tensor, bounds: Tensor, is_real: Tensor, specials: SpecialIds) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids with the end of each sentence, positions, and which tokens are of a sentence."""
    row, places = rows_of(bounds, len(ids))
    is_token = is_real[row]
    is_end = places == bounds[1:][row] - 1
    ended = ids.masked_fill(is_end, specials.eos).masked_fill_(~is_token, specials.pad)
    # Rows without a sentence can be longer than the table of positions.
    positions = (places - bounds[:-1][row]).masked_fill_(~is_token, 0)
    return ended, positions, is_token


def rows_of(bounds: Tensor, tokens: int) -> tuple[Tensor, Tensor]:
    """Return the row of each token, and the tokens themselves in 32 bits."""
    places = torch.arange(tokens, dtype=torch.int32, device=bounds.device)
    return torch.searchsorted(bounds[1:], places, right=True).clamp_(max=len(bounds) - 2), places
