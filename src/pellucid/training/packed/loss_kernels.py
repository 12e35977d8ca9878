"""The kernels of the loss of packed steps, in Triton: softmax and gradient of the logits, for one pass and for two.

All arithmetic is in float32. The operations that they compute are those of ``reference.py``. Read
``attention_kernels.py`` next.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["pair_gradient_kernel", "softmax_gradient_kernel"]


@triton.jit
def _log_sum(logits, width, COLUMNS: tl.constexpr):
    """Return the logarithm of the sum of the exponentials of a row, which is read once."""
    column = tl.arange(0, COLUMNS)
    highest = tl.full([COLUMNS], float("-inf"), tl.float32)
    total = tl.zeros([COLUMNS], tl.float32)
    for start in range(0, width, COLUMNS):
        part = start + column
        values = tl.load(logits + part, mask=part < width, other=float("-inf")).to(tl.float32)
        higher = tl.maximum(highest, values)
        # Of a lane that has seen nothing but minus infinity, the difference is not a number.
        base = tl.where(higher == float("-inf"), 0.0, higher)
        total = total * tl.exp(highest - base) + tl.exp(values - base)
        highest = higher
    most = tl.max(highest, axis=0)
    return most + tl.log(tl.sum(total * tl.exp(highest - most), axis=0))


@triton.jit
def softmax_gradient_kernel(
    logits,
    targets,
    mean_logits,
    likelihoods,
    losses,
    width,
    smoothing,
    IS_WHOLE: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Replace the logits of a row by softmax - (1 - smoothing) one_hot; its negative log-likelihood and its loss.

    A whole row is read once and stays in registers; a longer one is read twice.
    """
    row = tl.program_id(0).to(tl.int64)
    logits += row * width
    target = tl.load(targets + row)
    logit = tl.load(logits + target).to(tl.float32)
    column = tl.arange(0, COLUMNS)
    if IS_WHOLE:
        values = tl.load(logits + column, mask=column < width, other=float("-inf")).to(tl.float32)
        most = tl.max(values, axis=0)
        log_sum = most + tl.log(tl.sum(tl.exp(values - most), axis=0))
        values = tl.exp(values - log_sum) - tl.where(column == target, 1.0 - smoothing, 0.0)
        # Every lane has the logit of the target before any lane writes over it.
        tl.debug_barrier()
        tl.store(logits + column, values, mask=column < width)
    else:
        log_sum = _log_sum(logits, width, COLUMNS)
        tl.debug_barrier()
        for start in range(0, width, COLUMNS):
            part = start + column
            values = tl.load(logits + part, mask=part < width, other=float("-inf")).to(tl.float32)
            values = tl.exp(values - log_sum) - tl.where(part == target, 1.0 - smoothing, 0.0)
            tl.store(logits + part, values, mask=part < width)
    tl.store(likelihoods + row, log_sum - logit)
    tl.store(losses + row, (1.0 - smoothing) * (log_sum - logit) + smoothing * (log_sum - tl.load(mean_logits + row)))


@triton.jit
def _pair_of(first, second, part, width, first_sum, second_sum):
    """Return the probabilities of both passes, 0 beyond the width, and the difference of their logarithms."""
    p_log = tl.load(first + part, mask=part < width, other=0.0).to(tl.float32) - first_sum
    q_log = tl.load(second + part, mask=part < width, other=0.0).to(tl.float32) - second_sum
    p = tl.where(part < width, tl.exp(p_log), 0.0)
    q = tl.where(part < width, tl.exp(q_log), 0.0)
    return p, q, p_log - q_log


@triton.jit
def pair_gradient_kernel(
    logits,
    targets,
    mean_logits,
    likelihoods,
    losses,
    rows,
    width,
    smoothing,
    first_share,
    second_share,
    forward,
    reverse,
    COLUMNS: tl.constexpr,
):
    """Do what ``softmax_gradient_kernel`` does for a row of each of two passes; each is read three times."""
    row = tl.program_id(0).to(tl.int64)
    first, second = logits + row * width, logits + (row + rows) * width
    target = tl.load(targets + row)
    first_logit, second_logit = tl.load(first + target).to(tl.float32), tl.load(second + target).to(tl.float32)
    first_sum, second_sum = _log_sum(first, width, COLUMNS), _log_sum(second, width, COLUMNS)
    column = tl.arange(0, COLUMNS)
    towards, backwards = tl.zeros([COLUMNS], tl.float32), tl.zeros([COLUMNS], tl.float32)
    for start in range(0, width, COLUMNS):
        p, q, difference = _pair_of(first, second, start + column, width, first_sum, second_sum)
        towards += p * difference
        backwards -= q * difference
    there, back = tl.sum(towards, axis=0), tl.sum(backwards, axis=0)
    # Every lane has read what it needs of a part before any lane writes over it, and of the logits of the target.
    tl.debug_barrier()
    for start in range(0, width, COLUMNS):
        part = start + column
        p, q, difference = _pair_of(first, second, part, width, first_sum, second_sum)
        at_target = tl.where(part == target, 1.0 - smoothing, 0.0)
        to_first = first_share * (p - at_target) + forward * p * (difference - there) + reverse * (p - q)
        to_second = second_share * (q - at_target) - reverse * q * (difference + back) + forward * (q - p)
        tl.store(first + part, to_first, mask=part < width)
        tl.store(second + part, to_second, mask=part < width)
    _store_loss(row, first_sum, first_logit, mean_logits, likelihoods, losses, smoothing, first_share, forward * there)
    other = row + rows
    _store_loss(
        other, second_sum, second_logit, mean_logits, likelihoods, losses, smoothing, second_share, reverse * back
    )


@triton.jit
def _store_loss(row, log_sum, logit, mean_logits, likelihoods, losses, smoothing, share, divergence):
    """Store the likelihood and the loss of a row."""
    likelihood, even = log_sum - logit, log_sum - tl.load(mean_logits + row)
    tl.store(likelihoods + row, likelihood)
    tl.store(losses + row, share * ((1.0 - smoothing) * likelihood + smoothing * even) + divergence)
