"""Cache the keys and values of a decoder between steps, so that each step computes only one position.

    self-attention    keys and values of all positions so far, written in place into a buffer
    cross-attention   keys and values of the encoder's output, computed once per sentence

A row is one hypothesis. The search keeps, reorders, duplicates and drops rows with ``select``. Adjacent
rows of the same sentence (a beam) share the cross-attention keys and values of that sentence,
and attend to them in one product. Read ``transformer.py`` next.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.model.attention import MultiHeadAttention, attention_weights, fused_attention

__all__ = ["CrossMemory", "DecoderCache", "LayerCache", "PastMemory"]

_FIRST_CAPACITY = 16  # positions; doubled when the buffer is full


class CrossMemory:
    """Keys and values of the encoder's output for all layers, stored once per sentence and shared by rows.

    ``keys_values`` is [groups, layers, 2, heads, source, d_head]; row r attends to group
    r // ``group_size``. Groups are as large as the order of the rows allows: a whole beam in a beam
    search, one row after single hypotheses are dropped.
    """

    def __init__(self, keys_values: Tensor, may_attend: Tensor | None) -> None:
        self._sentences = keys_values
        self._sentences_may_attend = may_attend
        self._sentence_of_row = torch.arange(keys_values.shape[0], device=keys_values.device)
        self.group_size = 1
        self.keys_values = keys_values
        self.may_attend = may_attend
        self.weights: list[Tensor] | None = None
        """Where a caller puts a list here, each layer adds its weights of the new position, [rows, heads, source]."""

    def select(self, rows: Tensor) -> None:
        """Let row i of the new order attend to the sentence of row ``rows[i]``."""
        chosen = self._sentence_of_row[rows]
        if torch.equal(chosen, self._sentence_of_row):
            return
        alive, self._sentence_of_row = torch.unique(chosen, return_inverse=True)
        if len(alive) < len(self._sentences):
            self._sentences = self._sentences.index_select(0, alive)
            if self._sentences_may_attend is not None:
                self._sentences_may_attend = self._sentences_may_attend.index_select(0, alive)
        runs = torch.unique_consecutive(self._sentence_of_row, return_counts=True)[1]
        self.group_size = math.gcd(*runs.tolist()) or 1
        self._regroup(self._sentence_of_row[:: self.group_size])

    def _regroup(self, sentence_of_group: Tensor) -> None:
        every = torch.arange(len(self._sentences), device=sentence_of_group.device)
        if torch.equal(sentence_of_group, every):
            self.keys_values, self.may_attend = self._sentences, self._sentences_may_attend
            return
        self.keys_values = self._sentences.index_select(0, sentence_of_group)
        if self._sentences_may_attend is not None:
            self.may_attend = self._sentences_may_attend.index_select(0, sentence_of_group)


class PastMemory:
    """Keys and values of all positions so far, for all layers, separate for each row.

    The buffer is [capacity, rows, layers, 2, heads, d_head]. Time comes first, so that the used part is one
    block for any capacity, and reordering rows copies long runs of it. The copy goes into a second buffer,
    and the two are swapped: allocating new memory in each step took three times as long as the copy.
    """

    def __init__(self, like: Tensor) -> None:
        self.num_rows, *middle, _, d_head = like.shape
        self._entry = (*middle, d_head)
        self.length = 0
        self._capacity = _FIRST_CAPACITY
        self._current = like.new_empty(self._size(self.num_rows))
        self._spare = like.new_empty(0)

    def select(self, rows: Tensor) -> None:
        """Move row ``rows[i]`` to row i of the new order."""
        if self._spare.numel() < self._size(len(rows)):
            self._spare = self._spare.new_empty(self._size(len(rows)))
        new = self._view(self._spare, len(rows))[: self.length]
        torch.index_select(self._view(self._current, self.num_rows)[: self.length], 1, rows, out=new)
        self._current, self._spare = self._spare, self._current
        self.num_rows = len(rows)

    def write(self, layer: int, keys_values: Tensor) -> tuple[Tensor, Tensor]:
        """Write the keys and values of the new position, [rows, 2, heads, d_head], for one layer.

        Returns the keys and the values of that layer for all positions so far, each
        [rows, heads, length + 1, d_head].
        """
        buffer = self._view(self._current, self.num_rows)
        buffer[self.length, :, layer] = keys_values
        keys, values = buffer[: self.length + 1, :, layer].permute(2, 1, 3, 0, 4)
        return keys, values

    def make_room(self) -> None:
        """Double the buffer if the next position does not fit. It is called once per step, before all layers."""
        if self.length < self._capacity:
            return
        self._capacity *= 2
        grown = self._current.new_empty(self._size(self.num_rows))
        used = self._size(self.num_rows) // 2
        grown[:used] = self._current[:used]
        self._current = grown

    def _size(self, rows: int) -> int:
        return self._capacity * rows * math.prod(self._entry)

    def _view(self, buffer: Tensor, rows: int) -> Tensor:
        return buffer[: self._size(rows)].view(self._capacity, rows, *self._entry)


class LayerCache:
    """The attentions of one decoder layer for one new position.

    It refers to the two memories, but not to the ``DecoderCache`` that contains it. A reference cycle would keep the
    buffers of finished searches in memory until Python's garbage collector runs.
    """

    def __init__(
        self,
        past: PastMemory,
        cross: CrossMemory,
        layer: int,
        attentions: tuple[MultiHeadAttention, MultiHeadAttention],
    ) -> None:
        self._past = past
        self._cross_memory = cross
        self._layer = layer
        self._self, self._cross = attentions
        # One product for all three: with few rows, the time of a step depends on the number of kernels.
        maps = (self._self.queries, self._self.keys, self._self.values)
        self._weight = torch.cat([linear.weight for linear in maps])
        self._bias = torch.cat([linear.bias for linear in maps])

    def self_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to itself and all earlier positions."""
        rows, _, d_model = hidden.shape
        heads = self._self.num_heads
        projected = functional.linear(hidden, self._weight, self._bias).view(rows, 3, heads, d_model // heads)
        keys, values = self._past.write(self._layer, projected[:, 1:])
        context = fused_attention(projected[:, 0, :, None], keys, values, may_attend=None)
        return self._self.combine_heads(context)

    def cross_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to the encoder's output."""
        cross = self._cross_memory
        groups = hidden.shape[0] // cross.group_size
        queries = self._cross.queries(hidden).view(groups, cross.group_size, hidden.shape[-1])
        keys_values = cross.keys_values[:, self._layer]
        split = self._cross.split_heads(queries)
        context = fused_attention(split, keys_values[:, 0], keys_values[:, 1], may_attend=cross.may_attend)
        if cross.weights is not None:
            weights = attention_weights(split, keys_values[:, 0], may_attend=cross.may_attend)
            cross.weights.append(weights.transpose(1, 2).flatten(0, 1))
        return self._cross.combine_heads(context).view_as(hidden)


class DecoderCache:
    """The state of a decoder between two steps, for all layers; ``Transformer.start_cache`` creates it."""

    def __init__(
        self,
        memory: Tensor,
        attentions: list[tuple[MultiHeadAttention, MultiHeadAttention]],
        *,
        may_attend: Tensor | None,
    ) -> None:
        keys_values = [
            torch.stack([cross.split_heads(cross.keys(memory)), cross.split_heads(cross.values(memory))], dim=1)
            for _, cross in attentions
        ]
        self.cross = CrossMemory(torch.stack(keys_values, dim=1), may_attend)
        self.past = PastMemory(self.cross.keys_values)
        self.layers = [LayerCache(self.past, self.cross, layer, pair) for layer, pair in enumerate(attentions)]

    @property
    def length(self) -> int:
        """Number of positions decoded so far."""
        return self.past.length

    @property
    def num_rows(self) -> int:
        """Number of hypotheses, over all sentences."""
        return self.past.num_rows

    def select(self, rows: Tensor) -> None:
        """Move row ``rows[i]`` to row i of the new order; rows can be repeated or dropped.

        ``rows`` is a tensor of integers [new_rows] on the device of the model.
        """
        if len(rows) == self.num_rows and torch.equal(rows, torch.arange(self.num_rows, device=rows.device)):
            return
        self.past.select(rows)
        self.cross.select(rows)
