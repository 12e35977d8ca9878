"""Batches of about equal size; their order is a pure function of (seed, epoch).

A batch has rows of similar length (Vaswani et al. 2017, section 5.1, "by approximate sequence length"), and its size
counts padded tokens of the longer side, specials included. Or it has rows of mixed lengths, and its size counts the
tokens of their longer sides. The rows of each batch and the order of the batches are drawn again each epoch.
Nothing here has state: to resume, the epoch and the batch number are enough.
Read ``../training/trainer.py`` next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from pellucid.config import BatchLengths, BatchType, SpecialIds
from pellucid.errors import ConfigError, counted

__all__ = ["Batch", "PairIds", "epoch_batches", "make_batch", "order_bytes"]

LENGTH_NOISE: Final = 1.5
"""Random tokens added to the difference of the sides before sorting, so that batches differ between epochs."""

_BYTES_OF_A_ROW: Final = 26
_BYTES_OF_A_WEIGHTED_ROW: Final = 35
_BYTES_OF_LENGTHS: Final = 8

Rows = NDArray[np.int64]


class PairIds(Protocol):
    """The ids of the pairs: those of a store, or those of one epoch with subword sampling."""

    source_lengths: NDArray[np.int32]
    target_lengths: NDArray[np.int32]

    def source(self, row: int) -> NDArray[np.integer]:
        """Return the source piece ids of a row, without specials."""

    def target(self, row: int) -> NDArray[np.integer]:
        """Return the target piece ids of a row, without specials."""


@dataclass(frozen=True)
class Batch:
    """One batch as numpy arrays; masks are True at tokens and False at padding."""

    source_ids: NDArray[np.int64]
    """[batch, source]: pieces, then eos, then padding."""
    target_input_ids: NDArray[np.int64]
    """[batch, target]: the decoder's start id, then pieces, then padding."""
    target_output_ids: NDArray[np.int64]
    """[batch, target]: pieces, then eos, then padding."""
    source_mask: NDArray[np.bool_]
    """[batch, source]"""
    target_mask: NDArray[np.bool_]
    """[batch, target]"""
    indices: Rows
    """[batch]: rows of the store."""
    num_target_tokens: int
    """Real target tokens, eos included."""
    num_padded_tokens: int
    """batch * max(source, target), which ``batch_size`` limits where rows are similar."""


def epoch_batches(
    source_lengths: NDArray[np.integer],
    target_lengths: NDArray[np.integer],
    *,
    batch_size: int,
    batch_type: BatchType,
    batch_lengths: BatchLengths = BatchLengths.SIMILAR,
    seed: int,
    epoch: int,
    corpus: NDArray[np.integer] | None = None,
    weights: Sequence[float] | None = None,
) -> Sequence[Rows]:
    """Return the rows of each batch of an epoch, in the order of training.

    Similar rows of a length are sorted when a batch first needs one of them, so the first batch of ten million rows
    waits for one length or two instead of all.

    Without weights every row is in exactly one batch. With weights, a corpus of weight w and n rows gives about w * n
    rows: floor(w) whole copies, and for the remainder a slice of its rows in a fixed random order. Each epoch takes the
    next slice, so the numbers of times that two rows of a corpus are shown differ by at most 1.

    Args:
        source_lengths: pieces of each row without specials, [rows].
        target_lengths: the same of the target, [rows].
        batch_size: tokens of the longer side with specials, or sentences.
        batch_type: whether ``batch_size`` counts tokens or sentences.
        batch_lengths: whether rows of similar or of mixed lengths come together; ``auto`` stands for similar ones here.
        seed: of the run.
        epoch: from 0.
        corpus: index of the corpus of each row, [rows]; needed with ``weights``.
        weights: weight of each corpus.

    Raises:
        ConfigError: a single pair is over ``batch_size``, or a corpus has no weight.
    """
    longer = np.maximum(source_lengths, target_lengths).astype(np.int32, copy=False) + np.int32(1)
    if longer.size == 0:
        return []
    if batch_type is BatchType.TOKENS and (longest := int(longer.max())) > batch_size:
        raise ConfigError(
            f"training.batch_size = {counted(batch_size, 'token')} is too small for "
            f"{counted(int((longer > batch_size).sum()), 'pair')} of up to {longest} tokens; "
            f"use at least {longest}, or a training.max_length of at most {batch_size}"
        )
    generator = _generator(seed, epoch)
    rows = _rows_of_epoch(longer.size, corpus, weights, seed, epoch)
    if batch_lengths is BatchLengths.MIXED:
        return _mixed(longer, rows, batch_size, batch_type, generator)
    order, ends = _by_length(longer if rows is None else longer[rows])
    # Only random() is used: its stream is stable between numpy releases, unlike that of shuffle().
    blurred = generator.random(order.size)
    blurred *= LENGTH_NOISE
    difference = np.subtract(target_lengths, source_lengths, dtype=np.int32)
    blurred += difference if rows is None else difference[rows]
    borders = _cut(ends, batch_size, batch_type, first_share=generator.random())
    shuffled = np.argsort(generator.random(len(borders) - 1), kind="stable")
    return _Batches(order, ends, blurred, borders, shuffled, rows)


