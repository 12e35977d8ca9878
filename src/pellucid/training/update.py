"""Update the weights once: gradients of one or more batches, clipping, Adam.

The gradients of ``accum_count`` batches are divided by the total number of their target tokens, so they
equal those of one large batch. A step whose loss or gradient is not finite does not change the weights.
If memory is too small for a batch, the batch is cut in two. Read ``validation.py`` next.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from pellucid.config import TrainingConfig
from pellucid.errors import TrainingError, counted
from pellucid.runtime import Runtime, is_lack_of_memory
from pellucid.training.batches import BatchStream, TensorBatch, split_rows
from pellucid.training.optimisation import clip_gradients, gradient_norm, set_learning_rate
from pellucid.training.processes.exchange import Exchange
from pellucid.training.processes.ranks import Ranks
from pellucid.training.regularisers import training_loss

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer
    from pellucid.training.gpu.shapes import ShapeGrid
    from pellucid.training.packed.gradients import PackedGradients

__all__ = ["Launched", "StepMaker", "StepOutcome", "Updater", "mixed_seed", "reason_to_skip"]


@dataclass(frozen=True)
class StepOutcome:
    """The result of a step. Loss and negative log-likelihood are means per target token, in nats.

    ``skipped`` says why the step did not change the weights; it is empty if it did.
    """

    loss: float
    nll: float
    gradient_norm: float
    target_tokens: int
    padded_tokens: int
    skipped: str
    largest_batch: int | None


@dataclass(frozen=True)
class Launched:
    """A step that has begun: ``outcome`` waits for its end.

    ``is_averaged`` says whether the step updates the moving average; otherwise the caller does.
    """

    outcome: Callable[[], StepOutcome]
    is_averaged: bool


class StepMaker(Protocol):
    """What the training loop needs from a way to make steps."""

    method: str
    """What the steps of two runs must have in common so that the runs can be equal bit for bit."""
    lag: int
    """Steps that can have begun before the outcome of the oldest is read."""
    grid: ShapeGrid | None
    """The shapes of static steps; None if batches keep their own."""

    def launch(
        self,
        rows: Sequence[np.ndarray],
        *,
        learning_rate: float,
        largest_batch: int | None,
        seeds: Sequence[int] | None = None,
    ) -> Launched:
        """Begin a step on the batches of these rows.

        ``seeds`` of the batches give dropout the same numbers in whichever process a batch is; without them, and in
        static steps on a GPU, the generator of the process goes on.
        """


class _OutOfMemory(Exception):
    """Memory was too small for one batch of a step."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


_Seeded = tuple[TensorBatch, int | None]
"""A batch and the seed of its random numbers; None lets the generator go on."""


