"""Start the kernels of packed steps; the functions are those of ``reference.py``. Read ``network.py`` next."""

from __future__ import annotations

import math
from typing import Final

import torch
import triton
from torch import Tensor

from pellucid.training.batches import PairWeights
from pellucid.training.packed import attention_kernels, kernels, loss_kernels
from pellucid.training.packed.reference import Dropping, add_rows

__all__ = [
    "add_norm",
    "add_norm_backward",
    "add_rows",
    "attention",
    "attention_backward",
    "column_parts",
    "column_sums",
    "embed",
    "embed_backward",
    "norm_parts",
    "pair_gradient",
    "softmax_gradient",
]

_NORM_PARTS: Final = 1056
"""Programs of one warp that each sum a part of the tokens: eight for each multiprocessor of a large GPU."""
_COLUMN_PARTS: Final = 64
"""Programs that each sum some columns of a part of the tokens."""
_VALUES: Final = 2048
"""Of the rows that a program computes at once, where nothing is summed over rows."""
_SUMMED_VALUES: Final = 512
_COLUMNS: Final = 128
_WHOLE_ROW: Final = 1 << 15
"""Logits that the registers of a program hold."""
_LOGITS: Final = 4096
"""Of a longer row, at once."""


def norm_parts() -> int:
    """Return the parts of sums over tokens for norms."""
    return _NORM_PARTS


def column_parts() -> int:
    """Return the parts of other sums over tokens."""
    return _COLUMN_PARTS


