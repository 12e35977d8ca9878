"""The weights of a model in the order of packed steps, and gradients in the same order.

Matrices that multiply the same states lie side by side, so that one product computes queries, keys and values, and one
the keys and values of all decoder layers. Sums over tokens of one kind lie side by side too. Each parameter of the
model is a part of one of these tensors, so weights come and gradients go without a change of order. Read
``network.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from pellucid.model.attention import MultiHeadAttention
from pellucid.model.layers import DecoderLayer, EncoderLayer

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["PackedTensors", "Sites", "parts_of"]

_ALIGNMENT = 64
"""Values between the beginnings of tensors: products are fastest at addresses that are multiples of 16 bytes."""


@dataclass(frozen=True)
class Sites:
    """Where the layers of a model are in the tensors: encoder layers come first, then decoder layers."""

    encoder: int
    decoder: int
    """Layers."""

    def cross(self, layer: int) -> int:
        """Return the output map of the cross-attention of a decoder layer among all attentions."""
        return self.encoder + self.decoder + layer

    def norm(self, layer: int, index: int) -> int:
        """Return a norm of a layer, which has two in the encoder and three in the decoder."""
        over = layer - self.encoder
        return 2 * layer + index if over < 0 else 2 * self.encoder + 3 * over + index

    @property
    def layers(self) -> int:
        """Layers of both stacks."""
        return self.encoder + self.decoder

    @property
    def dropouts(self) -> int:
        """Dropouts of a step: before the norms, of both input sums, and of all attentions."""
        return self.norms + 2 + self.layers + self.decoder

    @property
    def norms(self) -> int:
        """Norms of both stacks."""
        return 2 * self.encoder + 3 * self.decoder


@dataclass(frozen=True)
class PackedTensors:
    """Views of one buffer. The first index of most is a layer; ``kv`` has the decoder layers one after the other."""

    norms: Tensor
    """Gamma, beta and the bias of the map before the norm, ``[norms, 3, d_model]``."""
    qkv_bias: Tensor
    """``[layers, 3 d_model]``, of self-attention."""
    query_bias: Tensor
    """``[decoder layers, d_model]``, of cross-attention."""
    kv_bias: Tensor
    """``[1, decoder layers * 2 d_model]``."""
    inner_bias: Tensor
    """``[layers, d_feedforward]``."""
    qkv: Tensor
    """``[layers, 3 d_model, d_model]``."""
    query: Tensor
    """``[decoder layers, d_model, d_model]``."""
    kv: Tensor
    """``[decoder layers * 2 d_model, d_model]``."""
    out: Tensor
    """``[layers + decoder layers, d_model, d_model]``: self-attentions, then cross-attentions."""
    inner: Tensor
    """``[layers, d_feedforward, d_model]``."""
    outer: Tensor
    """``[layers, d_model, d_feedforward]``."""
    source_table: Tensor
    """``[source vocabulary, d_model]``."""
    target_table: Tensor
    """``[target vocabulary, d_model]``; without rows if it is the source table."""
    output: Tensor
    """``[target vocabulary, d_model]``; without rows if it is the target table."""
    output_bias: Tensor
    """``[target vocabulary]``, or empty."""

    @staticmethod
    def like(model: Transformer, *, dtype: torch.dtype) -> PackedTensors:
        """Return zeros for the weights of a model, on its device."""
        config = model.config
        d, inner, decoder = config.d_model, config.d_feedforward, config.num_decoder_layers
        layers = config.num_encoder_layers + decoder
        tables: dict[str, Tensor | None] = {
            "source_table": model.source_embedding.weight,
            "target_table": None if model.target_embedding is None else model.target_embedding.weight,
            "output": model.projection.weight,
            "output_bias": model.projection.bias,
        }
        shapes = {
            "norms": (layers * 2 + decoder, 3, d),
            "qkv_bias": (layers, 3 * d),
            "query_bias": (decoder, d),
            "kv_bias": (1, decoder * 2 * d),
            "inner_bias": (layers, inner),
            "qkv": (layers, 3 * d, d),
            "query": (decoder, d, d),
            "kv": (decoder * 2 * d, d),
            "out": (layers + decoder, d, d),
            "inner": (layers, inner, d),
            "outer": (layers, d, inner),
            **{name: (0, d) if table is None else tuple(table.shape) for name, table in tables.items()},
        }
        starts: dict[str, int] = {}
        end = 0
        for name, shape in shapes.items():
            starts[name] = end
            end += -(-math.prod(shape) // _ALIGNMENT) * _ALIGNMENT
        buffer = torch.zeros(end, dtype=dtype, device=model.source_embedding.weight.device)
        views = {
            name: buffer[starts[name] : starts[name] + math.prod(shape)].view(shape) for name, shape in shapes.items()
        }
        return PackedTensors(**{field.name: views[field.name] for field in fields(PackedTensors)})


def parts_of(model: Transformer, tensors: PackedTensors) -> dict[Tensor, Tensor]:
    """Return the part of the tensors that belongs to each parameter of a model."""
    found: dict[Tensor, Tensor] = {}
    sites = Sites(model.config.num_encoder_layers, model.config.num_decoder_layers)
    d = model.config.d_model
    for layer, module in enumerate((*model.encoder.layers, *model.decoder.layers)):
        block = cast("EncoderLayer | DecoderLayer", module)
        norms = [block.self_attention_norm, block.feed_forward_norm]
        befores = [block.self_attention.output, block.feed_forward.outer]
        found |= _attention_maps(block.self_attention, tensors.qkv[layer], tensors.qkv_bias[layer], "qkv")
        found[block.self_attention.output.weight] = tensors.out[layer]
        if isinstance(block, DecoderLayer):
            number = layer - sites.encoder
            norms.insert(1, block.cross_attention_norm)
            befores.insert(1, block.cross_attention.output)
            found[block.cross_attention.output.weight] = tensors.out[sites.cross(number)]
            span = slice(2 * d * number, 2 * d * (number + 1))
            found |= _attention_maps(block.cross_attention, tensors.query[number], tensors.query_bias[number], "q")
            found |= _attention_maps(block.cross_attention, tensors.kv[span], tensors.kv_bias[0, span], "kv")
        found[block.feed_forward.inner.weight] = tensors.inner[layer]
        found[block.feed_forward.inner.bias] = tensors.inner_bias[layer]
        found[block.feed_forward.outer.weight] = tensors.outer[layer]
        for index, (norm, before) in enumerate(zip(norms, befores, strict=True)):
            gamma, beta, bias = tensors.norms[sites.norm(layer, index)]
            found |= {norm.weight: gamma, norm.bias: beta, before.bias: bias}
    return found | dict(_tables(model, tensors))


def _attention_maps(attention: MultiHeadAttention, weight: Tensor, bias: Tensor, kinds: str) -> dict[Tensor, Tensor]:
    """Return the parts of a product that computes queries, keys and values, or some of them."""
    maps = {"q": attention.queries, "k": attention.keys, "v": attention.values}
    width = attention.queries.out_features
    found: dict[Tensor, Tensor] = {}
    for index, kind in enumerate(kinds):
        span = slice(index * width, (index + 1) * width)
        found |= {maps[kind].weight: weight[span], maps[kind].bias: bias[span]}
    return found


def _tables(model: Transformer, tensors: PackedTensors) -> Iterator[tuple[Tensor, Tensor]]:
    yield model.source_embedding.weight, tensors.source_table
    if model.target_embedding is not None:
        yield model.target_embedding.weight, tensors.target_table
    if model.projection.weight is not None:
        yield model.projection.weight, tensors.output
    if model.projection.bias is not None:
        yield model.projection.bias, tensors.output_bias
