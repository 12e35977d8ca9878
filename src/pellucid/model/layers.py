"""Define feed-forward networks and the layers of encoder and decoder (sections 3.1, 3.3).

    post-norm, the paper's:   x = norm(x + dropout(sublayer(x)))
    pre-norm:                 x = x + dropout(sublayer(norm(x)))

Read ``cache.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from torch import Tensor, nn
from torch.nn import functional

from pellucid.config import Activation, ModelConfig, NormOrder
from pellucid.model.attention import MultiHeadAttention
from pellucid.model.dropout import Dropout
from pellucid.model.recorder import Scope, below, visit

__all__ = ["DecoderLayer", "EncoderLayer", "FeedForward", "StepAttentions"]

_ACTIVATIONS: Final[dict[Activation, Callable[[Tensor], Tensor]]] = {
    Activation.RELU: functional.relu,
    Activation.GELU: functional.gelu,
    Activation.SWISH: functional.silu,
}


class FeedForward(nn.Module):
    """Two linear maps with a non-linearity between them, the same at every position (section 3.3, equation 2)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.d_model, config.d_feedforward)
        self.outer = nn.Linear(config.d_feedforward, config.d_model)
        self.activation = config.activation
        self.dropout = Dropout(config.activation_dropout)

    def forward(self, hidden: Tensor, *, scope: Scope | None = None) -> Tensor:
        """Map ``hidden`` [..., d_model] to the same shape, through [..., d_feedforward]."""
        pre_activation = visit(scope, "pre_activation", self.inner(hidden))
        activated = visit(scope, "hidden", _ACTIVATIONS[self.activation](pre_activation))
        return visit(scope, "output", self.outer(self.dropout(activated)))


class _Sites(NamedTuple):
    """The names of the two sites around a sub-layer, as constants: without a recorder no names are built."""

    residual: str
    norm: str


_SELF_ATTENTION: Final = _Sites("self_attention_residual", "self_attention_norm")
_CROSS_ATTENTION: Final = _Sites("cross_attention_residual", "cross_attention_norm")
_FEED_FORWARD: Final = _Sites("feed_forward_residual", "feed_forward_norm")


class _Layer(nn.Module):
    """The shared part of both kinds of layer: a residual connection and a norm around each sub-layer."""

    feed_forward: FeedForward
    feed_forward_norm: nn.LayerNorm

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm_order = config.norm_order
        self.dropout = Dropout(config.dropout)

    def around(
        self,
        hidden: Tensor,
        sublayer: Callable[[Tensor], Tensor],
        *,
        norm: nn.Module,
        sites: _Sites,
        scope: Scope | None,
    ) -> Tensor:
        """Apply a sub-layer with its residual connection and norm in the configured order."""
        if self.norm_order is NormOrder.PRE:
            normed = visit(scope, sites.norm, norm(hidden))
            return visit(scope, sites.residual, hidden + self.dropout(sublayer(normed)))
        residual = visit(scope, sites.residual, hidden + self.dropout(sublayer(hidden)))
        return visit(scope, sites.norm, norm(residual))

    def feed_forward_sublayer(self, hidden: Tensor, *, scope: Scope | None) -> Tensor:
        """Apply the last sub-layer."""
        return self.around(
            hidden,
            lambda x: self.feed_forward(x, scope=below(scope, "feed_forward")),
            norm=self.feed_forward_norm,
            sites=_FEED_FORWARD,
            scope=scope,
        )


class StepAttentions(Protocol):
    """The attentions of a decoder layer in one step, with the keys and values of earlier positions.

    They are those of ``cache.LayerCache``, or of an engine that keeps the keys and values in another order.
    """

    def self_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to itself and all earlier positions."""

    def cross_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to the encoder's output."""


class EncoderLayer(_Layer):
    """Self-attention over the source and a feed-forward network (section 3.1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.self_attention = MultiHeadAttention(config)
        self.self_attention_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)

    def forward(self, hidden: Tensor, *, may_attend: Tensor | None = None, scope: Scope | None = None) -> Tensor:
        """Map ``hidden`` [batch, source, d_model] to the same shape."""
        hidden = visit(scope, "input", hidden)
        hidden = self.around(
            hidden,
            lambda x: self.self_attention(x, x, may_attend=may_attend, scope=below(scope, "self_attention")),
            norm=self.self_attention_norm,
            sites=_SELF_ATTENTION,
            scope=scope,
        )
        return self.feed_forward_sublayer(hidden, scope=scope)


class DecoderLayer(_Layer):
    """Self-attention over the target, attention to the encoder's output, a feed-forward network (section 3.1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.self_attention = MultiHeadAttention(config)
        self.self_attention_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.cross_attention = MultiHeadAttention(config)
        self.cross_attention_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)

    def forward(
        self,
        hidden: Tensor,
        memory: Tensor,
        *,
        may_attend: Tensor | None = None,
        is_causal: bool = False,
        memory_may_attend: Tensor | None = None,
        scope: Scope | None = None,
    ) -> Tensor:
        """Map ``hidden`` [batch, target, d_model] to the same shape, using ``memory`` [batch, source, d_model]."""
        return self._sublayers(
            hidden,
            lambda x: self.self_attention(
                x, x, may_attend=may_attend, is_causal=is_causal, scope=below(scope, "self_attention")
            ),
            lambda x: self.cross_attention(
                x, memory, may_attend=memory_may_attend, scope=below(scope, "cross_attention")
            ),
            scope=scope,
        )

    def step(self, hidden: Tensor, attentions: StepAttentions, *, scope: Scope | None = None) -> Tensor:
        """Map one new position, [rows, 1, d_model], to the same shape; add its keys and values to the earlier ones.

        The scope is for attentions that visit their values too; those of a cache do not.
        """
        return self._sublayers(hidden, attentions.self_attention, attentions.cross_attention, scope=scope)

    def _sublayers(
        self,
        hidden: Tensor,
        self_attention: Callable[[Tensor], Tensor],
        cross_attention: Callable[[Tensor], Tensor],
        *,
        scope: Scope | None,
    ) -> Tensor:
        hidden = visit(scope, "input", hidden)
        hidden = self.around(hidden, self_attention, norm=self.self_attention_norm, sites=_SELF_ATTENTION, scope=scope)
        hidden = self.around(
            hidden, cross_attention, norm=self.cross_attention_norm, sites=_CROSS_ATTENTION, scope=scope
        )
        return self.feed_forward_sublayer(hidden, scope=scope)
