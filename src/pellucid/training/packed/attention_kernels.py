"""The attention of packed steps, in Triton: one program for each sentence and head, forward and backward.

A program holds the queries, keys and values of its sentence, so no score leaves it. The backward pass computes the
weights again from queries and keys, and draws the same numbers of dropout. Read ``operations.py`` next.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["attention_backward_kernel", "attention_kernel"]


@triton.jit
def _span(bounds):
    """Return the first token of a program's sentence and the number of its tokens."""
    first = tl.load(bounds + tl.program_id(0))
    return first, tl.load(bounds + tl.program_id(0) + 1) - first


@triton.jit
def _tile(pointer, first, count, stride, BLOCK: tl.constexpr, D_HEAD: tl.constexpr):
    """Load the rows of a sentence and the columns of a head; rows after its end are zero."""
    token, dim = tl.arange(0, BLOCK), tl.arange(0, D_HEAD)
    places = (first + token).to(tl.int64)[:, None] * stride + tl.program_id(1) * D_HEAD + dim[None, :]
    return tl.load(pointer + places, mask=(token < count)[:, None], other=0.0)


@triton.jit
def _store_tile(pointer, first, count, stride, values, BLOCK: tl.constexpr, D_HEAD: tl.constexpr):
    token, dim = tl.arange(0, BLOCK), tl.arange(0, D_HEAD)
    places = (first + token).to(tl.int64)[:, None] * stride + tl.program_id(1) * D_HEAD + dim[None, :]
    tl.store(pointer + places, values, mask=(token < count)[:, None])


@triton.jit
def _weights(queries, keys, count, scale, IS_CAUSAL: tl.constexpr, BLOCK: tl.constexpr):
    """Return the softmax of equation 1; zero where attention is not allowed, and everywhere if there are no keys."""
    scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
    may_attend = (tl.arange(0, BLOCK) < count)[None, :]
    if IS_CAUSAL:
        may_attend = may_attend & (tl.arange(0, BLOCK)[None, :] <= tl.arange(0, BLOCK)[:, None])
    scores = tl.where(may_attend, scores, -1e30)
    weights = tl.where(may_attend, tl.exp(scores - tl.max(scores, axis=1)[:, None]), 0.0)
    total = tl.sum(weights, axis=1)
    return weights / tl.where(total > 0, total, 1.0)[:, None]


@triton.jit
def _keeps(seeds, site, rate, BLOCK: tl.constexpr):
    """Return what dropout multiplies the weights of this sentence and head by."""
    seed = tl.load(seeds + site) + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    number = tl.rand(seed, tl.arange(0, BLOCK)[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :])
    return tl.where(number >= rate, 1.0 / (1.0 - rate), 0.0)


@triton.jit(do_not_specialize=["site"])
def attention_kernel(
    queries,
    keys,
    values,
    query_bounds,
    key_bounds,
    seeds,
    site,
    contexts,
    query_stride,
    key_stride,
    context_stride,
    scale,
    rate,
    IS_CAUSAL: tl.constexpr,
    DROPS: tl.constexpr,
    BLOCK: tl.constexpr,
    D_HEAD: tl.constexpr,
):
    """Equation 1 for one sentence and one head."""
    first, count = _span(query_bounds)
    if count > 0:
        key_first, key_count = _span(key_bounds)
        q = _tile(queries, first, count, query_stride, BLOCK, D_HEAD)
        k = _tile(keys, key_first, key_count, key_stride, BLOCK, D_HEAD)
        weights = _weights(q, k, key_count, scale, IS_CAUSAL, BLOCK)
        if DROPS:
            weights *= _keeps(seeds, site, rate, BLOCK)
        v = _tile(values, key_first, key_count, key_stride, BLOCK, D_HEAD)
        context = tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        _store_tile(contexts, first, count, context_stride, context, BLOCK, D_HEAD)


@triton.jit(do_not_specialize=["site"])
def attention_backward_kernel(
    to_contexts,
    queries,
    keys,
    values,
    query_bounds,
    key_bounds,
    seeds,
    site,
    to_queries,
    to_keys,
    to_values,
    query_stride,
    key_stride,
    context_stride,
    scale,
    rate,
    IS_CAUSAL: tl.constexpr,
    DROPS: tl.constexpr,
    BLOCK: tl.constexpr,
    D_HEAD: tl.constexpr,
):
    """The gradients of ``attention_kernel``, with the strides of queries and of keys."""
    first, count = _span(query_bounds)
    key_first, key_count = _span(key_bounds)
    if count + key_count > 0:
        q = _tile(queries, first, count, query_stride, BLOCK, D_HEAD)
        k = _tile(keys, key_first, key_count, key_stride, BLOCK, D_HEAD)
        weights = _weights(q, k, key_count, scale, IS_CAUSAL, BLOCK)
        to_context = _tile(to_contexts, first, count, context_stride, BLOCK, D_HEAD)
        v = _tile(values, key_first, key_count, key_stride, BLOCK, D_HEAD)
        to_weights = tl.dot(to_context, tl.trans(v), input_precision="ieee")
        used = weights
        if DROPS:
            keeps = _keeps(seeds, site, rate, BLOCK)
            used = weights * keeps
            to_weights *= keeps
        to_value = tl.dot(tl.trans(used.to(v.dtype)), to_context, input_precision="ieee")
        _store_tile(to_values, key_first, key_count, key_stride, to_value, BLOCK, D_HEAD)
        to_scores = weights * (to_weights - tl.sum(weights * to_weights, axis=1)[:, None]) * scale
        to_scores = to_scores.to(q.dtype)
        _store_tile(
            to_queries, first, count, query_stride, tl.dot(to_scores, k, input_precision="ieee"), BLOCK, D_HEAD
        )  # fmt: skip
        to_key = tl.dot(tl.trans(to_scores), q, input_precision="ieee")
        _store_tile(to_keys, key_first, key_count, key_stride, to_key, BLOCK, D_HEAD)
