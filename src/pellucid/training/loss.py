"""Compute the loss: label-smoothed cross-entropy over target tokens without padding, fast on a CPU.

The one-hot target of the paper is mixed with the uniform distribution (Szegedy et al. 2016; Vaswani
et al. 2017, section 5.4): with smoothing e and V pieces, the target distribution is
``(1 - e) * one_hot + e / V``, and the loss of a position is its cross-entropy with the model's
distribution. The functions return sums, not means, so that batches of any size can be added exactly.
Read ``optimisation.py`` next.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pellucid.runtime import Precision, Runtime

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer
    from pellucid.training.batches import TensorBatch

__all__ = ["GradientInForward", "batch_logits", "batch_loss", "precision_context", "smoothed_cross_entropy"]

# The numbers in a block of rows: 2 MB of float32 fit into the second-level cache.
_BLOCK_NUMBERS = 1 << 19


def precision_context(runtime: Runtime) -> AbstractContextManager[None]:
    """Return the context in which a forward pass uses the precision of the runtime."""
    is_bf16 = runtime.precision is Precision.BF16
    return torch.autocast(runtime.torch_device().type, dtype=torch.bfloat16, enabled=is_bf16)


def batch_logits(model: Transformer, batch: TensorBatch) -> Tensor:
    """Return the logits of the target tokens, ``[num_target_tokens, vocabulary]``; padding is not projected."""
    memory = model.encode(batch.source_ids, source_mask=batch.source_mask)
    # No target mask: padding follows the tokens, and the causal mask already prevents a token from attending to it;
    # without a mask, attention takes its fastest path.
    hidden = model.decode(batch.target_input_ids, memory, source_mask=batch.source_mask)
    return model.project(hidden.flatten(0, 1).index_select(0, batch.target_positions))


def batch_loss(
    model: Transformer, batch: TensorBatch, *, label_smoothing: float, runtime: Runtime
) -> tuple[Tensor, Tensor]:
    """Run the model on a batch and return the summed loss and the summed negative log-likelihood.

    Both are scalars, summed over ``batch.num_target_tokens`` tokens; the second has no gradient.
    """
    with precision_context(runtime):
        logits = batch_logits(model, batch)
    return smoothed_cross_entropy(logits, batch.target_ids, label_smoothing=label_smoothing, may_overwrite_logits=True)


def smoothed_cross_entropy(
    logits: Tensor, target_ids: Tensor, *, label_smoothing: float, may_overwrite_logits: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the summed label-smoothed cross-entropy and the summed negative log-likelihood.

    ``logits`` is ``[tokens, vocabulary]``, ``target_ids`` ``[tokens]``, both without padding. The computation
    is in float32, or in float64 for float64 logits. The forward pass also computes the gradient. With
    ``may_overwrite_logits`` the gradient overwrites the logits, which saves a third of the time (page faults
    for new memory of that size); autograd raises an error if another operation still needs those logits.
    """
    loss, negative_log_likelihood = _SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        logits, target_ids, label_smoothing, may_overwrite_logits
    )
    return loss, negative_log_likelihood


class GradientInForward(torch.autograd.Function):
    """A loss of logits and three constants whose forward pass saves the gradient; its second result has none."""

    @staticmethod
    @once_differentiable
    def backward(
        ctx: torch.autograd.function.BackwardCFunction, scale: Tensor, _: Tensor
    ) -> tuple[Tensor, None, None, None]:
        """Return the saved gradient times that of the loss."""
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(scale), None, None, None


class _SmoothedCrossEntropy(GradientInForward):
    """d loss / d logits = softmax - (1 - e) * one_hot - e / V for every row."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        logits: Tensor,
        target_ids: Tensor,
        label_smoothing: float,
        may_overwrite: bool,
    ) -> tuple[Tensor, Tensor]:
        num_rows, vocab_size = logits.shape
        values = logits.detach()
        gradient = values if may_overwrite else torch.empty_like(values)
        wide = torch.promote_types(logits.dtype, torch.float32)
        # One large block is fastest on a GPU, blocks that fit into the cache on a CPU.
        block_rows = num_rows if logits.is_cuda else max(1, _BLOCK_NUMBERS // vocab_size)
        size = (min(block_rows, num_rows), vocab_size)
        block = torch.empty(size, dtype=wide, device=logits.device)
        # One conversion of narrow logits, instead of one in each operation: 9.8 ms for 893 x 8,000, in place of 13.5.
        wide_block = None if logits.dtype == wide else torch.empty_like(block)
        likelihood_parts, uniform_parts = [], []
        for start in range(0, num_rows, max(1, block_rows)):
            rows = values[start : start + block_rows]
            targets = target_ids[start : start + block_rows, None]
            softmax = block[: len(rows)]
            values_of_rows = rows if wide_block is None else wide_block[: len(rows)].copy_(rows)
            torch.softmax(values_of_rows, -1, out=softmax)
            # The largest probability is at least 1 / V, so its logarithm is finite; that of the target can
            # be 0 in float32.
            log_sum_exp = values_of_rows.amax(1) - softmax.amax(1).log()
            likelihood_parts.append(log_sum_exp - values_of_rows.gather(1, targets)[:, 0])
            uniform_parts.append(log_sum_exp - values_of_rows.sum(1) / vocab_size)
            softmax.scatter_add_(1, targets, softmax.new_full((len(rows), 1), label_smoothing - 1.0))
            gradient[start : start + block_rows] = softmax.sub_(label_smoothing / vocab_size)
        empty = values.new_zeros(0, dtype=wide)
        negative_log_likelihood = torch.cat([empty, *likelihood_parts]).sum()
        against_uniform = torch.cat([empty, *uniform_parts]).sum()
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(negative_log_likelihood)
        loss = (1.0 - label_smoothing) * negative_log_likelihood + label_smoothing * against_uniform
        return loss, negative_log_likelihood
