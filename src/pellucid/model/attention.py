"""Compute scaled dot-product attention and multi-head attention (sections 3.2.1, 3.2.2).

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V                        equation 1
    MultiHead = Concat(head_1, ..., head_h) W^O                              section 3.2.2

There are three implementations, which tests compare. ``explicit_attention`` computes the equation step by step and
passes every value to a recorder; ``fused_attention`` is one kernel of torch, used without a recorder; and
``kernels.short_attention`` is one of our own, for short sentences in training on a processor. Read ``layers.py`` next.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from pellucid.config import ModelConfig
from pellucid.model.dropout import Dropout
from pellucid.model.kernels.short_attention import short_attention, suits
from pellucid.model.recorder import Scope, visit

__all__ = [
    "MultiHeadAttention",
    "attention_weights",
    "causal_may_attend",
    "explicit_attention",
    "fused_attention",
    "has_short_attention",
    "padding_may_attend",
    "use_short_attention",
]


def padding_may_attend(mask: Tensor | None, *, like: Tensor) -> Tensor | None:
    """Return a padding mask of the keys, [batch, time], as a mask of scores, [batch, 1, 1, time].

    ``like`` [batch, time, ...] is the tensor to which the mask belongs.

    Raises:
        ValueError: the mask is not boolean, or its shape is not [batch, time].
    """
    if mask is None:
        return None
    if mask.dtype != torch.bool or mask.shape != like.shape[:2]:
        raise ValueError(
            f"a mask has dtype {mask.dtype} and shape {list(mask.shape)}; it must have dtype torch.bool and shape "
            f"{list(like.shape[:2])}, True where attention is allowed"
        )
    return mask[:, None, None, :]


def causal_may_attend(time: int, *, device: torch.device) -> Tensor:
    """Return the mask that prevents attention to later positions, [1, 1, time, time] (section 3.2.3)."""
    return torch.ones(time, time, dtype=torch.bool, device=device).tril()[None, None]


def fused_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    may_attend: Tensor | None,
    is_causal: bool = False,
    dropout_rate: float = 0.0,
) -> Tensor:
    """Compute equation 1 in one kernel; shapes and edge cases are those of ``explicit_attention``.

    ``is_causal`` stands for the mask of ``causal_may_attend`` and excludes another one: on a GPU, the fastest kernel
    takes no mask. ``dropout_rate`` drops weights with torch's generator, also outside training.

    On a CPU, 100 sentences of 20 tokens with 4 heads of 64 take 1.3 ms forward and 2.7 ms backward, with
    a boolean mask, an additive mask or the causal flag; separate products and softmax take 3.5 and 2.5 ms.
    Since the form of the mask does not affect the speed, all masks are boolean.
    """
    is_plain = not (is_causal or dropout_rate)
    if queries.dtype is torch.bfloat16 and queries.device.type == "cpu" and torch.is_grad_enabled() and is_plain:
        # In bfloat16 the backward pass of the kernel is slow (torch 2.13.0): 85 sentences of 24 tokens with 4 heads of
        # 64 take 2.9 + 23.7 ms of one Zen 4 core forward and backward, separate products and softmax 2.1 + 3.8 ms.
        return explicit_attention(queries, keys, values, may_attend=may_attend)
    return functional.scaled_dot_product_attention(
        queries, keys, values, attn_mask=may_attend, dropout_p=dropout_rate, is_causal=is_causal
    )


def attention_weights(
    queries: Tensor, keys: Tensor, *, may_attend: Tensor | None, scope: Scope | None = None
) -> Tensor:
    """Compute the softmax of equation 1, [batch, heads, time, memory], in float32 or wider."""
    scores = visit(scope, "scores", queries @ keys.transpose(-2, -1))
    scaled = visit(scope, "scaled", scores / math.sqrt(queries.shape[-1]))
    may_attend = _may_attend_site(may_attend, scaled, scope)
    wide = torch.promote_types(scaled.dtype, torch.float32)
    if may_attend is None:
        weights = torch.softmax(scaled, dim=-1, dtype=wide)
    else:
        # Not minus infinity: for a row of only minus infinity, the softmax is 0/0, forward and backward.
        hidden = scaled.masked_fill(~may_attend, torch.finfo(scaled.dtype).min)
        weights = torch.softmax(hidden, dim=-1, dtype=wide).masked_fill(~may_attend, 0)
    return weights


def explicit_attention(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    may_attend: Tensor | None,
    dropout: Dropout | None = None,
    scope: Scope | None = None,
) -> Tensor:
    """Compute equation 1 step by step: the contexts [batch, heads, time, d_head].

    ``queries`` are [batch, heads, time, d_head], ``keys`` and ``values`` [batch, heads, memory,
    d_head]; ``may_attend`` must broadcast to [batch, heads, time, memory]. If a position may attend to
    nothing, its weights and its context are zero, and it passes no gradient.
    """
    weights = attention_weights(queries, keys, may_attend=may_attend, scope=scope)
    weights = visit(scope, "weights", weights.to(values.dtype))
    if dropout is not None:
        weights = dropout(weights)
    return visit(scope, "context", weights @ values)


def _may_attend_site(may_attend: Tensor | None, scores: Tensor, scope: Scope | None) -> Tensor | None:
    """Pass the mask to the recorder in the shape of the scores, all True if there is no mask."""
    if scope is None:
        return may_attend
    if may_attend is None:
        may_attend = torch.ones((), dtype=torch.bool, device=scores.device)
    return visit(scope, "may_attend", may_attend.expand_as(scores))


class MultiHeadAttention(nn.Module):
    """Several parallel attentions, each with its own projection to d_head dimensions (section 3.2.2).

    The four linear maps are the paper's W^Q, W^K, W^V (all heads in one matrix, head by head)
    and W^O, with biases. A single product for queries, keys and values would save only 2 % of the time
    of these maps, and its weights would be harder to read.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.queries = nn.Linear(config.d_model, config.d_model)
        self.keys = nn.Linear(config.d_model, config.d_model)
        self.values = nn.Linear(config.d_model, config.d_model)
        self.output = nn.Linear(config.d_model, config.d_model)
        self.dropout = Dropout(config.attention_dropout)
        self.is_compiled_when_short = False
        """Whether short sentences take ``short_attention`` where gradients are computed; a job that trains decides."""

    def forward(
        self,
        hidden: Tensor,
        memory: Tensor,
        *,
        may_attend: Tensor | None = None,
        is_causal: bool = False,
        scope: Scope | None = None,
    ) -> Tensor:
        """Attend from each position of ``hidden`` [batch, time, d_model] to ``memory`` [batch, memory, d_model].

        Returns [batch, time, d_model]. In self-attention, ``memory`` is ``hidden``;
        ``may_attend`` broadcasts to [batch, heads, time, memory]. ``is_causal`` says that ``may_attend`` is the mask of
        ``causal_may_attend`` and nothing else.
        """
        drops = self.training and self.dropout.rate > 0
        if self.is_compiled_when_short and scope is None and suits(hidden, memory):
            context = short_attention(
                self.queries(hidden),
                self.keys(memory),
                self.values(memory),
                num_heads=self.num_heads,
                may_attend=may_attend,
                dropout_rate=self.dropout.rate if drops else 0.0,
            )
            joined: Tensor = self.output(context)
            return joined
        queries = visit(scope, "queries", self.split_heads(self.queries(hidden)))
        keys = visit(scope, "keys", self.split_heads(self.keys(memory)))
        values = visit(scope, "values", self.split_heads(self.values(memory)))
        if scope is None and hidden.device.type == "cuda":
            context = fused_attention(
                queries,
                keys,
                values,
                may_attend=None if is_causal else may_attend,
                is_causal=is_causal,
                dropout_rate=self.dropout.rate if drops else 0.0,
            )
        elif scope is None and not drops:
            context = fused_attention(queries, keys, values, may_attend=may_attend)
        else:
            # On a CPU, the fused kernel only supports torch's slow dropout.
            context = explicit_attention(
                queries, keys, values, may_attend=may_attend, dropout=self.dropout, scope=scope
            )
        return self.combine_heads(context, scope=scope)

    def split_heads(self, projected: Tensor) -> Tensor:
        """Return [batch, time, d_model] as [batch, heads, time, d_head]."""
        batch, time, d_model = projected.shape
        return projected.view(batch, time, self.num_heads, d_model // self.num_heads).transpose(1, 2)

    def combine_heads(self, context: Tensor, *, scope: Scope | None = None) -> Tensor:
        """Concatenate the heads [batch, heads, time, d_head] and apply W^O, [batch, time, d_model]."""
        concatenated = visit(scope, "concatenated", context.transpose(1, 2).flatten(2))
        output: Tensor = self.output(concatenated)
        return visit(scope, "output", output)


def use_short_attention(model: nn.Module) -> None:
    """Let the attentions of a model take ``short_attention`` where it suits; it must be loaded."""
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.is_compiled_when_short = True


def has_short_attention(model: nn.Module) -> bool:
    """Return whether the attentions of a model take ``short_attention`` where it suits."""
    return any(isinstance(module, MultiHeadAttention) and module.is_compiled_when_short for module in model.modules())
