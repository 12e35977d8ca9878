"""The operations of packed steps on a processor, in C; the functions are those of ``reference.py``.

``states.c`` has what lies between the matrix products, and ``model/kernels/attention.c`` the attention. Both are
compiled once for the machine. Read ``network.py`` next.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, cast

import torch
from torch import Tensor

from pellucid.compiled.compiler import compiled_library
from pellucid.compiled.library import open_library
from pellucid.errors import EngineUnavailableError
from pellucid.model.kernels.short_attention import AttentionJob, attention_library, load_short_attention
from pellucid.training.batches import PairWeights
from pellucid.training.packed.reference import Dropping

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
    "load",
    "norm_parts",
    "pair_gradient",
    "softmax_gradient",
]

SOURCE: Final = Path(__file__).with_name("states.c")
_WORKS: Final = (
    "add_norm",
    "add_norm_backward",
    "column_sums",
    "embed",
    "embed_backward",
    "add_rows",
    "softmax_gradient",
    "pair_gradient",
)
"""In the order of ``WORKS`` in ``states.c``."""


class _Job(ctypes.Structure):
    """The record ``Job`` of ``states.c``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("hidden", "sublayer", "gamma", "beta", "residual", "normed")),
        *((name, ctypes.c_void_p) for name in ("means", "scales", "sums", "ids", "positions", "angles", "targets")),
        *((name, ctypes.c_void_p) for name in ("table", "likelihoods", "losses", "mean_logits")),
        ("seed", ctypes.c_uint64),
        *((name, ctypes.c_int32) for name in ("rows", "width", "is_bfloat16", "threads")),
        ("threshold", ctypes.c_uint32),
        *((name, ctypes.c_float) for name in ("keep_scale", "factor", *PairWeights._fields)),
    )


class _Library:
    """The entry point of ``states.c``.

    Raises:
        EngineUnavailableError: the library cannot be loaded, or its record is not the one above.
    """

    def __init__(self, path: Path) -> None:
        library = open_library(path, prefix="states", what="training step", record=_Job)
        self.most_width: int = library.states_most_width()
        self.most_threads: int = library.states_most_threads()
        self.run = library.states_run
        self.run.argtypes = [ctypes.POINTER(_Job), ctypes.c_int32]
        self.run.restype = None


@cache
def _loaded() -> list[_Library]:
    """Return the place of the library of this process, empty until it is loaded."""
    return []


def load(*, widest: int, say: Callable[[str], None] = lambda text: None) -> None:
    """Compile and load both C files where that is not done yet; ``say`` is told before one is compiled.

    ``widest`` is the width of the hidden states.

    Raises:
        EngineUnavailableError: there is no compiler, or it fails, or the model is too wide.
    """
    load_short_attention(say)
    if not _loaded():
        _loaded().append(_Library(compiled_library(SOURCE, what="the steps of training", say=say)))
    (library,) = _loaded()
    if widest > library.most_width:
        raise EngineUnavailableError(f"d_model = {widest} is more than the {library.most_width} of {SOURCE.name}")


def norm_parts() -> int:
    """Return the parts of sums over tokens: the threads."""
    (library,) = _loaded()
    return min(torch.get_num_threads(), library.most_threads)


column_parts = norm_parts


