"""Put batches on the device in static shapes: gathered there from the whole corpus, or copied from pinned memory.

Where the ids of the corpus fit into a part of the device's memory, a step receives only the numbers of its rows, and
the graph of the step gathers the ids. Otherwise the host pads the ids in pinned memory while the device still computes
the step before. Both end in ``assemble``, so they give the same batch.

Padding adds nothing to the loss: a padding position has weight 0, and a padding row is a pair of empty sentences, with
one end of sentence to attend to and all weights 0. Read ``vocabulary_loss.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.config import SpecialIds
from pellucid.training.gpu.shapes import AnyShape, PackedShape
from pellucid.training.packed.batch import PackedBatch, bounds_of, pack, rows_of

if TYPE_CHECKING:
    from pellucid.text.store import TokenStore
    from pellucid.training.batches import PairWeights

__all__ = ["AnyBatch", "Corpus", "Feed", "ResidentCorpus", "StaticBatch", "StreamedCorpus", "corpus_on"]

_SHARE_OF_MEMORY: Final = 0.1
"""Of the device's free memory, at most, for the ids of the corpus."""

Feed = tuple[Tensor, ...]
"""The buffers on the device that the host fills before a step, always at the same addresses."""


@dataclass(frozen=True)
class StaticBatch:
    """A batch of a static shape on the device.

    ``source_ids`` and ``target_input_ids`` are ``[rows, time]``; ``source_mask`` is ``[rows, source]``, True for a
    token. ``target_ids`` and ``target_weights`` are ``[rows * target]``: the pieces to predict, and 1 for a token or 0
    for padding, in float32. With ``pair``, the rows are two passes over the same pairs, the second after the first, and
    these are the weights of their loss.
    """

    source_ids: Tensor
    source_mask: Tensor
    target_input_ids: Tensor
    target_ids: Tensor
    target_weights: Tensor
    pair: PairWeights | None = None

    def ids(self) -> tuple[Tensor, Tensor]:
        """Return what encoder and decoder read."""
        return self.source_ids, self.target_input_ids

    def with_ids(self, source: Tensor, target: Tensor) -> StaticBatch:
        """Return the batch with other pieces to read."""
        return replace(self, source_ids=source, target_input_ids=target)

    def joined(self, other: StaticBatch, pair: PairWeights) -> StaticBatch:
        """Return this batch and one of the same shape as two passes."""
        return StaticBatch(
            torch.cat([self.source_ids, other.source_ids]),
            torch.cat([self.source_mask, other.source_mask]),
            torch.cat([self.target_input_ids, other.target_input_ids]),
            torch.cat([self.target_ids, other.target_ids]),
            torch.cat([self.target_weights, other.target_weights]),
            pair,
        )

    def num_target_tokens(self) -> Tensor:
        """Return the number of tokens to predict, a scalar on the device; those of two passes count once."""
        return self.target_weights.sum() / (1 if self.pair is None else 2)


AnyBatch = StaticBatch | PackedBatch


class Corpus(Protocol):
    """A store of pairs that fills buffers from the host, and makes batches of them on the device."""

    def buffers(self, shape: AnyShape) -> Feed:
        """Return buffers on the device for batches of a shape."""

    def fill(self, feed: Feed, rows: NDArray[np.int64], shape: AnyShape) -> None:
        """Copy what a batch of these rows needs into the buffers; the host does not wait for the copy."""

    def batch(self, feed: Feed, shape: AnyShape) -> AnyBatch:
        """Make the batch of the filled buffers, with work on the device only."""

    def to_text(self) -> str:
        """Return the line for the screen."""


def corpus_on(store: TokenStore, device: torch.device, *, specials: SpecialIds, start_id: int) -> Corpus:
    """Return the corpus on the device if its ids fit into a tenth of the free memory, otherwise one that is copied."""
    needed = 4 * (len(store.source_ids) + len(store.target_ids)) + 32 * len(store)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 1 << 40
    kind = ResidentCorpus if needed <= _SHARE_OF_MEMORY * free else StreamedCorpus
    return kind(store, device, specials=specials, start_id=start_id)


