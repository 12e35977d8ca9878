"""The gradients of a batch by packed steps on a processor, for the plain training loop.

Everything around them stays: the batches of a step, the processes that share them, clipping, the optimiser. A batch
comes with padding, and only its tokens are computed. Read ``../update.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pellucid.config import StepMethod, TrainingConfig
from pellucid.errors import ConfigError, EngineUnavailableError
from pellucid.runtime import Precision, Runtime
from pellucid.training.batches import TensorBatch
from pellucid.training.packed import processor, reference
from pellucid.training.packed.batch import PackedBatch, Side, bounds_of
from pellucid.training.packed.network import PackedNetwork
from pellucid.training.packed.obstacles import packing_obstacle
from pellucid.training.regularisers import regularised

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["PackedGradients", "choose_packed", "packed_tokens", "rounded_up", "takes_packed"]


def choose_packed(
    model: Transformer,
    *,
    config: TrainingConfig,
    runtime: Runtime,
    keeps: str | None,
    message: Callable[[str], None],
) -> PackedGradients | None:
    """Return what computes gradients on a processor, where ``takes_packed`` says so; None is eager."""
    if not takes_packed(model, config=config, runtime=runtime, keeps=keeps):
        return None
    return PackedGradients(model, config=config, runtime=runtime, message=message)


def takes_packed(model: Transformer, *, config: TrainingConfig, runtime: Runtime, keeps: str | None) -> bool:
    """Return whether steps on a processor are packed: the settings ask for it, or leave the choice and it is possible.

    ``keeps`` is the way of making steps with which the run began, None for a new one.

    Raises:
        ConfigError: the settings ask for packed steps, which do not know the model.
    """
    wanted, problem = config.step_method, _problem(model, config, runtime)
    if wanted is StepMethod.PACKED and problem:
        raise ConfigError(f"training.step_method = 'packed' is not possible: {problem}; use 'auto' or 'eager'")
    if runtime.device != "cpu" or wanted not in (StepMethod.PACKED, StepMethod.AUTO):
        return False
    return wanted is StepMethod.PACKED or keeps == "packed" or (not (problem or keeps) and _can_compile(model))


def _problem(model: Transformer, config: TrainingConfig, runtime: Runtime) -> str:
    """Return why the steps of a run cannot be packed, or an empty text."""
    if config.attention == "torch":
        return "training.attention = 'torch' asks for the operations of torch"
    if not all(parameter.requires_grad for parameter in model.parameters()):
        return "some weights are not trained"
    return packing_obstacle(model.config, runtime.device)


def _can_compile(model: Transformer) -> bool:
    """Return whether the operations in C can be had; what is said about a missing compiler is said elsewhere."""
    if next(model.parameters()).dtype is not torch.float32:
        return False
    try:
        processor.load(widest=model.config.d_model)
    except EngineUnavailableError:
        return False
    return True


class PackedGradients:
    """Computes gradients of one model; they are left in ``grad`` of its parameters."""

    def __init__(
        self, model: Transformer, *, config: TrainingConfig, runtime: Runtime, message: Callable[[str], None]
    ) -> None:
        kind = next(model.parameters()).dtype
        self._masters = list(model.parameters())
        early = {id(parameter) for parameter in (*model.decoder.parameters(), *model.projection.parameters())}
        self._early = [master for master in self._masters if id(master) in early]
        self._late = [master for master in self._masters if id(master) not in early]
        self._config, self._model, self._start_id = config, model.config, model.start_id
        self._network = PackedNetwork(
            model,
            dtype=torch.bfloat16 if runtime.precision is Precision.BF16 else kind,
            operations=_operations(model, kind, message),
        )
        self._buffers = dict(zip(self._masters, self._network.gradients, strict=True))

    def add(
        self,
        batch: TensorBatch,
        *,
        target_tokens: float,
        complete: Callable[[Sequence[nn.Parameter]], None] = lambda parameters: None,
    ) -> tuple[Tensor, Tensor]:
        """Add the gradients of the loss divided by ``target_tokens``; return the sums of loss and likelihood.

        After the first batch of a step, the others are added in the buffers that ``grad`` has. ``complete`` is called
        with the parameters of the decoder while the rest is still computed.
        """
        adds = self._masters[0].grad is not None

        def assign(masters: Sequence[nn.Parameter]) -> None:
            for master in masters:
                master.grad = self._buffers[master]

        def half_way() -> None:
            assign(self._early)
            complete(self._early)

        sums = self._network.compute(
            regularised(packed_tokens(batch), config=self._config, model=self._model, start_id=self._start_id),
            label_smoothing=self._config.label_smoothing,
            target_tokens=target_tokens,
            adds=adds,
            half_way=half_way,
        )
        assign(self._late)
        return sums


def packed_tokens(batch: TensorBatch) -> PackedBatch:
    """Return the tokens of a padded batch one after the other, with some left over as ``rounded_up`` asks for."""
    rows, longest = batch.target_input_ids.shape
    lengths = batch.source_mask.sum(1).numpy(), np.bincount(batch.target_positions.numpy() // longest, minlength=rows)
    totals = [rounded_up(int(counts.sum())) for counts in lengths]
    block = int(max(counts.max() for counts in lengths))
    spare = max(-(-(total - int(counts.sum())) // block) for counts, total in zip(lengths, totals, strict=True))
    ids = batch.source_ids[batch.source_mask], batch.target_input_ids.flatten()[batch.target_positions]
    source, target = (
        _side(own, bounds_of(counts, rows=rows + spare, tokens=total), block)
        for own, counts, total in zip(ids, lengths, totals, strict=True)
    )
    left = len(target.ids) - len(batch.target_ids)
    return PackedBatch(
        source=source,
        target=target,
        target_ids=functional.pad(batch.target_ids, (0, left)),
        target_weights=functional.pad(torch.ones(len(batch.target_ids)), (0, left)),
    )


def rounded_up(tokens: int) -> int:
    """Return the number of tokens with which a batch is computed: at most a sixteenth more, and on average a fiftieth.

    For each new number of rows, oneDNN prepares every product anew, in half a millisecond. Rounded numbers come back,
    and the prepared products with them (docs/log.md, 2026-11-28: threads and shapes of a step).
    """
    step = 1 << max(0, tokens.bit_length() - 5)
    return -(-tokens // step) * step


def _side(ids: Tensor, bounds: NDArray[np.int32], block: int) -> Side:
    """Return the tokens of one side; those left over have the first piece and the first position."""
    positions = np.arange(bounds[-1], dtype=np.int32) - np.repeat(bounds[:-1], np.diff(bounds))
    positions[len(ids) :] = 0
    return Side(
        functional.pad(ids.int(), (0, int(bounds[-1]) - len(ids))),
        torch.from_numpy(positions),
        torch.from_numpy(bounds),
        block,
    )


def _operations(model: Transformer, kind: torch.dtype, message: Callable[[str], None]) -> ModuleType:
    """Return the operations in C, or those of torch with a line that says why."""
    if kind is not torch.float32:
        return reference  # of tests: C knows no float64
    try:
        processor.load(widest=model.config.d_model, say=message)
    except EngineUnavailableError as error:
        message(f"packed steps: by operations of torch, which is slower ({error})")
        return reference
    return processor