def add_norm(
    hidden: Tensor, sublayer: Tensor, gamma: Tensor, beta: Tensor, *, epsilon: float, dropping: Dropping
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the norm of the residual sum, the sum, its means and its inverse deviations."""
    normed, residual = torch.empty_like(hidden), torch.empty_like(hidden)
    means, scales = torch.empty(2, len(hidden), dtype=torch.float32)
    tensors = {
        "hidden": hidden,
        "sublayer": sublayer,
        "gamma": gamma,
        "beta": beta,
        "residual": residual,
        "normed": normed,
        "means": means,
        "scales": scales,
    }
    _run("add_norm", tensors, factor=epsilon, dropping=dropping)
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
    total = torch.empty_like(residual)
    to_sublayer = torch.empty_like(residual) if dropping.rate else total
    tensors = {
        "hidden": to_normed,
        "residual": residual,
        "means": mean,
        "scales": scale,
        "gamma": gamma,
        "normed": total,
        "sublayer": to_sublayer,
        "sums": sums,
    }
    _run("add_norm_backward", tensors, dropping=dropping)
    return total, to_sublayer


def column_sums(gradient: Tensor, sums: Tensor, *, activated: Tensor | None = None) -> None:
    """Write the sums over the rows; with the output of a ReLU, first set the gradient to zero where it is zero."""
    _run("column_sums", {"hidden": gradient, "residual": activated, "sums": sums})


def embed(
    ids: Tensor, positions: Tensor, table: Tensor, angles: Tensor, *, factor: float, dropping: Dropping
) -> Tensor:
    """Return the input sum of a stack; an id below 0 has the zero vector."""
    out = torch.empty(len(ids), table.shape[1], dtype=table.dtype)
    tensors = {"hidden": table, "ids": ids, "positions": positions, "angles": angles, "normed": out}
    _run("embed", tensors, rows=len(ids), factor=factor, dropping=dropping)
    return out


def embed_backward(to_out: Tensor, *, factor: float, dropping: Dropping, out: Tensor) -> None:
    """Write the gradients of the rows of the table that were read."""
    _run("embed_backward", {"hidden": to_out, "normed": out}, factor=factor, dropping=dropping)


def add_rows(table: Tensor, rows: Tensor, ids: Tensor) -> None:
    """Add each row to the row of the table that its id names."""
    _run("add_rows", {"hidden": rows, "ids": ids, "table": table})


def softmax_gradient(
    logits: Tensor, targets: Tensor, mean_logits: Tensor, *, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient at the logits without smoothing / V, in their place, the likelihoods and the losses."""
    return _softmax("softmax_gradient", logits, targets, mean_logits, smoothing=smoothing)


def pair_gradient(
    logits: Tensor, targets: Tensor, mean_logits: Tensor, *, smoothing: float, pair: PairWeights
) -> tuple[Tensor, Tensor, Tensor]:
    """Do what ``softmax_gradient`` does for two passes, all rows of the first before those of the second."""
    return _softmax("pair_gradient", logits, targets, mean_logits, smoothing=smoothing, pair=pair)


def _softmax(
    work: str,
    logits: Tensor,
    targets: Tensor,
    mean_logits: Tensor,
    *,
    smoothing: float,
    pair: PairWeights | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    likelihoods, losses = torch.empty(2, len(logits), dtype=torch.float32)
    tensors = {
        "hidden": logits,
        "targets": targets,
        "mean_logits": mean_logits,
        "likelihoods": likelihoods,
        "losses": losses,
    }
    _run(work, tensors, rows=len(logits) // (2 if pair else 1), factor=smoothing, pair=pair)
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
) -> tuple[Tensor, Tensor | None]:
    """Return the contexts, ``[tokens, d_model]``, and the weights before dropout, for the backward pass."""
    contexts = torch.empty(queries.shape, dtype=queries.dtype)
    columns = -(-key_bounds.diff() // attention_library().lanes) * attention_library().lanes
    size = num_heads * int((query_bounds.diff() * columns).sum())
    weights = torch.empty(size, dtype=torch.float32)
    job = _attention_job(
        queries,
        keys,
        values,
        contexts.stride(0),
        weights,
        query_bounds=query_bounds,
        key_bounds=key_bounds,
        block=block,
        num_heads=num_heads,
        is_causal=is_causal,
        dropping=dropping,
    )
    job.context = contexts.data_ptr()
    attention_library().do(attention_library().forward, job)
    return contexts, weights


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
    kept: Tensor | None,
    out: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Write the gradients of queries, keys and values, which have the strides of their own."""
    if kept is None:
        raise ValueError("the weights of the forward pass are missing")
    job = _attention_job(
        queries,
        keys,
        values,
        to_contexts.stride(0),
        kept,
        query_bounds=query_bounds,
        key_bounds=key_bounds,
        block=block,
        num_heads=num_heads,
        is_causal=is_causal,
        dropping=dropping,
    )
    job.d_context = to_contexts.data_ptr()
    job.d_queries, job.d_keys, job.d_values = (gradient.data_ptr() for gradient in out)
    attention_library().do(attention_library().backward, job)


def _attention_job(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    context_stride: int,
    weights: Tensor,
    *,
    query_bounds: Tensor,
    key_bounds: Tensor,
    block: int,
    num_heads: int,
    is_causal: bool,
    dropping: Dropping,
) -> AttentionJob:
    threshold, keep_scale, seed = _chances(dropping)
    return AttentionJob(
        queries=queries.data_ptr(),
        keys=keys.data_ptr(),
        values=values.data_ptr(),
        weights=weights.data_ptr(),
        batch=len(query_bounds) - 1,
        heads=num_heads,
        time=block,
        memory=block,
        d_head=queries.shape[1] // num_heads,
        is_bfloat16=queries.dtype is torch.bfloat16,
        threads=torch.get_num_threads(),
        keep_scale=keep_scale,
        query_bounds=query_bounds.data_ptr(),
        key_bounds=key_bounds.data_ptr(),
        query_stride=queries.stride(0),
        key_stride=keys.stride(0),
        context_stride=context_stride,
        seed=seed,
        threshold=threshold,
        is_causal=is_causal,
    )


def _chances(dropping: Dropping | None) -> tuple[int, float, int]:
    """Return the threshold of a number of chance, the scale of what is kept, and the seed."""
    if dropping is None or not dropping.rate:
        return 0, 1.0, 0
    threshold = round(dropping.rate * 2**32)
    return threshold, 2**32 / (2**32 - threshold), int(dropping.seeds[dropping.site])


def _run(
    work: str,
    tensors: Mapping[str, Tensor | None],
    *,
    rows: int | None = None,
    factor: float = 0.0,
    dropping: Dropping | None = None,
    pair: PairWeights | None = None,
) -> None:
    """Do a work of ``states.c`` on tensors, which are named as in its record; all are contiguous."""
    (library,) = _loaded()
    hidden = cast("Tensor", tensors["hidden"])
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    if not all(tensor.is_contiguous() for tensor in given.values()):
        raise ValueError(f"{work}: all tensors must be contiguous")
    threshold, keep_scale, seed = _chances(dropping)
    job = _Job(
        **{name: tensor.data_ptr() for name, tensor in given.items()},
        rows=len(hidden) if rows is None else rows,
        width=hidden.shape[1],
        is_bfloat16=hidden.dtype is torch.bfloat16,
        threads=norm_parts(),
        seed=seed,
        threshold=threshold,
        keep_scale=keep_scale,
        factor=factor,
        **(pair._asdict() if pair else {}),
    )
    library.run(ctypes.pointer(job), _WORKS.index(work))