def order_bytes(pairs: int, *, weight: float = 1.0) -> int:
    """Return about how much memory the order of an epoch takes at most, with the lengths of the pairs.

    Args:
        pairs: of the store.
        weight: how often an epoch shows a pair on average.
    """
    shown = pairs * weight
    rows = _BYTES_OF_A_ROW * shown if weight == 1 else _BYTES_OF_A_WEIGHTED_ROW * shown + _BYTES_OF_LENGTHS * pairs
    return round(rows + _BYTES_OF_LENGTHS * pairs)


def _mixed(
    longer: NDArray[np.int32], rows: Rows | None, batch_size: int, batch_type: BatchType, generator: np.random.Generator
) -> list[Rows]:
    """Return the batches of the rows in random order, each as long as the next row fits."""
    order = np.argsort(generator.random(longer.size if rows is None else rows.size), kind="stable")
    order = order if rows is None else rows[order]
    if batch_type is BatchType.SENTENCES:
        return [order[first : first + batch_size] for first in range(0, order.size, batch_size)]
    ends = np.cumsum(longer[order], dtype=np.int64)
    borders = [0]
    while borders[-1] < order.size:
        before = int(ends[borders[-1] - 1]) if borders[-1] else 0
        borders.append(int(np.searchsorted(ends, before + batch_size, side="right")))
    return [order[first:end] for first, end in pairwise(borders)]


def _by_length(longer: NDArray[np.int32]) -> tuple[Rows, list[int]]:
    """Return the order by the longer side, longest first, and the end of each length in it, down to the length 1.

    The longest side is a small number, so the sort takes linear time.
    """
    longest = int(longer.max())
    shortest_first = np.int32(longest) - longer
    small = shortest_first.astype(np.uint16) if longest < 1 << 16 else shortest_first
    order = np.argsort(small, kind="stable")
    # Unlike bincount(), this makes no copy of 64 bits.
    return order, np.searchsorted(small, np.arange(longest), side="right", sorter=order).tolist()


class _Batches(Sequence[Rows]):
    """The batches of an epoch. Rows of a length are sorted by the difference of their sides when first asked for.

    The order by difference alternates between ascending and descending from one length to the next, so that
    neighbours across a change of length are also similar on both sides. On Multi30k (2,048 tokens a batch) 97 % of the
    padded tokens of both sides are real; with the longer side as the only key 93 %. The order is that of one
    ``np.lexsort``.

    Args:
        order: rows by the longer side, longest first; it is sorted further in place.
        ends: end of each length in this order, down to the length 1.
        difference: of the sides of each row.
        borders: of the batches in this order.
        shuffled: which of them each number of training is.
        rows: numbers in the store of the rows; None if they are the same.
    """

    def __init__(
        self,
        order: Rows,
        ends: Sequence[int],
        difference: NDArray[np.float64],
        borders: Sequence[int],
        shuffled: Rows,
        rows: Rows | None,
    ) -> None:
        self._order = order
        self._ends = ends
        self._difference = difference
        self._borders = borders
        self._shuffled = shuffled
        self._rows = rows
        self._is_sorted = [False] * len(ends)

    def __len__(self) -> int:
        return len(self._shuffled)

    @overload
    def __getitem__(self, number: int) -> Rows: ...
    @overload
    def __getitem__(self, number: slice) -> list[Rows]: ...
    def __getitem__(self, number: int | slice) -> Rows | list[Rows]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        batch = int(self._shuffled[number])
        start, end = self._borders[batch : batch + 2]
        for length in range(bisect_right(self._ends, start), bisect_right(self._ends, end - 1) + 1):
            self._sort(length)
        found = self._order[start:end]
        return found if self._rows is None else self._rows[found]

    def _sort(self, number: int) -> None:
        """Sort the rows of a length, counted from the longest."""
        if self._is_sorted[number]:
            return
        own = self._order[self._ends[number - 1] if number else 0 : self._ends[number]]
        difference = self._difference[own]
        is_even = (len(self._ends) - number) % 2 == 0
        own[:] = own[np.argsort(-difference if is_even else difference, kind="stable")]
        self._is_sorted[number] = True


