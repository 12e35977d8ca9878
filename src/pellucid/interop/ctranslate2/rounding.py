"""A model with its weights rounded as CTranslate2 stores them.

Rounding changes a model; a mistake of the conversion could hide behind it. So the file is compared twice: with
the model rounded in the same way, where only the last bits may differ, and with the model itself, which shows the
cost of rounding. Read ``engine.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from pellucid.interop.ctranslate2.config import Quantization
from pellucid.model.transformer import Transformer

__all__ = ["rounded"]

_FUSED: Final = {"self_attention": ("queries", "keys", "values"), "cross_attention": ("keys", "values")}


@torch.no_grad()
def rounded(model: Transformer, quantization: Quantization) -> Transformer:
    """Return a copy in float64 with the weights of the file."""
    found = copy.deepcopy(model).cpu().float().eval()
    matrices = {id(matrix) for group in _matrices(found) for matrix in group}
    for group in _matrices(found):
        _round_matrices(group, quantization)
    rest: torch.dtype = getattr(torch, quantization.rest)
    for parameter in found.parameters():
        if id(parameter) not in matrices:
            parameter.copy_(parameter.to(rest))
    found = found.double()
    for stack in (found.encoder, found.decoder):
        # ``double`` computes the sinusoids again in float64; the file holds them in its own format.
        table = stack.input.positions.table
        table.copy_(table.float().to(rest))
    return found


def _matrices(model: Transformer) -> Iterator[list[Tensor]]:
    """Yield the matrices that are quantised; those that the file stores as one matrix come together."""
    state: dict[str, Tensor] = dict(model.named_parameters())
    done: set[str] = set()
    for name in state:
        if name in done or not _is_matrix(name):
            continue
        at, _, part = name.removesuffix(".weight").rpartition(".")
        fused = _FUSED.get(at.rpartition(".")[2], ())
        group = [f"{at}.{other}.weight" for other in fused] if part in fused else [name]
        done.update(group)
        yield [state[other] for other in group]


def _is_matrix(name: str) -> bool:
    return name.endswith(".weight") and "norm" not in name


def _round_matrices(group: list[Tensor], quantization: Quantization) -> None:
    if quantization.matrices == "int8":
        for matrix in group:
            scale = _row_scale(matrix)
            matrix.copy_((matrix * scale).round() / scale)
    elif quantization is Quantization.INT16:
        scale = torch.tensor(2.0**10) / torch.stack([matrix.abs().max() for matrix in group]).max()
        for matrix in group:
            matrix.copy_((matrix * scale).round() / scale)
    else:
        for matrix in group:
            matrix.copy_(matrix.to(getattr(torch, quantization.matrices)))


def _row_scale(matrix: Tensor) -> Tensor:
    largest = matrix.abs().amax(dim=1, keepdim=True)
    steps = torch.tensor(127.0)
    # A number divided by a tensor is the tensor's reciprocal times the number, which rounds twice; this rounds once.
    return steps / torch.where(largest == 0, steps, largest)
