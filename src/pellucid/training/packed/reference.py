"""What the kernels of packed steps compute, with operations of torch: for tests, and for processors.

The functions have the names and arguments of those in ``operations.py``. Hidden states are ``[tokens, d_model]``, and
``sums`` receive sums over the tokens in parts, ``[parts, ...]``, which the caller adds up. A backward function draws
the numbers of dropout of its forward function again, from the same seed. Read ``kernels.py`` next.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.training.batches import PairWeights

__all__ = [
    "Dropping",
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


def norm_parts() -> int:
    """Return the parts of sums over tokens for norms."""
    return 1


column_parts = norm_parts


class Dropping(NamedTuple):
    """A dropout: its rate, and its place in the seeds of a step, integers on the device."""

    rate: float
    seeds: Tensor
    site: int


def _keeps(like: Tensor, dropping: Dropping) -> Tensor:
    generator = torch.Generator().manual_seed(int(dropping.seeds[dropping.site]))
    drawn = torch.rand(like.shape, generator=generator, dtype=torch.float64)
    return ((drawn >= dropping.rate) / (1.0 - dropping.rate)).to(like)


def _dropped(values: Tensor, dropping: Dropping) -> Tensor:
    return values * _keeps(values, dropping) if dropping.rate else values


def add_norm(
    hidden: Tensor, sublayer: Tensor, gamma: Tensor, beta: Tensor, *, epsilon: float, dropping: Dropping
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the norm of the residual sum, the sum, its means and its inverse deviations."""
    wide = torch.promote_types(hidden.dtype, torch.float32)
    total = hidden.to(wide) + _dropped(sublayer.to(wide), dropping)
    mean = total.mean(1)
    scale = (total.var(1, correction=0) + epsilon).rsqrt()
    normed = (total - mean[:, None]) * scale[:, None] * gamma.to(wide) + beta.to(wide)
    return normed.to(hidden.dtype), total.to(hidden.dtype), mean, scale


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
    wide = torch.promote_types(residual.dtype, torch.float32)
    gradient = to_normed.to(wide)
    unit = (residual.to(wide) - mean[:, None]) * scale[:, None]
    sums.zero_()
    sums[0, 0], sums[0, 1] = (gradient * unit).sum(0), gradient.sum(0)
    gradient = gradient * gamma.to(wide)
    along = (gradient * unit).mean(1, keepdim=True)
    total = scale[:, None] * (gradient - gradient.mean(1, keepdim=True) - unit * along)
    to_sublayer = _dropped(total, dropping)
    sums[0, 2] = to_sublayer.sum(0)
    return total.to(residual.dtype), to_sublayer.to(residual.dtype)


def column_sums(gradient: Tensor, sums: Tensor, *, activated: Tensor | None = None) -> None:
    """Write the sums over the rows; with the output of a ReLU, first set the gradient to zero where it is zero."""
    if activated is not None:
        gradient.masked_fill_(activated <= 0, 0)
    sums.zero_()
    sums[0] = gradient.sum(0, dtype=sums.dtype)


def embed(
    ids: Tensor, positions: Tensor, table: Tensor, angles: Tensor, *, factor: float, dropping: Dropping
) -> Tensor:
    """Return the input sum of a stack; an id below 0 has the zero vector."""
    wide = torch.promote_types(table.dtype, torch.float32)
    vectors = table[ids.clamp(min=0).long()].to(wide).masked_fill((ids < 0)[:, None], 0)
    return _dropped(factor * vectors + angles[positions.long()].to(wide), dropping).to(table.dtype)


def embed_backward(to_out: Tensor, *, factor: float, dropping: Dropping, out: Tensor) -> None:
    """Write the gradients of the rows of the table that were read."""
    wide = torch.promote_types(to_out.dtype, torch.float32)
    out.copy_(_dropped(to_out.to(wide), dropping) * factor)


def add_rows(table: Tensor, rows: Tensor, ids: Tensor) -> None:
    """Add each row to the row of the table that its id names."""
    table += torch.ops.aten.embedding_dense_backward(rows, ids, len(table), -1, False)


