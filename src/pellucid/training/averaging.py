"""Averages of weights: the moving average kept while training, and the mean of saved checkpoints.

The moving average replaces the paper's mean of the last checkpoints (section 6.1) at the cost of one
fused pass over the weights a step. Read ``batches.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor

from pellucid.errors import CheckpointError, IncompatibleModelError
from pellucid.training.checkpoints import list_checkpoints, verify_checkpoint
from pellucid.training.state import read_state
from pellucid.training.validation import is_better

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["MovingAverage", "average_weights", "choose_checkpoints", "decay_at"]


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


def choose_checkpoints(run_folder: Path, *, last: int | None = None, best: int | None = None) -> list[Path]:
    """Return the last so many checkpoints of a run, the best so many by validation, or all that are kept.

    The best are chosen among those that were written at a validation; every one returned is whole.

    Raises:
        CheckpointError: there are fewer than asked for, none at all, or one of them is damaged.
    """
    folders = list_checkpoints(run_folder / "checkpoints")
    if best is not None:
        folders = _best_last(folders)
    asked = best if best is not None else last
    count = len(folders) if asked is None else asked
    if not 1 <= count <= len(folders):
        kind = "were written at a validation" if best is not None else "are kept"
        raise CheckpointError(
            f"{run_folder}: {len(folders)} checkpoints {kind}, and {max(1, count)} are needed; "
            "training.keep_checkpoint says how many a run keeps"
        )
    for folder in folders[-count:]:
        verify_checkpoint(folder)
    return folders[-count:]


def _best_last(folders: Sequence[Path]) -> list[Path]:
    """Return the checkpoints that were written at a validation, the best one last."""

    def compare(one: tuple[Path, Mapping[str, float]], other: tuple[Path, Mapping[str, float]]) -> int:
        return is_better(one[1], other[1]) - is_better(other[1], one[1])

    states = [(folder, read_state(folder)[0]) for folder in folders]
    validated = [(folder, state.validation) for folder, state in states if state.validated_step == state.step]
    return [folder for folder, _ in sorted(validated, key=cmp_to_key(compare))]


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
        weights = load_file(path)
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
