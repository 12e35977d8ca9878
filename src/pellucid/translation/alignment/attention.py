"""The cross-attention of one forced pass over translations that are there: from every head, or from some of them.

Read ``pairs.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from pellucid.translation.alignment.heads import AlignmentHeads, AlignmentStep
from pellucid.translation.alignment.links import Weights
from pellucid.translation.scoring import padded
from pellucid.translation.units import batches_of

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["every_head", "mean_of_heads"]

_SITE: Final = re.compile(r"decoder\.(\d+)\.cross_attention\.weights")

Ids = Sequence[int]


class _CrossAttention:
    """A recorder that keeps the weights [batch, heads, target, source] of some layers."""

    def __init__(self, layers: frozenset[int]) -> None:
        self._layers = layers
        self.kept: dict[int, Tensor] = {}

    def visit(self, site: str, value: Tensor) -> Tensor:
        found = _SITE.fullmatch(site)
        if found and int(found[1]) in self._layers:
            self.kept[int(found[1])] = value
        return value


def mean_of_heads(
    model: Transformer, pairs: Sequence[tuple[Ids, Ids]], *, heads: AlignmentHeads, batch_size: int
) -> Iterator[tuple[int, Weights]]:
    """Yield for each pair, in any order, its place and the mean weights of the heads [target pieces, source pieces].

    Args:
        model: in evaluation mode.
        pairs: ids of a source, end of sentence included, and of its target without the end.
        heads: and the step of the decoder.
        batch_size: limit of padded tokens in one pass; a longer pair is a pass alone.
    """
    layers = frozenset(layer for layer, _ in heads.heads)
    for place, weights in _passes(model, pairs, layers=layers, batch_size=batch_size):
        length = len(pairs[place][1])
        chosen = torch.stack([weights[layer][head] for layer, head in heads.heads]).mean(0)
        yield place, _rows(chosen, length, heads.step)


def every_head(
    model: Transformer, pairs: Sequence[tuple[Ids, Ids]], *, batch_size: int
) -> Iterator[tuple[int, dict[AlignmentStep, Weights]]]:
    """Yield for each pair, in any order, its place and the weights [layers, heads, target, source] at both steps."""
    layers = range(model.config.num_decoder_layers)
    for place, weights in _passes(model, pairs, layers=frozenset(layers), batch_size=batch_size):
        stacked = torch.stack([weights[layer] for layer in layers])
        yield place, {step: _rows(stacked, len(pairs[place][1]), step) for step in AlignmentStep}


def _rows(weights: Tensor, length: int, step: AlignmentStep) -> Weights:
    rows: Weights = weights[..., step.rows(length, weights.shape[-2]), :].cpu().numpy().astype(np.float32)
    return rows


def _passes(
    model: Transformer, pairs: Sequence[tuple[Ids, Ids]], *, layers: frozenset[int], batch_size: int
) -> Iterator[tuple[int, Mapping[int, Tensor]]]:
    """Yield the place of each pair and by layer its weights [heads, target + 1, source], without padding.

    Raises:
        ValueError: the model is in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode, where dropout changes every weight; call model.eval()")
    device = next(model.parameters()).device
    for places in batches_of([max(len(source), len(target) + 1) for source, target in pairs], batch_size):
        sources = [list(pairs[place][0]) for place in places]
        targets = [[model.start_id, *pairs[place][1]][: model.config.max_positions] for place in places]
        recorder = _CrossAttention(layers)
        with torch.inference_mode():
            source_ids, source_mask = padded(sources, model.config.specials.pad, device)
            target_ids, _ = padded(targets, model.config.specials.pad, device)
            memory = model.encode(source_ids, source_mask=source_mask)
            # Padding stands after the real positions, which cannot see it: no target mask.
            model.decode(target_ids, memory, source_mask=source_mask, recorder=recorder)
        for row, place in enumerate(places):
            width, height = len(sources[row]), len(targets[row])
            yield place, {layer: kept[row, :, :height, :width].float() for layer, kept in recorder.kept.items()}
