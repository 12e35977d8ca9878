"""Encoder and decoder layers agree with torch.nn's in both norm orders, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pellucid.config import ModelConfig
from pellucid.model.attention import MultiHeadAttention, causal_may_attend
from pellucid.model.layers import DecoderLayer, EncoderLayer

BATCH, SOURCE, TARGET, D_MODEL, HEADS, D_FEEDFORWARD, EPSILON = 3, 7, 5, 26, 2, 31, 1e-3


def config(order: str, activation: str) -> ModelConfig:
    return ModelConfig.model_validate(
        {
            "d_model": D_MODEL,
            "num_heads": HEADS,
            "d_feedforward": D_FEEDFORWARD,
            "norm_order": order,
            "activation": activation,
            "layer_norm_epsilon": EPSILON,
        }
    )


def theirs_settings(order: str, activation: str) -> dict[str, object]:
    return {
        "d_model": D_MODEL,
        "nhead": HEADS,
        "dim_feedforward": D_FEEDFORWARD,
        "norm_first": order == "pre",
        "activation": activation,
        "layer_norm_eps": EPSILON,
        "batch_first": True,
        "dtype": torch.float64,
    }


@torch.no_grad()
def copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    for role, weight, bias in zip(
        (ours.queries, ours.keys, ours.values),
        theirs.in_proj_weight.chunk(3),
        theirs.in_proj_bias.chunk(3),
        strict=True,
    ):
        role.weight.copy_(weight)
        role.bias.copy_(bias)
    ours.output.load_state_dict(theirs.out_proj.state_dict())


@torch.no_grad()
def perturbed(layer: nn.Module) -> nn.Module:
    """Move biases and norms away from 0 and 1, where mistakes hide."""
    for parameter in layer.parameters():
        if parameter.dim() == 1:
            parameter += 0.2 * torch.randn_like(parameter)
    return layer.eval()


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("order", ["post", "pre"])
def test_encoder_layer_agrees_with_torch(order: str, activation: str) -> None:
    torch.manual_seed(1)
    theirs = perturbed(nn.TransformerEncoderLayer(**theirs_settings(order, activation)))
    ours = EncoderLayer(config(order, activation)).double().eval()
    copy_attention(ours.self_attention, theirs.self_attn)
    ours.self_attention_norm.load_state_dict(theirs.norm1.state_dict())
    ours.feed_forward.inner.load_state_dict(theirs.linear1.state_dict())
    ours.feed_forward.outer.load_state_dict(theirs.linear2.state_dict())
    ours.feed_forward_norm.load_state_dict(theirs.norm2.state_dict())
    hidden = torch.randn(BATCH, SOURCE, D_MODEL, dtype=torch.float64)
    mask = torch.arange(SOURCE) < torch.tensor([7, 5, 2])[:, None]
    expected = theirs(hidden, src_key_padding_mask=~mask)
    result = ours(hidden, may_attend=mask[:, None, None, :])
    # Padded positions are nobody's business: torch's fast path leaves zeros there.
    torch.testing.assert_close(result[mask], expected[mask], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("order", ["post", "pre"])
def test_decoder_layer_agrees_with_torch(order: str, activation: str) -> None:
    torch.manual_seed(2)
    theirs = perturbed(nn.TransformerDecoderLayer(**theirs_settings(order, activation)))
    ours = DecoderLayer(config(order, activation)).double().eval()
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    ours.self_attention_norm.load_state_dict(theirs.norm1.state_dict())
    ours.cross_attention_norm.load_state_dict(theirs.norm2.state_dict())
    ours.feed_forward.inner.load_state_dict(theirs.linear1.state_dict())
    ours.feed_forward.outer.load_state_dict(theirs.linear2.state_dict())
    ours.feed_forward_norm.load_state_dict(theirs.norm3.state_dict())
    hidden = torch.randn(BATCH, TARGET, D_MODEL, dtype=torch.float64)
    memory = torch.randn(BATCH, SOURCE, D_MODEL, dtype=torch.float64)
    mask = torch.arange(SOURCE) < torch.tensor([7, 5, 2])[:, None]
    causal = causal_may_attend(TARGET, device=hidden.device)
    expected = theirs(hidden, memory, tgt_mask=~causal[0, 0], memory_key_padding_mask=~mask)
    result = ours(hidden, memory, may_attend=causal, memory_may_attend=mask[:, None, None, :])
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