def softmax_gradient(
    logits: Tensor, targets: Tensor, mean_logits: Tensor, *, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient at the logits without smoothing / V, in their place, the likelihoods and the losses."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    log_probabilities = torch.log_softmax(logits, -1, dtype=wide)
    likelihood = -log_probabilities.gather(1, targets[:, None])
    log_sum = (logits.gather(1, targets[:, None]).to(wide) + likelihood)[:, 0]
    gradient = torch.exp(log_probabilities, out=logits)
    # Rounded once: softmax and one-hot almost cancel at the target of a trained model.
    gradient.scatter_(1, targets[:, None], (torch.exp(-likelihood) - (1.0 - smoothing)).to(logits.dtype))
    likelihood = likelihood[:, 0]
    return gradient, likelihood, (1.0 - smoothing) * likelihood + smoothing * (log_sum - mean_logits)


def pair_gradient(
    logits: Tensor, targets: Tensor, mean_logits: Tensor, *, smoothing: float, pair: PairWeights
) -> tuple[Tensor, Tensor, Tensor]:
    """Do what ``softmax_gradient`` does for two passes, all rows of the first before those of the second.

    The losses of a pass are its part of ``regularisers.pair_loss``, with the divergence from it to the other one; the
    likelihoods are not weighted.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    logs = logits.log_softmax(-1, dtype=wide).chunk(2)
    probabilities = [log.exp() for log in logs]
    shares, divergences = (pair.first, pair.second), (pair.forward, pair.reverse)
    likelihoods, losses = [], []
    for own, share in enumerate(shares):
        target = targets.chunk(2)[own][:, None]
        p, q, log = probabilities[own], probabilities[1 - own], logs[own]
        difference = log - logs[1 - own]
        divergence = (p * difference).sum(1, keepdim=True)
        likelihood = -log.gather(1, target)[:, 0]
        log_sum = logits.chunk(2)[own].gather(1, target)[:, 0].to(wide) + likelihood
        even = log_sum - mean_logits.chunk(2)[own]
        smooth = (1.0 - smoothing) * likelihood + smoothing * even
        likelihoods.append(likelihood)
        losses.append(share * smooth + divergences[own] * divergence[:, 0])
        slope = share * p + divergences[own] * p * (difference - divergence) + divergences[1 - own] * (p - q)
        slope.scatter_add_(1, target, slope.new_full(target.shape, share * (smoothing - 1.0)))
        logits.chunk(2)[own].copy_(slope)
    return logits, torch.cat(likelihoods), torch.cat(losses)


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
    """Return the contexts, ``[tokens, d_model]``, and what the backward pass needs of the forward pass, if anything.

    Sentence i has the tokens from bound i to bound i + 1, at most ``block``.
    """
    query_places, is_query = _places(query_bounds, block)
    key_places, is_key = _places(key_bounds, block)
    rows = len(query_bounds) - 1
    q, k, v = (
        tensor[places].view(rows, block, num_heads, -1).transpose(1, 2)
        for tensor, places, block in (
            (queries, query_places, block),
            (keys, key_places, block),
            (values, key_places, block),
        )
    )
    wide = torch.promote_types(queries.dtype, torch.float32)
    scores = (q.to(wide) @ k.to(wide).transpose(2, 3)) / math.sqrt(q.shape[-1])
    may_attend = is_key.view(rows, 1, 1, -1)
    if is_causal:
        may_attend = may_attend & torch.ones(block, block, dtype=torch.bool, device=queries.device).tril()
    weights = torch.softmax(scores.masked_fill(~may_attend, -1e30), -1).masked_fill(~may_attend, 0)
    contexts = (_dropped(weights, dropping).to(v.dtype) @ v).transpose(1, 2).reshape(rows * block, -1)
    return torch.zeros_like(queries).index_copy(0, query_places[is_query], contexts[is_query]), None


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
    """Write the gradients of queries, keys and values."""
    inputs = [tensor.detach().contiguous().requires_grad_() for tensor in (queries, keys, values)]
    with torch.enable_grad():
        contexts, _ = attention(
            *inputs,
            query_bounds=query_bounds,
            key_bounds=key_bounds,
            block=block,
            num_heads=num_heads,
            is_causal=is_causal,
            dropping=dropping,
        )
    for place, gradient in zip(out, torch.autograd.grad(contexts, inputs, to_contexts), strict=True):
        place.copy_(gradient)


def _places(bounds: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Return the tokens of each sentence in a block of its own, ``[rows * block]``, and which of them it has."""
    offsets = torch.arange(block, device=bounds.device)
    places = bounds[:-1, None].long() + offsets
    is_token = places < bounds[1:, None]
    return functional.relu(places.masked_fill(~is_token, 0)).flatten(), is_token.flatten()