class ResidentCorpus:
    """The ids of all pairs on the device; the host sends the numbers of the rows."""

    def __init__(self, store: TokenStore, device: torch.device, *, specials: SpecialIds, start_id: int) -> None:
        self._device, self._specials, self._start_id = device, specials, start_id
        self._lengths = store.source_lengths, store.target_lengths
        self._sides = tuple(
            _Side.of(ids, lengths.astype(np.int64), device)
            for ids, lengths in (
                (store.source_ids, store.source_lengths),
                (store.target_ids, store.target_lengths),
            )
        )

    def buffers(self, shape: AnyShape) -> Feed:
        """Return the rows, ``[rows]``, -1 for a padding row; for a packed shape also the bounds of both sides."""
        return (torch.zeros(shape.rows, dtype=torch.int64, device=self._device), *_bounds(shape, self._device))

    def fill(self, feed: Feed, rows: NDArray[np.int64], shape: AnyShape) -> None:
        """Copy the numbers of the rows."""
        padded = np.full(shape.rows, -1, dtype=np.int64)
        padded[: len(rows)] = rows
        copy_in(feed[0], torch.from_numpy(padded))
        if isinstance(shape, PackedShape):
            _fill_bounds(feed[1:], rows, shape, self._lengths)

    def batch(self, feed: Feed, shape: AnyShape) -> AnyBatch:
        """Gather the ids of the rows."""
        rows, *bounds = feed
        is_real = rows >= 0
        if isinstance(shape, PackedShape):
            pieces = tuple(
                side.flat(rows, ends, count) for side, ends, count in zip(self._sides, bounds, shape[1:3], strict=True)
            )
            return pack(
                (pieces[0], pieces[1]),
                (bounds[0], bounds[1]),
                is_real,
                shape=shape,
                specials=self._specials,
                start_id=self._start_id,
            )
        found = [
            side.gather(rows, is_real, length)
            for side, length in zip(self._sides, (shape.source, shape.target), strict=True)
        ]
        return assemble(*found, is_real=is_real, specials=self._specials, start_id=self._start_id)

    def to_text(self) -> str:
        """Return the line for the screen."""
        size = sum(side.ids.numel() * side.ids.element_size() for side in self._sides) / 2**20
        return f"the corpus is on the device ({size:,.1f} MiB)"


class StreamedCorpus:
    """The ids of all pairs in the memory map of the host, which pads them in pinned memory."""

    def __init__(self, store: TokenStore, device: torch.device, *, specials: SpecialIds, start_id: int) -> None:
        self._store, self._device, self._specials, self._start_id = store, device, specials, start_id

    def buffers(self, shape: AnyShape) -> Feed:
        """Return the ids of both sides, ``[rows, time]``, and the lengths, ``[2, rows]``, -1 for a padding row.

        For a packed shape, return the rows, the ids of both sides, ``[tokens]``, and the bounds of both sides.
        """
        if isinstance(shape, PackedShape):
            rows = torch.zeros(shape.rows, dtype=torch.int64, device=self._device)
            ids = [torch.zeros(count, dtype=torch.int32, device=self._device) for count in shape[1:3]]
            return (rows, *ids, *_bounds(shape, self._device))
        sides = [torch.zeros(shape.rows, time, dtype=torch.int64, device=self._device) for time in shape[1:]]
        return (*sides, torch.zeros(2, shape.rows, dtype=torch.int64, device=self._device))

    def fill(self, feed: Feed, rows: NDArray[np.int64], shape: AnyShape) -> None:
        """Pad or pack the ids of the rows and copy them."""
        if isinstance(shape, PackedShape):
            self._fill_packed(feed, rows, shape)
            return
        lengths = np.full((2, shape.rows), -1, dtype=np.int64)
        for side, (read, time) in enumerate(((self._store.source, shape.source), (self._store.target, shape.target))):
            ids = np.zeros((shape.rows, time), dtype=np.int64)
            for place, row in enumerate(rows):
                pieces = read(row)
                ids[place, : len(pieces)] = pieces
                lengths[side, place] = len(pieces)
            copy_in(feed[side], torch.from_numpy(ids))
        copy_in(feed[2], torch.from_numpy(lengths))

    def batch(self, feed: Feed, shape: AnyShape) -> AnyBatch:
        """Make the batch of the copied ids."""
        if isinstance(shape, PackedShape):
            rows, source, target, *bounds = feed
            return pack(
                (source, target),
                (bounds[0], bounds[1]),
                rows >= 0,
                shape=shape,
                specials=self._specials,
                start_id=self._start_id,
            )
        source, target, lengths = feed
        is_real = lengths[0] >= 0
        counts = lengths.clamp(min=0)
        return assemble(
            (source, counts[0]),
            (target, counts[1]),
            is_real=is_real,
            specials=self._specials,
            start_id=self._start_id,
        )

    def to_text(self) -> str:
        """Return the line for the screen."""
        return "the corpus is too large for a tenth of the device's memory; batches are copied"

    def _fill_packed(self, feed: Feed, rows: NDArray[np.int64], shape: PackedShape) -> None:
        is_real = np.full(shape.rows, -1, dtype=np.int64)
        is_real[: len(rows)] = rows
        copy_in(feed[0], torch.from_numpy(is_real))
        for side, (read, count) in enumerate(zip((self._store.source, self._store.target), shape[1:3], strict=True)):
            ids = np.zeros(count, dtype=np.int32)
            end = 0
            for row in rows:
                pieces = read(row)
                ids[end : end + len(pieces)] = pieces
                end += len(pieces) + 1
            copy_in(feed[1 + side], torch.from_numpy(ids))
        _fill_bounds(feed[3:], rows, shape, (self._store.source_lengths, self._store.target_lengths))


