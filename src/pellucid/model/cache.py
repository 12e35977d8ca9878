"""What a decoder remembers between steps, so that each step computes one position only.

    self-attention    keys and values of all positions so far, written in place into a buffer
    cross-attention   keys and values of the encoder's output, computed once a sentence

A row is one hypothesis. Search keeps, reorders, duplicates and drops rows with ``select``. Rows of
one sentence that stand together (a beam) share that sentence's cross-attention keys and values,
and look at them in one product. Read ``transformer.py`` next.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from pellucid.model.attention import MultiHeadAttention, fused_attention

__all__ = ["CrossMemory", "DecoderCache", "LayerCache"]

_FIRST_CAPACITY = 16  # positions; doubled whenever it is full


class CrossMemory:
    """Keys and values of the encoder's output for all layers, stored once a sentence, seen by rows.

    ``keys_values`` is [groups, layers, 2, heads, source, d_head]; row r looks at group
    r // ``group_size``. Groups are as large as the order of rows allows: a whole beam in a beam
    search, one row when hypotheses are dropped one by one.
    """

    def __init__(self, keys_values: Tensor, may_attend: Tensor | None) -> None:
        self._sentences = keys_values
        self._sentences_may_attend = may_attend
        self._sentence_of_row = torch.arange(keys_values.shape[0], device=keys_values.device)
        self.group_size = 1
        self.keys_values = keys_values
        self.may_attend = may_attend

    def select(self, rows: Tensor) -> None:
        """Let row i of the new order look at what row ``rows[i]`` looked at."""
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


class LayerCache:
    """One decoder layer's attention for one new position, with the past of that layer."""

    def __init__(
        self, cache: DecoderCache, layer: int, attentions: tuple[MultiHeadAttention, MultiHeadAttention]
    ) -> None:
        self._cache = cache
        self._layer = layer
        self._self, self._cross = attentions
        # One product for all three: with few rows a step costs as much as it has kernels.
        maps = (self._self.queries, self._self.keys, self._self.values)
        self._weight = torch.cat([linear.weight for linear in maps])
        self._bias = torch.cat([linear.bias for linear in maps])

    def self_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to itself and all before it."""
        rows, heads = hidden.shape[0], self._self.num_heads
        projected = functional.linear(hidden, self._weight, self._bias).view(rows, 3, heads, -1)
        past = self._cache.write(self._layer, projected[:, 1:])
        context = fused_attention(projected[:, 0, :, None], past[:, 0], past[:, 1], may_attend=None)
        return self._self.combine_heads(context)

    def cross_attention(self, hidden: Tensor) -> Tensor:
        """Attend from the new position, [rows, 1, d_model], to the encoder's output."""
        cross = self._cache.cross
        groups = hidden.shape[0] // cross.group_size
        queries = self._cross.queries(hidden).view(groups, cross.group_size, hidden.shape[-1])
        keys_values = cross.keys_values[:, self._layer]
        context = fused_attention(
            self._cross.split_heads(queries), keys_values[:, 0], keys_values[:, 1], may_attend=cross.may_attend
        )
        return self._cross.combine_heads(context).view_as(hidden)


class DecoderCache:
    """The state of a decoder between two steps, for all layers; made by ``Transformer.start_cache``."""

    def __init__(
        self,
        memory: Tensor,
        attentions: list[tuple[MultiHeadAttention, MultiHeadAttention]],
        *,
        may_attend: Tensor | None,
    ) -> None:
        self.length = 0
        keys_values = [
            torch.stack([cross.split_heads(cross.keys(memory)), cross.split_heads(cross.values(memory))], dim=1)
            for _, cross in attentions
        ]
        self.cross = CrossMemory(torch.stack(keys_values, dim=1), may_attend)
        rows, layers, two, heads, _, d_head = self.cross.keys_values.shape
        self._past = self.cross.keys_values.new_empty(rows, layers, two, heads, _FIRST_CAPACITY, d_head)
        self.layers = [LayerCache(self, layer, pair) for layer, pair in enumerate(attentions)]

    @property
    def num_rows(self) -> int:
        """Number of hypotheses, over all sentences."""
        return self._past.shape[0]

    def select(self, rows: Tensor) -> None:
        """Make row i of the new order what row ``rows[i]`` was; ``rows`` may repeat and leave out.

        ``rows`` is a tensor of integers [new_rows] on the device of the model.
        """
        if len(rows) == self.num_rows and torch.equal(rows, torch.arange(self.num_rows, device=rows.device)):
            return
        self._past = self._past.index_select(0, rows)
        self.cross.select(rows)

    def write(self, layer: int, keys_values: Tensor) -> Tensor:
        """Add the new position's keys and values, [rows, 2, heads, d_head], to a layer.

        Returns those of all positions up to it, [rows, 2, heads, length + 1, d_head].
        """
        past = self._past[:, layer]
        past[:, :, :, self.length] = keys_values
        return past[:, :, :, : self.length + 1]

    def make_room(self) -> None:
        """Double the buffers if the next position does not fit. Called once a step, before all layers."""
        if self.length == self._past.shape[-2]:
            self._past = torch.cat([self._past, torch.empty_like(self._past)], dim=-2)