def _rows(width: int, *, values: int = _VALUES) -> dict[str, int]:
    """Return the sizes of a program that computes whole rows, as four quarters."""
    columns = triton.next_power_of_2(width // 4)
    rows = max(1, values // (4 * columns))
    return {"ROWS": rows, "COLUMNS": columns, "num_warps": min(8, max(1, 4 * columns * rows // 512))}


def add_norm(
    hidden: Tensor, sublayer: Tensor, gamma: Tensor, beta: Tensor, *, epsilon: float, dropping: Dropping
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the norm of the residual sum, the sum, its means and its inverse deviations."""
    rows, width = hidden.shape
    normed, residual = torch.empty_like(hidden), torch.empty_like(hidden)
    means, scales = torch.empty(2, rows, dtype=torch.float32, device=hidden.device)
    sizes = _rows(width)
    kernels.add_norm_kernel[(triton.cdiv(rows, sizes["ROWS"]),)](
        hidden,
        sublayer,
        gamma,
        beta,
        dropping.seeds,
        dropping.site,
        residual,
        normed,
        means,
        scales,
        rows,
        width,
        dropping.rate,
        epsilon,
        DROPS=dropping.rate > 0,
        **sizes,
    )
    return normed, residual, means, scales


def add_norm_backward(
    to_normed: Tensor,
    residual: Tensor,
    mean: Tensor,
    scale: Tensor,
    gamma: Tensor,
    *,
    dropping: Dropping,
    sums: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the residual sum and of the sub-layer, and write those of gamma, beta and its bias."""
    rows, width = residual.shape
    total = torch.empty_like(residual)
    to_sublayer = torch.empty_like(residual) if dropping.rate else total
    kernels.add_norm_backward_kernel[(len(sums),)](
        to_normed,
        residual,
        mean,
        scale,
        gamma,
        dropping.seeds,
        dropping.site,
        total,
        to_sublayer,
        sums,
        rows,
        width,
        dropping.rate,
        DROPS=dropping.rate > 0,
        **_rows(width, values=_SUMMED_VALUES),
    )
    return total, to_sublayer


def column_sums(gradient: Tensor, sums: Tensor, *, activated: Tensor | None = None) -> None:
    """Write the sums over the rows; with the output of a ReLU, first set the gradient to zero where it is zero."""
    rows, width = gradient.shape
    kernels.column_sums_kernel[(len(sums), triton.cdiv(width, _COLUMNS))](
        gradient,
        gradient if activated is None else activated,
        sums,
        rows,
        width,
        IS_RELU=activated is not None,
        ROWS=32,
        COLUMNS=_COLUMNS,
    )


def embed(
    ids: Tensor, positions: Tensor, table: Tensor, angles: Tensor, *, factor: float, dropping: Dropping
) -> Tensor:
    """Return the input sum of a stack; an id below 0 has the zero vector."""
    rows, width = len(ids), table.shape[1]
    out = torch.empty(rows, width, dtype=table.dtype, device=table.device)
    sizes = _rows(width)
    kernels.embed_kernel[(triton.cdiv(rows, sizes["ROWS"]),)](
        ids,
        positions,
        table,
        angles,
        dropping.seeds,
        dropping.site,
        out,
        rows,
        width,
        factor,
        dropping.rate,
        DROPS=dropping.rate > 0,
        **sizes,
    )
    return out


def embed_backward(to_out: Tensor, *, factor: float, dropping: Dropping, out: Tensor) -> None:
    """Write the gradients of the rows of the table that were read."""
    rows, width = to_out.shape
    sizes = _rows(width)
    kernels.embed_backward_kernel[(triton.cdiv(rows, sizes["ROWS"]),)](
        to_out,
        dropping.seeds,
        dropping.site,
        out,
        rows,
        width,
        factor,
        dropping.rate,
        DROPS=dropping.rate > 0,
        **sizes,
    )


def softmax_gradient(
    logits: Tensor, targets: Tensor, mean_logits: Tensor, *, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient at the logits without smoothing / V, in their place, the likelihoods and the losses."""
    rows, width = logits.shape
    likelihoods, losses = torch.empty(2, rows, dtype=torch.float32, device=logits.device)
    is_whole = width <= _WHOLE_ROW
    columns = triton.next_power_of_2(width) if is_whole else _LOGITS
    loss_kernels.softmax_gradient_kernel[(rows,)](
        logits,
        targets,
        mean_logits,
        likelihoods,
        losses,
        width,
        smoothing,
        IS_WHOLE=is_whole,
        COLUMNS=columns,
        num_warps=min(32, max(4, columns // 1024)) if is_whole else 8,
    )
    return logits, likelihoods, losses


def pair_gradient(
    logits: Tensor, targets: Tensor, mean_logits: Tensor, *, smoothing: float, pair: PairWeights
) -> tuple[Tensor, Tensor, Tensor]:
    """Do what ``softmax_gradient`` does for two passes, all rows of the first before those of the second."""
    rows, width = len(logits) // 2, logits.shape[1]
    likelihoods, losses = torch.empty(2, len(logits), dtype=torch.float32, device=logits.device)
    loss_kernels.pair_gradient_kernel[(rows,)](
        logits,
        targets,
        mean_logits,
        likelihoods,
        losses,
        rows,
        width,
        smoothing,
        *pair,
        COLUMNS=min(_LOGITS, triton.next_power_of_2(width)),
        num_warps=8,
    )
    return logits, likelihoods, losses


def attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    query_bounds: Tensor,
    key_bounds: Tensor,
    block: int,
    num_heads: int,
    is_causal: bool,
    dropping: Dropping,
) -> tuple[Tensor, None]:
    """Return the contexts, ``[tokens, d_model]``; the backward pass needs nothing else of the forward pass."""
    tokens, width = queries.shape
    contexts = torch.empty(tokens, width, dtype=queries.dtype, device=queries.device)
    d_head = width // num_heads
    attention_kernels.attention_kernel[(len(query_bounds) - 1, num_heads)](
        queries,
        keys,
        values,
        query_bounds,
        key_bounds,
        dropping.seeds,
        dropping.site,
        contexts,
        queries.stride(0),
        keys.stride(0),
        contexts.stride(0),
        1.0 / math.sqrt(d_head),
        dropping.rate,
        IS_CAUSAL=is_causal,
        DROPS=dropping.rate > 0,
        BLOCK=block,
        D_HEAD=d_head,
        num_warps=_warps(block),
    )
    return contexts, None


def attention_backward(
    to_contexts: Tensor,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    query_bounds: Tensor,
    key_bounds: Tensor,
    block: int,
    num_heads: int,
    is_causal: bool,
    dropping: Dropping,
    kept: None,
    out: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Write the gradients of queries, keys and values, which have the strides of their own."""
    d_head = queries.shape[1] // num_heads
    attention_kernels.attention_backward_kernel[(len(query_bounds) - 1, num_heads)](
        to_contexts,
        queries,
        keys,
        values,
        query_bounds,
        key_bounds,
        dropping.seeds,
        dropping.site,
        *out,
        queries.stride(0),
        keys.stride(0),
        to_contexts.stride(0),
        1.0 / math.sqrt(d_head),
        dropping.rate,
        IS_CAUSAL=is_causal,
        DROPS=dropping.rate > 0,
        BLOCK=block,
        D_HEAD=d_head,
        num_warps=_warps(block),
    )


def _warps(block: int) -> int:
    """Return the warps of a program of attention: one for each 16 rows and columns or so."""
    return 2 if block <= 32 else 4 if block <= 64 else 8
