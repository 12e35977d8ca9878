"""The matrix products of packed steps, and gradients that are written or, with ``adds``, added to what is there.

Read ``network.py`` next.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

__all__ = ["linear", "linear_relu", "scaled_gradient", "summed_gradient", "weight_gradient"]


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``inputs @ weight.T + bias``."""
    if _is_fused(inputs):
        return _pointwise(inputs, weight, bias, "none")
    return torch.addmm(bias, inputs, weight.t())


def linear_relu(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``linear``, with 0 in place of numbers below it."""
    if _is_fused(inputs):
        return _pointwise(inputs, weight, bias, "relu")
    return torch._addmm_activation(bias, inputs, weight.t())


def weight_gradient(out: Tensor, gradient: Tensor, inputs: Tensor, *, adds: bool) -> None:
    """Keep the gradient of a matrix: the product over all tokens."""
    if adds and out.dtype == gradient.dtype:
        out.addmm_(gradient.t(), inputs)
    elif adds:
        out.add_(gradient.t() @ inputs)
    elif out.dtype == gradient.dtype:
        torch.mm(gradient.t(), inputs, out=out)
    elif out.is_cuda:
        torch.ops.aten.mm.dtype_out(gradient.t(), inputs, out.dtype, out=out)
    else:
        out.copy_(gradient.t() @ inputs)


def summed_gradient(out: Tensor, parts: Tensor, dim: int, *, adds: bool) -> None:
    """Keep a gradient that has been computed in parts."""
    if adds:
        out.add_(parts.sum(dim))
    else:
        torch.sum(parts, dim, out=out)


def scaled_gradient(out: Tensor, found: Tensor, scale: Tensor, *, adds: bool) -> None:
    """Keep a gradient of the summed loss, times the scale of the mean one."""
    if adds:
        out.addcmul_(found, scale)
    else:
        torch.mul(found, scale, out=out)


def _pointwise(inputs: Tensor, weight: Tensor, bias: Tensor, after: str) -> Tensor:
    mapped: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, after, [], "")
    return mapped


def _is_fused(inputs: Tensor) -> bool:
    """Return whether oneDNN adds the bias inside the product: on a processor, torch first copies it to every row."""
    return inputs.device.type == "cpu" and inputs.dtype is torch.bfloat16 and _has_pointwise()


@cache
def _has_pointwise() -> bool:
    """Try it once: the operation has no public name, and a processor or a build of torch can lack it."""
    one = torch.ones(1, 1, dtype=torch.bfloat16)
    try:
        return bool(_pointwise(one, -one, one[0] / 2, "relu") == 0 and _pointwise(one, one, one[0], "none") == 2)
    except (AttributeError, RuntimeError):
        return False
