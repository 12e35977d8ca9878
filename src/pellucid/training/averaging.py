"""Averages of weights: the moving average kept while training, and the mean of saved checkpoints.

The moving average replaces the paper's mean of the last checkpoints (section 6.1) at the cost of one
fused pass over the weights a step. Read ``batches.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pellucid.errors import CheckpointError, IncompatibleModelError

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["MovingAverage", "average_weights", "decay_at"]


def decay_at(updates: int, *, decay: float) -> float:
    """Return the decay of update number ``updates`` (from 1): small at first, so that the start is forgotten."""
    return min(decay, (1 + updates) / (10 + updates))


class MovingAverage:
    """A twin of a model that holds the exponential moving average of its weights.

    ``model`` is the twin: in evaluation mode, without gradients, so validating with it touches
    neither the weights in training nor any random state. With a decay of 0 it is a plain copy,
    made when asked for.
    """

    def __init__(self, model: Transformer, *, decay: float) -> None:
        self.decay = decay
        self.model: Transformer = copy.deepcopy(model).eval().requires_grad_(False)
        self._live = [parameter.detach() for parameter in model.parameters()]
        self._averaged = [parameter.detach() for parameter in self.model.parameters()]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Mix the weights in, after update number ``updates`` (from 1)."""
        if self.decay:
            torch._foreach_lerp_(self._averaged, self._live, 1.0 - decay_at(updates, decay=self.decay))

    @torch.no_grad()
    def refresh(self) -> Transformer:
        """Return the twin, brought up to date where there is no averaging."""
        if not self.decay:
            torch._foreach_copy_(self._averaged, self._live)
        return self.model


def average_weights(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the weights of several checkpoint folders, summed in float64.

    Raises:
        CheckpointError: none was given, or one has no weights.
        IncompatibleModelError: their tensors differ in name or shape.
    """
    if not folders:
        raise CheckpointError("there is no checkpoint to average; name at least one")
    total: dict[str, Tensor] = {}
    kinds: dict[str, torch.dtype] = {}
    for folder in folders:
        path = folder / "weights.safetensors"
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; {folder} is no checkpoint of a run")
        try:
            weights = load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path}: is no sound safetensors file: {str(error)[:200]}") from None
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        if total and shapes != {name: tuple(tensor.shape) for name, tensor in total.items()}:
            raise IncompatibleModelError(
                f"{folder}: its weights have other names or shapes than those of {folders[0]}; "
                "only checkpoints of one architecture can be averaged"
            )
        for name, tensor in weights.items():
            kinds[name] = tensor.dtype
            wide = tensor.double()
            total[name] = total[name].add_(wide) if name in total else wide
    return {name: (tensor / len(folders)).to(kinds[name]) for name, tensor in total.items()}
