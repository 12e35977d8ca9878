"""Compute projection and loss together, in chunks of positions, so that no float32 copy of all logits is stored.

It is the loss of ``training.loss``: with smoothing e and V pieces, a position costs (1 - e) times its negative
log-likelihood plus e times the mean of that of all pieces; its gradient at the logits is softmax - (1 - e) one_hot -
e / V. A chunk stores its logits in the precision of the product, its log-softmax in float32 or wider, and its gradient
over its logits. The two parts that are equal for all pieces, the mean logit and e / V, are never computed piece by
piece: they are products of the hidden states with the summed weights. Read ``step.py`` next.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["vocabulary_loss"]

_CHUNK_LOGITS: Final = 1 << 26
"""256 MiB in float32: large enough for efficient products, small beside the activations of a large batch."""


def vocabulary_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target_ids: Tensor,
    target_weights: Tensor,
    *,
    label_smoothing: float,
    chunk_logits: int = _CHUNK_LOGITS,
) -> tuple[Tensor, Tensor]:
    """Return the summed loss and the summed negative log-likelihood; only the first has a gradient.

    ``hidden`` is ``[positions, d_model]``, ``weight`` ``[vocabulary, d_model]``, ``bias`` ``[vocabulary]``.
    ``target_ids`` and ``target_weights`` are ``[positions]``; a position of weight 0 adds exactly nothing to sums and
    gradients. Gradients are computed in the forward pass.
    """
    chunk_rows = max(1, chunk_logits // len(weight))
    loss, negative_log_likelihood = _VocabularyLoss.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, target_ids, target_weights, label_smoothing, chunk_rows
    )
    return loss, negative_log_likelihood


class _VocabularyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target_ids: Tensor,
        target_weights: Tensor,
        smoothing: float,
        chunk_rows: int,
    ) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        weights = target_weights.to(wide)
        weight_sum = weight.sum(0, dtype=wide)
        mean_logits = torch.mv(hidden.to(wide), weight_sum) / len(weight)
        if bias is not None:
            mean_logits += bias.to(wide).mean()
        counted = hidden * weights[:, None].to(hidden.dtype)
        to_hidden = torch.empty_like(hidden)
        to_weight = torch.zeros_like(weight, dtype=wide)
        to_bias = None if bias is None else torch.zeros_like(bias, dtype=wide)
        losses, likelihoods = torch.empty_like(weights), torch.empty_like(weights)
        even = smoothing / len(weight)
        for start in range(0, len(hidden), chunk_rows):
            part = slice(start, start + chunk_rows)
            gradient, likelihoods[part], losses[part] = _chunk(
                functional.linear(hidden[part], weight, bias), target_ids[part], mean_logits[part], smoothing
            )
            torch.mm(gradient, weight, out=to_hidden[part])
            to_weight += gradient.t() @ counted[part]
            if to_bias is not None:
                to_bias += gradient.t() @ weights[part].to(gradient.dtype)
        to_hidden.sub_((even * weight_sum).to(hidden.dtype)).mul_(weights[:, None].to(hidden.dtype))
        to_weight.sub_(even * counted.sum(0, dtype=wide))
        if to_bias is not None:
            to_bias.sub_(even * weights.sum())
        ctx.save_for_backward(to_hidden, to_weight, to_bias)
        ctx.dtype = weight.dtype
        likelihood_sum = torch.dot(likelihoods, weights)
        ctx.mark_non_differentiable(likelihood_sum)
        return torch.dot(losses, weights), likelihood_sum

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, to_weight, to_bias = ctx.saved_tensors
        grown = None if to_bias is None else (to_bias * scale).to(ctx.dtype)
        return to_hidden.mul_(scale), to_weight.mul_(scale).to(ctx.dtype), grown, None, None, None, None


def _chunk(logits: Tensor, target_ids: Tensor, mean_logits: Tensor, smoothing: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient at the logits without e / V, the negative log-likelihood and the loss of each position.

    The gradient takes the place of the logits.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    targets = target_ids[:, None]
    log_probabilities = torch.log_softmax(logits, -1, dtype=wide)
    likelihood = -log_probabilities.gather(1, targets)
    log_sum_exp = (logits.gather(1, targets).to(wide) + likelihood)[:, 0]
    gradient = torch.exp(log_probabilities, out=logits)
    # Rounded once: softmax and one-hot almost cancel at the target of a trained model.
    gradient.scatter_(1, targets, (torch.exp(-likelihood) - (1.0 - smoothing)).to(logits.dtype))
    likelihood = likelihood[:, 0]
    loss = (1.0 - smoothing) * likelihood + smoothing * (log_sum_exp - mean_logits)
    return gradient, likelihood, loss
