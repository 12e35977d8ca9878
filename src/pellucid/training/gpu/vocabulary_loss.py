"""Compute projection and loss together, in chunks of positions, so that no float32 copy of all logits is stored.

It is the loss of ``training.loss``: with smoothing e and V pieces, a position costs (1 - e) times its negative
log-likelihood plus e times the mean of that of all pieces; its gradient at the logits is softmax - (1 - e) one_hot -
e / V. A chunk stores its logits in the precision of the product, its log-softmax in float32 or wider, and its gradient
over its logits. Two passes that shall agree are computed together, as in ``training.regularisers``. The two parts that
are equal for all pieces, the mean logit and e / V, are never computed piece by piece: they are products of the hidden
states with the summed weights. Read ``step.py`` next.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from pellucid.training.batches import PairWeights
from pellucid.training.packed import reference

__all__ = ["VocabularyGradients", "vocabulary_gradients", "vocabulary_loss"]

_CHUNK_BYTES: Final = 1 << 28
"""Of logits and what is computed from them: large enough for efficient products, small beside the activations of a
large batch."""
_FLOAT32: Final = 4


def vocabulary_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target_ids: Tensor,
    target_weights: Tensor,
    *,
    label_smoothing: float,
    operations: Any = reference,
    pair: PairWeights | None = None,
    chunk_bytes: int = _CHUNK_BYTES,
) -> tuple[Tensor, Tensor]:
    """Return the summed loss and the summed negative log-likelihood; only the first has a gradient.

    ``hidden`` is ``[positions, d_model]``, ``weight`` ``[vocabulary, d_model]``, ``bias`` ``[vocabulary]``.
    ``target_ids`` and ``target_weights`` are ``[positions]``; a position of weight 0 adds exactly nothing to sums and
    gradients. Gradients are computed in the forward pass. ``operations`` is ``reference``, or a module whose functions
    compute the same. With ``pair``, the positions are two passes over the same targets, all of the first before those
    of the second, and the loss is that of ``regularisers.pair_loss``.
    """
    options = {
        "label_smoothing": label_smoothing,
        "operations": operations,
        "pair": pair,
        "chunk_bytes": chunk_bytes,
    }
    loss, negative_log_likelihood = _VocabularyLoss.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, target_ids, target_weights, options
    )
    return loss, negative_log_likelihood


class VocabularyGradients(NamedTuple):
    """Sums over all positions, and the gradients of the summed loss; those of weight and bias are float32 or wider."""

    loss: Tensor
    likelihood: Tensor
    to_hidden: Tensor
    to_weight: Tensor
    to_bias: Tensor | None


@torch.no_grad()
def vocabulary_gradients(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target_ids: Tensor,
    target_weights: Tensor,
    *,
    label_smoothing: float,
    operations: Any = reference,
    pair: PairWeights | None = None,
    weight_sum: Tensor | None = None,
    chunk_bytes: int = _CHUNK_BYTES,
) -> VocabularyGradients:
    """Return loss and gradients of ``vocabulary_loss`` for a caller that needs no autograd.

    ``weight_sum``, ``[d_model]`` in float32 or wider, is the sum of the weight's rows for a caller that has it.
    """
    wide = torch.promote_types(hidden.dtype, torch.float32)
    weights = target_weights.to(wide)
    weight_sum = weight.sum(0, dtype=wide) if weight_sum is None else weight_sum
    mean_logits = torch.mv(hidden.to(wide), weight_sum) / len(weight)
    if bias is not None:
        mean_logits += bias.to(wide).mean()
    counted = hidden * weights[:, None].to(hidden.dtype)
    to_hidden = torch.empty_like(hidden)
    to_weight = weight.new_empty(0, dtype=wide)
    to_bias = None if bias is None else torch.zeros_like(bias, dtype=wide)
    losses, likelihoods = torch.empty_like(weights), torch.empty_like(weights)
    even = label_smoothing / len(weight)
    shares = (1.0,) if pair is None else (pair.first, pair.second)
    softmax = operations.softmax_gradient if pair is None else partial(operations.pair_gradient, pair=pair)

    def of_passes(values: Tensor) -> Tensor:
        return values.view(len(shares), -1, *values.shape[1:])

    inputs = [of_passes(values) for values in (hidden, target_ids, mean_logits, counted, weights)]
    outputs = [of_passes(values) for values in (to_hidden, likelihoods, losses)]
    wide_copies = {1: 1, 2: 4}[len(shares)] if operations is reference else 0
    of_a_logit = hidden.element_size() + _FLOAT32 * wide_copies
    chunk_rows = max(1, chunk_bytes // of_a_logit // len(weight) // len(shares))
    for start in range(0, max(1, len(hidden) // len(shares)), chunk_rows):
        part = slice(start, start + chunk_rows)
        rows, targets, means, of_weight, of_bias = (values[:, part].flatten(0, 1) for values in inputs)
        logits = functional.linear(rows, weight, bias)
        gradient, likelihood, loss = softmax(logits, targets, means, smoothing=label_smoothing)
        for whole, found in zip(outputs, (gradient @ weight, likelihood, loss), strict=True):
            whole[:, part] = of_passes(found)
        product = gradient.t() @ of_weight
        to_weight = product.to(wide) if start == 0 else to_weight.add_(product)
        if to_bias is not None:
            to_bias += gradient.t() @ of_bias.to(gradient.dtype)
    likelihood_sum = torch.zeros_like(losses[0])
    sides = (of_passes(values) for values in (to_hidden, counted, weights, likelihoods))
    for share, to_own, own, own_weights, own_likelihoods in zip(shares, *sides, strict=True):
        to_own.sub_((share * even * weight_sum).to(hidden.dtype)).mul_(own_weights[:, None].to(hidden.dtype))
        to_weight.sub_(share * even * own.sum(0, dtype=wide))
        if to_bias is not None:
            to_bias.sub_(share * even * own_weights.sum())
        likelihood_sum += share * torch.dot(own_likelihoods, own_weights)
    return VocabularyGradients(torch.dot(losses, weights), likelihood_sum, to_hidden, to_weight, to_bias)


class _VocabularyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target_ids: Tensor,
        target_weights: Tensor,
        options: dict[str, Any],
    ) -> tuple[Tensor, Tensor]:
        found = vocabulary_gradients(hidden, weight, bias, target_ids, target_weights, **options)
        ctx.save_for_backward(found.to_hidden, found.to_weight, found.to_bias)
        ctx.dtype = weight.dtype
        ctx.mark_non_differentiable(found.likelihood)
        return found.loss, found.likelihood

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, to_weight, to_bias = ctx.saved_tensors
        grown = None if to_bias is None else (to_bias * scale).to(ctx.dtype)
        return to_hidden.mul_(scale), to_weight.mul_(scale).to(ctx.dtype), grown, None, None, None
