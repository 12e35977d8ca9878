"""The Transformer as the slots of a search use it: encoded sentences, and one step of every beam at once.

A slot is a sentence with its beam. Keys and values have fixed places, which are written in place:

    past     [layers, slots, 2, heads, target, beam, d_head]   of all earlier positions of every row
    cross    [slots, layers, 2, heads, source, d_head]         of the sentence, shared by its beam

A hypothesis that branches copies nothing. Its past lies in the places of its ancestors, so all rows of a slot attend to
the keys of the whole slot, as the queries of one product, and a mask leaves to each row those of its ancestors. The
table ``ancestry`` [slots, beam, target] holds, for each row and position, the row whose keys it continues. Read
``slots.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.model.layers import DecoderLayer
from pellucid.model.transformer import Transformer

__all__ = ["Network", "View"]

_COLUMNS = 32
"""The output table is padded to a multiple of this, the size of the groups of ``selection.py``."""


@dataclass(frozen=True)
class View:
    """What one step sees: the first positions of the slots' keys and values, and who may attend to which of them."""

    past: Tensor
    cross: Tensor
    slots: Tensor
    """[slots] int64: 0, 1, 2 ..."""
    step: Tensor
    """[slots] int64: the position that each slot writes now."""
    past_mask: Tensor
    """[slots, 1, beam, target * beam]: 0, or minus infinity where a row may not attend."""
    cross_mask: Tensor
    """[slots, 1, 1, source]: the same."""
    target: int
    source: int


class Network:
    """A Transformer in evaluation mode, in the number format and on the device in which it computes.

    Args:
        model: is used as it is; it may not be trained or moved afterwards.

    Raises:
        ValueError: the model is in training mode.
    """

    def __init__(self, model: Transformer) -> None:
        if model.training:
            raise ValueError("the model is in training mode, where dropout changes every step; call model.eval()")
        self.model = model
        self.config = model.config
        weight = model.projection.weight
        table = (model.decoder_embedding.weight if weight is None else weight).detach()
        self.device = table.device
        self.dtype = table.dtype
        self.vocab_size = model.config.target_vocab_size
        self._layers = [layer for layer in model.decoder.layers if isinstance(layer, DecoderLayer)]
        attentions = [layer.self_attention for layer in self._layers]
        maps = [(attention.queries, attention.keys, attention.values) for attention in attentions]
        self._past_maps = [(_joined(*(m.weight for m in three)), _joined(*(m.bias for m in three))) for three in maps]
        crosses = [layer.cross_attention for layer in self._layers]
        self._cross_weight = _joined(*(m.weight for cross in crosses for m in (cross.keys, cross.values)))
        self._cross_bias = _joined(*(m.bias for cross in crosses for m in (cross.keys, cross.values)))
        self.num_columns = -(-self.vocab_size // _COLUMNS) * _COLUMNS
        self._table = functional.pad(table, (0, 0, 0, self.num_columns - self.vocab_size))
        if self.device.type == "cpu" and self.dtype is torch.bfloat16:
            self._table = self._table.float()  # the product that returns float32 exists on GPUs only
        bias = model.projection.bias
        self._bias = None if bias is None else bias.detach().float()

    def encode(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """Return the cross-attention's keys and values of sentences [batch, source], [batch, layers, 2, heads, ...]."""
        memory = self.model.encode(ids, source_mask=mask)
        projected = functional.linear(memory, self._cross_weight, self._cross_bias)
        heads = (len(self._layers), 2, self.config.num_heads, self.config.d_head)
        return projected.view(*ids.shape, *heads).permute(0, 2, 3, 4, 1, 5)

    def logits(self, last_ids: Tensor, view: View) -> Tensor:
        """Write the next position of every row and return its logits, [rows, num_columns] in float32.

        Columns from ``vocab_size`` on hold minus infinity.

        Args:
            last_ids: [slots, beam] int64.
            view: of the slots.
        """
        slots, beam = last_ids.shape
        embedded = self.model.decoder_embedding(last_ids)
        inputs = self.model.decoder.input
        positions = inputs.positions.table.index_select(0, view.step + inputs.positions.offset)
        hidden = (embedded * inputs.scale + positions[:, None]).view(slots * beam, 1, -1)
        for number, layer in enumerate(self._layers):
            hidden = layer.step(hidden, _Attentions(layer, number, self._past_maps[number], view))
        if self.model.decoder.final_norm is not None:
            hidden = self.model.decoder.final_norm(hidden)
        logits = self._projected(hidden[:, 0])
        if self._bias is not None:
            logits[:, : self.vocab_size] += self._bias
        if self.num_columns > self.vocab_size:
            logits[:, self.vocab_size :].fill_(-torch.inf)
        return logits

    def _projected(self, hidden: Tensor) -> Tensor:
        """Multiply with the output table into float32: logits of bf16 would be equal for many pieces."""
        if hidden.dtype is torch.bfloat16 and self.device.type == "cuda" and torch.version.hip is None:
            return torch.mm(hidden, self._table.t(), out_dtype=torch.float32)
        return functional.linear(hidden.to(self._table.dtype), self._table).float()


def _joined(*tensors: Tensor) -> Tensor:
    return torch.cat([tensor.detach() for tensor in tensors])


class _Attentions:
    """The two attentions of one layer in one step; ``DecoderLayer.step`` does the rest."""

    def __init__(self, layer: DecoderLayer, number: int, past_map: tuple[Tensor, Tensor], view: View) -> None:
        self._layer = layer
        self._number = number
        self._weight, self._bias = past_map
        self._view = view

    def self_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to itself and to the ancestors' positions."""
        view, attention = self._view, self._layer.self_attention
        past = view.past[self._number]
        slots, _, heads, _, beam, d_head = past.shape
        projected = functional.linear(hidden, self._weight, self._bias)
        projected = projected.view(slots, beam, 3, heads, d_head).permute(0, 2, 3, 1, 4)
        past[view.slots, :, :, view.step] = projected[:, 1:]
        keys, values = past[:, :, :, : view.target].flatten(3, 4).unbind(1)
        context = functional.scaled_dot_product_attention(projected[:, 0], keys, values, attn_mask=view.past_mask)
        output: Tensor = attention.output(context.transpose(1, 2).reshape(hidden.shape))
        return output

    def cross_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to the sentence."""
        view, attention = self._view, self._layer.cross_attention
        keys, values = view.cross[:, self._number, :, :, : view.source].unbind(1)
        slots, heads, _, d_head = keys.shape
        queries = attention.queries(hidden).view(slots, -1, heads, d_head).transpose(1, 2)
        context = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=view.cross_mask)
        output: Tensor = attention.output(context.transpose(1, 2).reshape(hidden.shape))
        return output