class Updater:
    """Performs steps with one model and one optimiser; with ``packed``, that computes the gradients."""

    method: str = "eager"
    lag = 0
    grid: ShapeGrid | None = None

    def __init__(
        self,
        model: Transformer,
        optimiser: torch.optim.Optimizer,
        *,
        stream: BatchStream,
        config: TrainingConfig,
        runtime: Runtime,
        ranks: Ranks,
        message: Callable[[str], None],
        packed: PackedGradients | None = None,
    ) -> None:
        self._packed = packed
        if packed is not None:
            self.method = "packed"
        self._model = model
        self._optimiser = optimiser
        self._stream = stream
        self._config = config
        self._runtime = runtime
        self._ranks = ranks
        self._message = message
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def launch(
        self,
        rows: Sequence[np.ndarray],
        *,
        learning_rate: float,
        largest_batch: int | None,
        seeds: Sequence[int] | None = None,
    ) -> Launched:
        """Perform a step; its outcome is known at once."""
        outcome = self.step(rows, learning_rate=learning_rate, largest_batch=largest_batch, seeds=seeds)
        return Launched(lambda: outcome, is_averaged=False)

    def step(
        self,
        rows: Sequence[np.ndarray],
        *,
        learning_rate: float,
        largest_batch: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> StepOutcome:
        """Train on the batches of one step; ``largest_batch`` is the size for which memory was too small.

        Raises:
            TrainingError: memory is too small for a single sentence pair.
        """
        batches = [self._stream.load(part) for part in rows]
        places = [b.num_padded_tokens if self._packed is None else b.num_target_tokens for b in batches]
        target_tokens, padded_tokens = self._ranks.total([sum(b.num_target_tokens for b in batches), sum(places)])
        exchange = self._ranks.exchange(self._parameters)
        seeded: list[_Seeded] = [(batch, None) for batch in batches]
        if seeds is not None:
            seeded = list(zip(batches, seeds, strict=True))
        sums, largest_batch = self._gradients(seeded, target_tokens, largest_batch, exchange)
        exchange.finish(sums)
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        # One transfer from the device per step: all numbers that the loop needs are copied together.
        loss, nll, norm = torch.cat([sums, gradient_norm(gradients).to(sums.dtype)[None]]).tolist()
        skipped = reason_to_skip(loss, norm)
        if not skipped:
            clip_gradients(gradients, norm, max_norm=self._config.max_grad_norm)
            set_learning_rate(self._optimiser, learning_rate)
            self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        return StepOutcome(
            loss / target_tokens,
            nll / target_tokens,
            norm,
            int(target_tokens),
            int(padded_tokens),
            skipped,
            largest_batch,
        )

    def _gradients(
        self, batches: list[_Seeded], target_tokens: float, largest_batch: int | None, exchange: Exchange
    ) -> tuple[Tensor, int | None]:
        """Return the sums of loss and negative log-likelihood, and compute the gradients of the mean loss.

        If memory runs out, the incomplete gradients are removed, and the step starts again with the batch cut in two.
        """
        pieces = [piece for batch in batches for piece in self._cut(batch, largest_batch)]
        while True:
            try:
                return self._accumulate(pieces, target_tokens, exchange), largest_batch
            except _OutOfMemory as failure:
                index = failure.index
            piece, _ = pieces[index]
            self._optimiser.zero_grad(set_to_none=True)
            if len(piece.rows) < 2:
                row = self._stream.rows_of_store(piece.rows)[0]
                raise TrainingError(
                    f"memory is too small for one sentence pair (row {row} of the token store, "
                    f"{counted(piece.num_padded_tokens, 'token')}); use a lower training.max_length or a smaller model"
                )
            largest_batch = min(piece.num_padded_tokens, largest_batch or piece.num_padded_tokens)
            self._message(
                "memory is too small for a batch of "
                f"{counted(piece.num_padded_tokens, 'padded token')}; it is cut in two, "
                "which gives the same gradient. A smaller training.batch_size avoids this"
            )
            pieces[index : index + 1] = self._halves(pieces[index])

    def _cut(self, seeded: _Seeded, largest_batch: int | None) -> list[_Seeded]:
        batch, _ = seeded
        if largest_batch is None or batch.num_padded_tokens < largest_batch or len(batch.rows) < 2:
            return [seeded]
        return [piece for half in self._halves(seeded) for piece in self._cut(half, largest_batch)]

    def _halves(self, seeded: _Seeded) -> list[_Seeded]:
        batch, seed = seeded
        return [
            (self._stream.load(half), None if seed is None else mixed_seed(seed, number))
            for number, half in enumerate(split_rows(batch.rows))
        ]

    def _accumulate(self, pieces: Sequence[_Seeded], target_tokens: float, exchange: Exchange) -> Tensor:
        sums: list[Tensor] = []
        for index, (piece, seed) in enumerate(pieces):
            is_last = index == len(pieces) - 1
            if seed is not None:
                torch.manual_seed(seed)
            try:
                if self._packed is not None:
                    complete = {"complete": exchange.complete} if is_last else {}
                    loss, nll = self._packed.add(piece, target_tokens=target_tokens, **complete)
                else:
                    loss, nll = training_loss(self._model, piece, config=self._config, runtime=self._runtime)
                    with exchange.overlapping() if is_last else nullcontext():
                        torch.autograd.backward(loss, grad_tensors=loss.new_tensor(1.0 / target_tokens))
            except (RuntimeError, MemoryError) as error:
                if not is_lack_of_memory(error):
                    raise
                raise _OutOfMemory(index) from None
            sums.append(torch.stack([loss.detach(), nll]))
        if not sums:
            return torch.zeros(2, device=self._parameters[0].device)
        return torch.stack(sums).sum(0)


def mixed_seed(*numbers: int) -> int:
    """Return a seed that is a function of some numbers and looks unlike those of their neighbours."""
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def reason_to_skip(loss: float, norm: float) -> str:
    """Return why a step must not change the weights, or an empty text."""
    if not math.isfinite(loss):
        return f"the loss is {loss}"
    return "" if math.isfinite(norm) else f"the norm of the gradient is {norm}"
