"""Produce training batches without end: from a position in the data to tensors.

The order of an epoch is a pure function of the seed and the epoch (``text.batching``), so two integers, epoch
and batch, are the whole state of the stream. With subword sampling, the ids of an epoch are such a function too. Read
``update.py`` next, which uses the batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pellucid.config import SpecialIds, TrainingConfig
from pellucid.text.batching import Batch, PairIds, epoch_batches, make_batch

if TYPE_CHECKING:
    from pellucid.text.sampling.epochs import SubwordSampler
    from pellucid.text.store import TokenStore

__all__ = [
    "BatchStream",
    "DataPosition",
    "PairWeights",
    "TensorBatch",
    "split_rows",
    "to_tensors",
    "validation_batches",
]


@dataclass(frozen=True)
class DataPosition:
    """The next batch of a run: number ``batch`` of epoch ``epoch``, both from 0."""

    epoch: int = 0
    batch: int = 0


class PairWeights(NamedTuple):
    """The weights of the parts of a loss over two passes, whose distributions are p and q."""

    first: float
    """Of the cross-entropy of p."""
    second: float
    """Of the cross-entropy of q."""
    forward: float
    """Of the divergence KL(p || q)."""
    reverse: float
    """Of the divergence KL(q || p)."""


@dataclass(frozen=True)
class TensorBatch:
    """A batch on the device.

    ``source_ids`` and ``target_input_ids`` are ``[batch, time]``; ``source_mask`` is ``[batch, source]``, True for a
    token and False for padding. ``target_ids`` and ``target_positions`` are ``[tokens]``: the target tokens without
    padding, and their indices in the flattened ``[batch, time]``. ``rows`` are those that ``BatchStream.load`` took.
    With ``pair``, the rows are two passes over the same targets, the second after the first, and these are the weights
    of their loss; the target tokens count once.
    """

    source_ids: Tensor
    source_mask: Tensor
    target_input_ids: Tensor
    target_ids: Tensor
    target_positions: Tensor
    rows: np.ndarray
    num_target_tokens: int
    num_padded_tokens: int
    pair: PairWeights | None = None

    def ids(self) -> tuple[Tensor, Tensor]:
        """Return what encoder and decoder read."""
        return self.source_ids, self.target_input_ids

    def with_ids(self, source: Tensor, target: Tensor) -> TensorBatch:
        """Return the batch with other pieces to read."""
        return replace(self, source_ids=source, target_input_ids=target)

    def joined(self, other: TensorBatch, pair: PairWeights) -> TensorBatch:
        """Return this batch and one of the same shape as two passes."""
        return replace(
            self,
            source_ids=torch.cat([self.source_ids, other.source_ids]),
            source_mask=torch.cat([self.source_mask, other.source_mask]),
            target_input_ids=torch.cat([self.target_input_ids, other.target_input_ids]),
            target_ids=torch.cat([self.target_ids, other.target_ids]),
            target_positions=torch.cat([self.target_positions, other.target_positions + self.target_input_ids.numel()]),
            num_padded_tokens=self.num_padded_tokens + other.num_padded_tokens,
            pair=pair,
        )


class BatchStream:
    """Batches of a store in training order, epoch after epoch, from any position.

    ``corpus_weights`` are those of ``text.batching.epoch_batches``; ``max_epochs`` ends the stream. With a ``sampler``,
    the ids of a row depend on the epoch, so row r of epoch e has the number e * len(store) + r. Ordering an epoch of
    millions of rows takes seconds, so a continued run gives ``batches_of_first_epoch``, which its checkpoint knows.
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        config: TrainingConfig,
        specials: SpecialIds,
        start_id: int,
        device: torch.device,
        corpus_weights: Sequence[float] | None = None,
        sampler: SubwordSampler | None = None,
        batches_of_first_epoch: int = 0,
    ) -> None:
        self._store = store
        self._config = config
        self._specials = specials
        self._start_id = start_id
        self._device = device
        self._corpus_weights = corpus_weights
        self._sampler = sampler
        self._sampled: dict[int, PairIds] = {}
        self._order: tuple[int, Sequence[np.ndarray]] | None = None
        self._batches_of_first_epoch = batches_of_first_epoch

    def take(self, position: DataPosition, count: int) -> tuple[list[np.ndarray], DataPosition]:
        """Return the rows of the next ``count`` batches and the position after them.

        There are fewer, or none, if ``max_epochs`` is reached.
        """
        taken: list[np.ndarray] = []
        epoch, batch = position.epoch, position.batch
        while len(taken) < count and not self.is_over(DataPosition(epoch, batch)):
            order = self._order_of(epoch)
            taken.append(order[batch] if self._sampler is None else order[batch] + epoch * len(self._store))
            batch += 1
            if batch >= len(order):
                epoch, batch = epoch + 1, 0
        return taken, DataPosition(epoch, batch)

    def is_over(self, position: DataPosition) -> bool:
        """Return whether ``max_epochs`` epochs are complete at a position."""
        return self._config.max_epochs is not None and position.epoch >= self._config.max_epochs

    def batches_of_first_epoch(self) -> int:
        """Return the number of batches of epoch 0; other epochs have a batch or two more or fewer."""
        if not self._batches_of_first_epoch:
            self._batches_of_first_epoch = len(self._order_of(0))
        return self._batches_of_first_epoch

    def first_epoch(self) -> list[np.ndarray]:
        """Return the rows of all batches of epoch 0, whatever ``max_epochs`` is."""
        return list(self._order_of(0))

    def load(self, rows: np.ndarray) -> TensorBatch:
        """Put rows on the device as one batch; they are of one epoch."""
        ids = self._ids_of(int(rows[0]) // len(self._store))
        batch = make_batch(ids, self.rows_of_store(rows), specials=self._specials, start_id=self._start_id)
        return replace(to_tensors(batch, device=self._device), rows=np.asarray(rows))

    def rows_of_store(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of the store that these rows of the stream are."""
        found: np.ndarray = np.asarray(rows) % len(self._store)
        return found

    def _ids_of(self, epoch: int) -> PairIds:
        """Return the ids of an epoch; the last two are kept, because a step can reach from one into the next."""
        if self._sampler is None:
            return self._store
        if epoch not in self._sampled:
            kept = list(self._sampled.items())[-1:]
            self._sampled = dict([*kept, (epoch, self._sampler.epoch(epoch))])
        return self._sampled[epoch]

    def _order_of(self, epoch: int) -> Sequence[np.ndarray]:
        if self._order is None or self._order[0] != epoch:
            ids = self._ids_of(epoch)
            order = epoch_batches(
                ids.source_lengths,
                ids.target_lengths,
                batch_size=self._config.known_batch_size,
                batch_type=self._config.batch_type,
                batch_lengths=self._config.batch_lengths,
                seed=self._config.seed,
                epoch=epoch,
                corpus=self._store.corpus if self._corpus_weights is not None else None,
                weights=self._corpus_weights,
            )
            self._order = (epoch, order)
        return self._order[1]


def to_tensors(batch: Batch, *, device: torch.device) -> TensorBatch:
    """Put a batch on the device."""
    positions = np.flatnonzero(batch.target_mask)
    return TensorBatch(
        source_ids=torch.from_numpy(batch.source_ids).to(device),
        source_mask=torch.from_numpy(batch.source_mask).to(device),
        target_input_ids=torch.from_numpy(batch.target_input_ids).to(device),
        target_ids=torch.from_numpy(batch.target_output_ids.reshape(-1)[positions]).to(device),
        target_positions=torch.from_numpy(positions).to(device),
        rows=np.asarray(batch.indices),
        num_target_tokens=int(batch.num_target_tokens),
        num_padded_tokens=int(batch.num_padded_tokens),
    )


def split_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two halves of a batch's rows, which must be at least two."""
    middle = (len(rows) + 1) // 2
    return rows[:middle], rows[middle:]


def validation_batches(
    store: TokenStore, *, config: TrainingConfig, specials: SpecialIds, start_id: int, device: torch.device
) -> Iterator[TensorBatch]:
    """Yield every pair of a store once, always in the same order."""
    order = epoch_batches(
        store.source_lengths,
        store.target_lengths,
        batch_size=config.known_batch_size,
        batch_type=config.batch_type,
        seed=0,
        epoch=0,
    )
    for rows in order:
        yield to_tensors(make_batch(store, rows, specials=specials, start_id=start_id), device=device)