def _cut(ends: Sequence[int], batch_size: int, batch_type: BatchType, *, first_share: float) -> list[int]:
    """Cut rows, longest first, into batches; the first row of a batch decides how many rows fit.

    ``ends`` has the end of each length, longest first, down to the length 1. Return the borders of the batches, from 0
    to the number of rows.

    The first batch gets a random size below the full one, which moves every later border: even if few rows have
    similar lengths, the batches of the next epoch combine other rows. This costs half a batch an epoch.
    """
    borders = [0]
    for length, end in zip(range(len(ends), 0, -1), ends, strict=True):
        while borders[-1] < end:
            count = batch_size if batch_type is BatchType.SENTENCES else batch_size // length
            if len(borders) == 1:
                count = 1 + int(first_share * count)
            borders.append(borders[-1] + count)
    return [*borders[:-1], ends[-1]]


def _rows_of_epoch(
    num_rows: int,
    corpus: NDArray[np.integer] | None,
    weights: Sequence[float] | None,
    seed: int,
    epoch: int,
) -> Rows | None:
    """Return the rows of an epoch in the order of the store; None for every row once."""
    if weights is None or all(weight == 1 for weight in weights):
        return None
    every = np.arange(num_rows, dtype=np.int64)
    if corpus is None or int(corpus.max()) >= len(weights) or min(weights) <= 0:
        raise ConfigError(f"weights = {list(weights)}: every corpus needs a weight above 0, and every row a corpus")
    chosen: list[Rows] = []
    for index, weight in enumerate(weights):
        own = every[corpus == index]
        chosen += [own] * int(weight)
        fraction = weight - int(weight)
        first, last = (round(e * fraction * own.size) for e in (epoch, epoch + 1))
        fixed = own[np.argsort(_generator(seed, index, stream=1).random(own.size), kind="stable")]
        chosen.append(np.take(fixed, np.arange(first, last), mode="wrap") if own.size else own)
    rows = np.concatenate(chosen)
    return rows if rows.size else every[epoch % num_rows :][:1]  # with tiny weights, one row: an epoch is never empty


def _generator(seed: int, number: int, *, stream: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number, stream])))


def make_batch(store: PairIds, rows: Rows, *, specials: SpecialIds, start_id: int) -> Batch:
    """Build the arrays of a batch.

    Args:
        store: has the ids of the rows.
        rows: rows of the store, [batch].
        specials: ids of padding and end of sentence.
        start_id: the first input of the decoder: the id of bos or pad, or -1 for the zero vector.
    """
    sources = [store.source(row) for row in rows]
    targets = [store.target(row) for row in rows]
    source_ids, source_mask = _padded(sources, pad=specials.pad, end=specials.eos)
    target_output_ids, target_mask = _padded(targets, pad=specials.pad, end=specials.eos)
    target_input_ids = np.full_like(target_output_ids, specials.pad)
    target_input_ids[:, 0] = start_id
    shifted = target_output_ids[:, :-1]
    np.copyto(target_input_ids[:, 1:], shifted, where=target_mask[:, 1:])
    return Batch(
        source_ids=source_ids,
        target_input_ids=target_input_ids,
        target_output_ids=target_output_ids,
        source_mask=source_mask,
        target_mask=target_mask,
        indices=np.asarray(rows, dtype=np.int64),
        num_target_tokens=int(target_mask.sum()),
        num_padded_tokens=len(rows) * max(source_ids.shape[1], target_output_ids.shape[1]),
    )


def _padded(rows: Sequence[NDArray[np.integer]], *, pad: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Put rows of ids, each with ``end`` after it, into one array; return it and its mask, both [batch, time]."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    positions = np.arange(lengths.max(initial=0) + 1)
    ids = np.full((len(rows), len(positions)), pad, dtype=np.int64)
    if len(rows):
        ids[positions < lengths[:, None]] = np.concatenate(rows)
    ids[np.arange(len(rows)), lengths] = end
    return ids, positions <= lengths[:, None]
