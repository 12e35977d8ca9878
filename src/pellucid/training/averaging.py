"""Average weights: a moving average during training, and the mean of saved checkpoints.

The moving average replaces the paper's mean of the last checkpoints (section 6.1). It costs one fused
pass over the weights per step. Read ``batches.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pellucid.errors import CheckpointError, IncompatibleModelError
from pellucid.training.checkpoints import read_tensors

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["MovingAverage", "average_weights", "decay_at"]


def decay_at(updates: int, *, decay: float, tail: float = 0.0) -> float:
    """Return the decay after ``updates`` updates: small at first, so that the initial weights lose their influence.

    With a ``tail``, the mean age of the averaged weights is about that share of the updates so far.
    """
    if tail:
        return max(0.0, 1.0 - 1.0 / (tail * updates))
    return min(decay, (1 + updates) / (10 + updates))


class MovingAverage:
    """A copy of a model that holds the exponential moving average of its weights.

    ``model`` is the copy, in evaluation mode and without gradients: validating with it changes neither
    the trained weights nor any random state. With a decay and a tail of 0, ``refresh`` copies the trained weights.
    """

    def __init__(self, model: Transformer, *, decay: float, tail: float = 0.0) -> None:
        self.decay = decay
        self.tail = tail
        self.model: Transformer = copy.deepcopy(model).eval().requires_grad_(False)
        self._live = [parameter.detach() for parameter in model.parameters()]
        self._averaged = [parameter.detach() for parameter in self.model.parameters()]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Include the weights after update number ``updates`` (from 1) in the average."""
        if self.decay or self.tail:
            decay = decay_at(updates, decay=self.decay, tail=self.tail)
            torch._foreach_lerp_(self._averaged, self._live, 1.0 - decay)

    @torch.no_grad()
    def update_on_device(self, updates: Tensor, *, is_bad: Tensor) -> None:
        """Do as ``update`` with numbers that only the device knows; a bad step changes nothing.

        Both are scalars in float32: the updates so far, and 1 for a bad step or 0. Torch has no fused interpolation
        with a share on the device. Fused SGD is one: with weight decay 1, the live weights as gradient and the sign
        turned, it adds share * (live - averaged), and it leaves out steps that are marked as bad.
        """
        if self.decay or self.tail:
            share = 1.0 - ((1.0 + updates) / (10.0 + updates)).clamp(max=self.decay)
            if self.tail:
                share = (self.tail * updates).reciprocal().clamp(max=1.0)
            torch._fused_sgd_(
                self._averaged,
                self._live,
                [],
                weight_decay=1.0,
                momentum=0.0,
                lr=share,
                dampening=0.0,
                nesterov=False,
                maximize=True,
                is_first_step=False,
                grad_scale=None,
                found_inf=is_bad,
            )

    @torch.no_grad()
    def refresh(self) -> Transformer:
        """Return the averaged model; without an average, copy the trained weights first."""
        if not (self.decay or self.tail):
            torch._foreach_copy_(self._averaged, self._live)
        return self.model


def average_weights(folders: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of the weights of several checkpoint folders, summed in float64.

    Raises:
        CheckpointError: ``folders`` is empty, or one has no readable weights.
        IncompatibleModelError: their tensors differ in name or shape.
    """
    if not folders:
        raise CheckpointError("there is no checkpoint to average; name at least one")
    total: dict[str, Tensor] = {}
    kinds: dict[str, torch.dtype] = {}
    for folder in folders:
        weights = read_tensors(folder / "weights.safetensors")
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        if total and shapes != {name: tuple(tensor.shape) for name, tensor in total.items()}:
            raise IncompatibleModelError(
                f"{folder}: its tensors differ in name or shape from those of {folders[0]}; "
                "only checkpoints of the same architecture can be averaged"
            )
        for name, tensor in weights.items():
            kinds[name] = tensor.dtype
            wide = tensor.double()
            total[name] = total[name].add_(wide) if name in total else wide
    return {name: (tensor / len(folders)).to(kinds[name]) for name, tensor in total.items()}