@dataclass(frozen=True)
class _Side:
    """The ids of one side on the device, one row after the other: 32 bits, because torch lacks operations on 16."""

    ids: Tensor
    starts: Tensor
    lengths: Tensor

    @staticmethod
    def of(ids: NDArray[np.integer], lengths: NDArray[np.int64], device: torch.device) -> _Side:
        starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)[:-1]])
        # With one id after the last, an index past the end is never out of bounds.
        padded = np.concatenate([np.asarray(ids, dtype=np.int32), np.zeros(1, dtype=np.int32)])
        return _Side(*(torch.from_numpy(column).to(device) for column in (padded, starts, np.asarray(lengths))))

    def gather(self, rows: Tensor, is_real: Tensor, time: int) -> tuple[Tensor, Tensor]:
        """Return the ids, ``[rows, time]``, with anything after the end, and the lengths, 0 for a padding row."""
        known = rows.clamp(min=0)
        lengths = self.lengths[known].masked_fill(~is_real, 0)
        places = self.starts[known][:, None] + torch.arange(time, device=rows.device)
        return self.ids[places.clamp(max=len(self.ids) - 1)].long(), lengths

    def flat(self, rows: Tensor, bounds: Tensor, count: int) -> Tensor:
        """Return the ids of the rows one after the other, ``[count]``, with anything after each end."""
        row, places = rows_of(bounds, count)
        starts = self.starts[rows.clamp(min=0)] - bounds[:-1]
        return self.ids[(places + starts[row]).clamp(min=0, max=len(self.ids) - 1)]


def _bounds(shape: AnyShape, device: torch.device) -> Feed:
    """Return room for the bounds of both sides of a packed shape, and nothing for another."""
    count = 2 if isinstance(shape, PackedShape) else 0
    return tuple(torch.zeros(shape.rows + 1, dtype=torch.int32, device=device) for _ in range(count))


def _fill_bounds(
    feed: Feed, rows: NDArray[np.int64], shape: PackedShape, lengths: tuple[NDArray[np.integer], NDArray[np.integer]]
) -> None:
    for buffer, side, count in zip(feed, lengths, shape[1:3], strict=True):
        bounds = bounds_of(side[rows].astype(np.int64) + 1, rows=shape.rows, tokens=count)
        copy_in(buffer, torch.from_numpy(bounds))


def assemble(
    source: tuple[Tensor, Tensor],
    target: tuple[Tensor, Tensor],
    *,
    is_real: Tensor,
    specials: SpecialIds,
    start_id: int,
) -> StaticBatch:
    """Add specials and masks to the ids and lengths of both sides; ids after the end are replaced by padding."""
    source_ids, source_mask = _ended(*source, specials=specials)
    target_ids, target_mask = _ended(*target, specials=specials)
    is_predicted = target_mask & is_real[:, None]
    inputs = torch.full_like(target_ids, specials.pad)
    inputs[:, 1:] = target_ids[:, :-1].masked_fill(~target_mask[:, 1:], specials.pad)
    inputs[:, 0].fill_(start_id)
    return StaticBatch(
        source_ids=source_ids,
        source_mask=source_mask,
        target_input_ids=inputs,
        target_ids=target_ids.flatten(),
        target_weights=is_predicted.flatten().float(),
    )


def _ended(ids: Tensor, lengths: Tensor, *, specials: SpecialIds) -> tuple[Tensor, Tensor]:
    """Return ids with an end of sentence and padding after the pieces, and the mask of the tokens."""
    # Not torch.where: it copies a number of the host to the device, which no graph may do (torch 2.13.0).
    positions = torch.arange(ids.shape[1], device=ids.device)
    ends = lengths[:, None]
    ended = ids.masked_fill(positions > ends, specials.pad).masked_fill_(positions == ends, specials.eos)
    return ended, positions <= ends


def copy_in(buffer: Tensor, values: Tensor) -> None:
    """Copy values of the host into a buffer on the device; the host does not wait.

    The allocator of pinned memory keeps the values until the copy has run.
    """
    if buffer.is_cuda:
        values = values.pin_memory()
    buffer.copy_(values, non_blocking=True)
