"""Layers of ``torch.nn`` with the weights of ours, in float64."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from pellucid.config import Activation, ModelConfig, NormOrder
from pellucid.model.attention import MultiHeadAttention
from pellucid.model.layers import DecoderLayer, EncoderLayer

ACTIVATIONS = {Activation.RELU: "relu", Activation.GELU: "gelu", Activation.SWISH: functional.silu}


def torch_attention(ours: MultiHeadAttention) -> nn.MultiheadAttention:
    """Pack our three projections into their one."""
    theirs = nn.MultiheadAttention(ours.output.in_features, ours.num_heads, batch_first=True, dtype=torch.float64)
    return load_attention(theirs, ours).eval()


@torch.no_grad()
def load_attention(theirs: nn.MultiheadAttention, ours: MultiHeadAttention) -> nn.MultiheadAttention:
    maps = (ours.queries, ours.keys, ours.values)
    theirs.in_proj_weight.copy_(torch.cat([linear.weight for linear in maps]))
    theirs.in_proj_bias.copy_(torch.cat([linear.bias for linear in maps]))
    theirs.out_proj.load_state_dict(ours.output.state_dict())
    return theirs


def torch_layer(ours: EncoderLayer | DecoderLayer, config: ModelConfig) -> nn.Module:
    """Make a whole layer, of the encoder or of the decoder."""
    is_decoder = isinstance(ours, DecoderLayer)
    theirs = (nn.TransformerDecoderLayer if is_decoder else nn.TransformerEncoderLayer)(
        config.d_model,
        config.num_heads,
        config.d_feedforward,
        activation=ACTIVATIONS[config.activation],
        layer_norm_eps=config.layer_norm_epsilon,
        norm_first=config.norm_order is NormOrder.PRE,
        batch_first=True,
        dtype=torch.float64,
    )
    load_attention(theirs.self_attn, ours.self_attention)
    norms = [ours.self_attention_norm, ours.feed_forward_norm]
    if isinstance(ours, DecoderLayer):
        load_attention(theirs.multihead_attn, ours.cross_attention)
        norms.insert(1, ours.cross_attention_norm)
    for number, norm in enumerate(norms, start=1):
        getattr(theirs, f"norm{number}").load_state_dict(norm.state_dict())
    theirs.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
    theirs.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
    return theirs.eval()
