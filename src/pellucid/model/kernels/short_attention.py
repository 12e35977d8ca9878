"""Attention over short sentences in training, by ``attention.c``: equation 1 and its gradients, head by head.

It reads what the linear maps of queries, keys and values have written, without a copy for each head, and writes
contexts in the order that the output map reads. Numbers are float32 inside. For dropout it draws the numbers that
``explicit_attention`` draws, so a test can compare both.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pellucid.compiled.compiler import compiled_library
from pellucid.compiled.library import open_library
from pellucid.model.dropout import drawn_lanes, keep_scale, least_kept_lane

__all__ = [
    "MOST_POSITIONS",
    "SOURCE",
    "AttentionJob",
    "attention_library",
    "load_short_attention",
    "short_attention",
    "suits",
]

SOURCE: Final = Path(__file__).with_name("attention.c")
MOST_POSITIONS: Final = 48
"""Of a sentence. The matrices of longer ones are large enough for the products of torch: with 8 heads of 64 numbers
both take the same time at 48 positions, and narrower heads gain at every length (docs/log.md, 2026-11-28)."""


class AttentionJob(ctypes.Structure):
    """The record ``Job`` of ``attention.c``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("queries", "keys", "values", "context", "weights", "may_attend")),
        *((name, ctypes.c_int64) for name in ("mask_batch", "mask_time", "mask_memory")),
        *((name, ctypes.c_void_p) for name in ("drawn", "d_context", "d_queries", "d_keys", "d_values")),
        *((name, ctypes.c_int32) for name in ("batch", "heads", "time", "memory", "d_head")),
        *((name, ctypes.c_int32) for name in ("is_bfloat16", "threads", "least_kept")),
        ("keep_scale", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("query_bounds", "key_bounds")),
        *((name, ctypes.c_int64) for name in ("query_stride", "key_stride", "context_stride")),
        ("seed", ctypes.c_uint64),
        ("threshold", ctypes.c_uint32),
        ("is_causal", ctypes.c_int32),
    )


class _Library:
    """The entry points of ``attention.c``.

    Raises:
        EngineUnavailableError: the library cannot be loaded, or its record is not the one above.
    """

    def __init__(self, path: Path) -> None:
        library = open_library(path, prefix="attention", what="attention", record=AttentionJob)
        self.lanes: int = library.attention_lanes()
        """Numbers of a vector."""
        self.forward = library.attention_forward
        self.backward = library.attention_backward
        for entry in (self.forward, self.backward):
            entry.argtypes = [ctypes.POINTER(AttentionJob)]
            entry.restype = ctypes.c_int32

    def do(self, entry: Callable[[ctypes._Pointer[AttentionJob]], int], job: AttentionJob) -> None:
        """Call an entry.

        Raises:
            MemoryError: memory is too small for the scratch of its threads.
        """
        if entry(ctypes.pointer(job)):
            raise MemoryError("memory is too small for the attention of a batch")


@cache
def _loaded() -> list[_Library]:
    """Return the place of the library of this process, empty until it is loaded."""
    return []


def attention_library() -> _Library:
    """Return the library, which ``load_short_attention`` must have loaded."""
    (library,) = _loaded()
    return library


def load_short_attention(say: Callable[[str], None] = lambda text: None) -> None:
    """Compile and load ``attention.c`` where that is not done yet; ``say`` is told before it is compiled.

    Raises:
        EngineUnavailableError: there is no compiler, or it fails; the message says which and why.
    """
    if not _loaded():
        _loaded().append(_Library(compiled_library(SOURCE, what="the attention of training", say=say)))


def suits(hidden: Tensor, memory: Tensor) -> bool:
    """Return whether ``short_attention`` is for attention from [batch, time, ...] to [batch, memory, ...]."""
    return (
        hidden.device.type == "cpu"
        and hidden.dtype in (torch.float32, torch.bfloat16)
        and max(hidden.shape[1], memory.shape[1]) <= MOST_POSITIONS
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def short_attention(
    queries: Tensor, keys: Tensor, values: Tensor, *, num_heads: int, may_attend: Tensor | None, dropout_rate: float
) -> Tensor:
    """Compute the contexts of all heads, concatenated: [batch, time, d_model].

    Args:
        queries: projections, [batch, time, d_model], in float32 or bfloat16, with the heads side by side.
        keys: projections, [batch, memory, d_model].
        values: like the keys.
        num_heads: of which each has d_model / num_heads numbers.
        may_attend: boolean, broadcasts to [batch, 1, time, memory]; None allows all.
        dropout_rate: of the weights.
    """
    context: Tensor = _ShortAttention.apply(queries, keys, values, num_heads, may_attend, dropout_rate)  # type: ignore[no-untyped-call]
    return context


class _ShortAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        num_heads: int,
        may_attend: Tensor | None,
        dropout_rate: float,
    ) -> Tensor:
        library = attention_library()
        queries, keys, values = (projected.detach().contiguous() for projected in (queries, keys, values))
        batch, time, _ = queries.shape
        memory = keys.shape[1]
        context = torch.empty_like(queries)
        columns = -(-memory // library.lanes) * library.lanes
        weights = torch.empty(batch, num_heads, time, columns, dtype=torch.float32)
        mask = None if may_attend is None else may_attend.expand(batch, 1, time, memory)
        drawn = drawn_lanes(batch * num_heads * time * memory) if dropout_rate else None
        ctx.save_for_backward(queries, keys, values, weights)
        ctx.facts = (mask, drawn, num_heads, dropout_rate)  # type: ignore[attr-defined]
        job = _job_of(queries, keys, values, weights, mask, drawn, num_heads, dropout_rate)
        job.context = context.data_ptr()
        library.do(library.forward, job)
        return context

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.BackwardCFunction, d_context: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        library = attention_library()
        saved: Sequence[Tensor] = ctx.saved_tensors
        queries, keys, values, weights = saved
        mask, drawn, num_heads, dropout_rate = ctx.facts  # type: ignore[attr-defined]
        d_context = d_context.contiguous()
        gradients = [torch.empty_like(tensor) for tensor in (queries, keys, values)]
        job = _job_of(queries, keys, values, weights, mask, drawn, num_heads, dropout_rate)
        job.d_context = d_context.data_ptr()
        job.d_queries, job.d_keys, job.d_values = (gradient.data_ptr() for gradient in gradients)
        library.do(library.backward, job)
        d_queries, d_keys, d_values = gradients
        return d_queries, d_keys, d_values, None, None, None


def _job_of(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    weights: Tensor,
    mask: Tensor | None,
    drawn: Tensor | None,
    num_heads: int,
    dropout_rate: float,
) -> AttentionJob:
    """Return the record of what forward and backward have in common. The tensors must outlive it."""
    batch, time, d_model = queries.shape
    job = AttentionJob(
        queries=queries.data_ptr(),
        keys=keys.data_ptr(),
        values=values.data_ptr(),
        weights=weights.data_ptr(),
        batch=batch,
        heads=num_heads,
        time=time,
        memory=keys.shape[1],
        d_head=d_model // num_heads,
        is_bfloat16=queries.dtype is torch.bfloat16,
        threads=torch.get_num_threads(),
        query_stride=d_model,
        key_stride=d_model,
        context_stride=d_model,
    )
    if mask is not None:
        job.may_attend = mask.data_ptr()
        job.mask_batch, _, job.mask_time, job.mask_memory = mask.stride()
    if drawn is not None:
        job.drawn = drawn.data_ptr()
        job.least_kept, job.keep_scale = least_kept_lane(dropout_rate), keep_scale(dropout_rate)
    return job
