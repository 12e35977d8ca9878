"""Compute one decoder position after another with edits, and keep the earlier ones in a cache.

A decoder never looks at later positions, so an edit of a position needs its values alone, or with those of the earlier
positions where it takes their mean. The layers that are edited compute their attention step by step here and pass
every value to a watcher; the others take the usual way. ``search.py`` puts pieces on top; read that next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from pellucid.model.attention import MultiHeadAttention, explicit_attention
from pellucid.model.cache import DecoderCache
from pellucid.model.recorder import Scope, below, scope_of
from pellucid.model.transformer import Transformer
from pellucid.tracing.editing.recorder import Others
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.edits import AblationMode, OtherPositions, OtherSentence, SetAttention, ValueEdit, ZeroValue

__all__ = ["EditedDecoder"]


class EditedDecoder:
    """The decoder of one sentence with edits, a position at a time.

    Args:
        model: the Transformer.
        edits: edits of values; those of the encoder are in ``memory`` already.
        memory: the encoder's output, [1, source, d_model].
        others: what the edits take from other sentences.
        memories: the encoder's output for those sentences.
    """

    def __init__(
        self,
        model: Transformer,
        edits: Sequence[ValueEdit],
        memory: Tensor,
        *,
        others: Others,
        memories: Mapping[OtherSentence, Tensor],
    ) -> None:
        sites = {
            site for edit in edits for site in edit.sites(model.config) if not site.startswith(("encoder", "source"))
        }
        self._donors = {mode: _Tape() for mode in memories}
        self._given = [_Steps(model, memories[mode], tape, sites) for mode, tape in self._donors.items()]
        self._watcher = _StepEditor(model, edits, others, self._donors)
        self._own = _Steps(model, memory, self._watcher, sites)
        for edit in edits:
            if isinstance(edit, ZeroValue):
                self._own.cache.cross.keys_values[:, :, 1, :, edit.position] = 0

    @torch.no_grad()
    def step(self, last_ids: Tensor) -> Tensor:
        """Append one id to each row, [rows], and return the next logits, [rows, target_vocab_size]."""
        for one in self._given:
            one.step(last_ids, is_whole=False)
        return self._own.model.project(self._own.step(last_ids))

    def select(self, rows: Tensor) -> None:
        """Move row ``rows[i]`` to row i of the new order."""
        self._watcher.select(rows)
        for one in (self._own, *self._given):
            one.cache.select(rows)


class _Watcher(Protocol):
    def visit(self, site: str, value: Tensor) -> Tensor: ...


class _Tape:
    """Keeps the values of the newest position."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def visit(self, site: str, value: Tensor) -> Tensor:
        self.values[site] = value
        return value


class _StepEditor:
    """Applies edits to the values of one position."""

    def __init__(
        self, model: Transformer, edits: Sequence[ValueEdit], others: Others, donors: Mapping[OtherSentence, _Tape]
    ) -> None:
        self._config, self._others, self._donors = model.config, others, donors
        self._by_site: dict[str, list[ValueEdit]] = {}
        for edit in edits:
            if not isinstance(edit, ZeroValue):  # its values are in the cache
                for site in edit.sites(model.config):
                    self._by_site.setdefault(site, []).append(edit)
        self._earlier: dict[tuple[str, int], Tensor] = {}
        self.position = 0

    def visit(self, site: str, value: Tensor) -> Tensor:
        for place, edit in enumerate(self._by_site.get(site, ())):
            value = self._edited(edit, (site, place), value)
        return value

    def select(self, rows: Tensor) -> None:
        self._earlier = {key: value[rows] for key, value in self._earlier.items()}

    def _edited(self, edit: ValueEdit, key: tuple[str, int], value: Tensor) -> Tensor:
        if getattr(edit, "mode", None) is AblationMode.MEAN:
            known = self._earlier.get(key)
            self._earlier[key] = whole = value if known is None else torch.cat([known, value], dim=-2)
            return edit.apply(whole)[..., -1:, :]
        row = getattr(edit, "row", None)
        if row not in (None, self.position):
            return value
        if isinstance(edit, SetAttention):
            edit = replace(edit, row=0)
        elif row is not None:
            edit = replace(edit, row=None)  # type: ignore[arg-type]
        return edit.apply(value, replacement=self._replacement(edit, key[0]))

    def _replacement(self, edit: ValueEdit, site: str) -> Tensor | None:
        if isinstance(edit, OtherPositions):
            return edit.table(self._config, count=self.position + 1)[-1:]
        mode = getattr(edit, "mode", None)
        if isinstance(mode, Sample):
            return self._others.means[mode][site]
        return self._donors[mode].values[site] if isinstance(mode, OtherSentence) else None


class _Steps:
    """A decoder with its cache, whose watcher sees the values of some layers."""

    def __init__(self, model: Transformer, memory: Tensor, watcher: _Watcher, sites: set[str]) -> None:
        self.model, self.cache, self._watcher = model, model.start_cache(memory), watcher
        self._watched = {int(site.split(".")[1]) for site in sites if site.startswith("decoder")}

    def step(self, last_ids: Tensor, *, is_whole: bool = True) -> Tensor:
        """Append one id to each row, and return the states of the new position, [rows, d_model].

        Where the watcher alone is of interest, what comes after the last watched layer is left out.
        """
        model, cache = self.model, self.cache
        if isinstance(self._watcher, _StepEditor):
            self._watcher.position = cache.length
        embedded = model.decoder_embedding(last_ids[:, None])
        hidden = model.decoder.input(embedded, start=cache.length, scope=scope_of(self._watcher, "target"))
        cache.past.make_room()
        layers = model.decoder.decoder_layers()
        for index, layer in enumerate(layers if is_whole else layers[: max(self._watched, default=-1) + 1]):
            if index in self._watched:
                scope = Scope(self._watcher, f"decoder.{index}")
                pair = (layer.self_attention, layer.cross_attention)
                hidden = layer.step(hidden, _Attentions(cache, index, pair, scope), scope=scope)
            else:
                hidden = layer.step(hidden, cache.layers[index])
        cache.past.length += 1
        norm = model.decoder.final_norm
        states: Tensor = hidden if norm is None else norm(hidden)
        return states[:, 0]


class _Attentions:
    """The attentions of a layer in one step, computed as the explicit pass does; see ``StepAttentions``."""

    def __init__(
        self, cache: DecoderCache, layer: int, attentions: tuple[MultiHeadAttention, MultiHeadAttention], scope: Scope
    ) -> None:
        self._cache, self._layer, self._scope = cache, layer, scope
        self._self, self._cross = attentions

    def self_attention(self, hidden: Tensor) -> Tensor:
        own = self._self
        new = torch.stack([own.split_heads(linear(hidden))[:, :, 0] for linear in (own.keys, own.values)], dim=1)
        keys, values = self._cache.past.write(self._layer, new)
        return self._attended(own, hidden, keys, values, "self_attention")

    def cross_attention(self, hidden: Tensor) -> Tensor:
        cross = self._cache.cross
        keys, values = cross.keys_values[:, self._layer].repeat_interleave(cross.group_size, dim=0).unbind(1)
        return self._attended(self._cross, hidden, keys, values, "cross_attention")

    def _attended(self, own: MultiHeadAttention, hidden: Tensor, keys: Tensor, values: Tensor, name: str) -> Tensor:
        scope = below(self._scope, name)
        queries = own.split_heads(own.queries(hidden))
        context = explicit_attention(queries, keys, values, may_attend=None, scope=scope)
        return own.combine_heads(context, scope=scope)
