"""Compute one decoder position after another with edits, and keep the earlier ones in a cache.

A decoder never looks at later positions, so an edit of a position needs its values alone, or with those of the earlier
positions where it takes their mean. The layers that are edited compute their attention step by step here and pass
every value to a watcher; the others take the usual way. ``search.py`` puts pieces on top; read that next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

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

    Where edits take values from other sentences, those are further sentences of the same batch, fed the same pieces
    and not edited, since a step with more rows takes hardly longer.

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
        self._model, self._others = model, tuple(mode for mode in memories if _gives_to_decoder(mode, edits, model))
        together, mask = _together([memory, *(memories[mode] for mode in self._others)])
        self._cache = model.start_cache(together, source_mask=mask)
        for edit in edits:
            if isinstance(edit, ZeroValue):
                self._cache.cross.keys_values[:1, :, 1, :, edit.position] = 0
        self._positions = _StepEditor(model, [edit for edit in edits if isinstance(edit, OtherPositions)], others)
        rest = [edit for edit in edits if not isinstance(edit, OtherPositions | ZeroValue)]
        self._values = _StepEditor(model, rest, others, donors=self._others)
        self._watched = {int(site.split(".")[1]) for site in self._values.sites if site.startswith("decoder")}

    @torch.no_grad()
    def step(self, last_ids: Tensor) -> Tensor:
        """Append one id to each row, [rows], and return the next logits, [rows, target_vocab_size]."""
        return self._model.project(self._states(last_ids)[: len(last_ids)])

    def select(self, rows: Tensor) -> None:
        """Move row ``rows[i]`` to row i of the new order."""
        self._values.select(rows)
        sentences = 1 + len(self._others)
        count = self._cache.num_rows // sentences
        self._cache.select(torch.cat([rows + sentence * count for sentence in range(sentences)]))

    def _states(self, last_ids: Tensor) -> Tensor:
        """Return the states of the new position, [sentences * rows, d_model]: this sentence, then the others."""
        decoder, cache = self._model.decoder, self._cache
        self._positions.position = self._values.position = cache.length
        embedded = self._model.decoder_embedding(last_ids[:, None])
        hidden = decoder.input(embedded, start=cache.length, scope=scope_of(self._positions, "target"))
        if self._others:
            alike = decoder.input(embedded, start=cache.length)
            hidden = torch.cat([hidden, *[alike] * len(self._others)])
        cache.past.make_room()
        for index, layer in enumerate(decoder.decoder_layers()):
            if index in self._watched:
                scope = Scope(self._values, f"decoder.{index}")
                pair = (layer.self_attention, layer.cross_attention)
                hidden = layer.step(hidden, _Attentions(cache, index, pair, scope), scope=scope)
            else:
                hidden = layer.step(hidden, cache.layers[index])
        cache.past.length += 1
        states: Tensor = hidden if decoder.final_norm is None else decoder.final_norm(hidden)
        return states[:, 0]


def _gives_to_decoder(mode: OtherSentence, edits: Sequence[ValueEdit], model: Transformer) -> bool:
    sites = (site for edit in edits if getattr(edit, "mode", None) == mode for site in edit.sites(model.config))
    return any(site.startswith("decoder") for site in sites)


def _together(memories: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return memories [1, source, d_model] as one, [sentences, longest, d_model], and which positions exist."""
    if len(memories) == 1:
        return memories[0], None
    lengths = torch.tensor([memory.shape[1] for memory in memories], device=memories[0].device)
    together = torch.nn.utils.rnn.pad_sequence([memory[0] for memory in memories], batch_first=True)
    return together, torch.arange(together.shape[1], device=lengths.device) < lengths[:, None]


class _StepEditor:
    """Applies edits to the values of one position; the rows of ``donors`` come after those of the edited sentence."""

    def __init__(
        self, model: Transformer, edits: Sequence[ValueEdit], others: Others, *, donors: Sequence[OtherSentence] = ()
    ) -> None:
        self._config, self._others, self._donors = model.config, others, donors
        self._by_site: dict[str, list[ValueEdit]] = {}
        for edit in edits:
            for site in edit.sites(model.config):
                self._by_site.setdefault(site, []).append(edit)
        self._earlier: dict[tuple[str, int], Tensor] = {}
        self.position = 0

    @property
    def sites(self) -> Iterable[str]:
        """The sites that are edited."""
        return self._by_site.keys()

    def visit(self, site: str, value: Tensor) -> Tensor:
        edits = self._by_site.get(site)
        if not edits:
            return value
        own, *given = value.chunk(1 + len(self._donors))
        for place, edit in enumerate(edits):
            own = self._edited(edit, (site, place), own, dict(zip(self._donors, given, strict=True)))
        return torch.cat([own, *given]) if given else own

    def select(self, rows: Tensor) -> None:
        self._earlier = {key: value[rows] for key, value in self._earlier.items()}

    def _edited(
        self, edit: ValueEdit, key: tuple[str, int], value: Tensor, given: Mapping[OtherSentence, Tensor]
    ) -> Tensor:
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
        return edit.apply(value, replacement=self._replacement(edit, key[0], given))

    def _replacement(self, edit: ValueEdit, site: str, given: Mapping[OtherSentence, Tensor]) -> Tensor | None:
        if isinstance(edit, OtherPositions):
            return edit.table(self._config, count=self.position + 1)[-1:]
        mode = getattr(edit, "mode", None)
        if isinstance(mode, Sample):
            return self._others.means[mode][site]
        return given[mode] if isinstance(mode, OtherSentence) else None


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
        may_attend = cross.may_attend
        if may_attend is not None:
            may_attend = may_attend.repeat_interleave(cross.group_size, dim=0)
        return self._attended(self._cross, hidden, keys, values, "cross_attention", may_attend=may_attend)

    def _attended(
        self,
        own: MultiHeadAttention,
        hidden: Tensor,
        keys: Tensor,
        values: Tensor,
        name: str,
        *,
        may_attend: Tensor | None = None,
    ) -> Tensor:
        scope = below(self._scope, name)
        queries = own.split_heads(own.queries(hidden))
        context = explicit_attention(queries, keys, values, may_attend=may_attend, scope=scope)
        return own.combine_heads(context, scope=scope)
