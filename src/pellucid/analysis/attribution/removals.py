"""Attribution by removal: what the score loses if a piece, in two senses, or a head is taken away.

All removals are rows of one batch. Read ``alti.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from pellucid.analysis.attribution.gradients import Embeddings
from pellucid.analysis.attribution.question import Parts, Question, batches
from pellucid.model.recorder import Recorder
from pellucid.tracing.sites import AttentionKind

__all__ = ["heads_off", "occlusion", "value_zeroing"]

_VALUES: Final = re.compile(r"decoder\.\d+\.(self|cross)_attention\.values")


def occlusion(question: Question) -> Parts:
    """Return what the score loses if the embedding of a piece is the zero vector (Zeiler and Fergus 2014).

    The position vector stays, so the model still sees that something stands there. The parts have no exact sum.
    """
    source, target = question.embeddings()

    def without(rows: range) -> Recorder:
        sides = [one.expand(len(rows), -1, -1).clone() for one in (source, target)]
        for row, place in enumerate(rows):
            side, position = (0, place) if place < len(source) else (1, place - len(source))
            sides[side][row, position] = 0
        return Embeddings(sides[0], sides[1])

    return _parts(question, without)


def value_zeroing(question: Question) -> Parts:
    """Return what the score loses if the decoder takes nothing from a piece: its value vectors are zero.

    For a source piece in every cross-attention, so what other source pieces took from it in the encoder stays; for an
    earlier target piece in every self-attention of the decoder. After Mohebbi et al. 2023, "Quantifying Context Mixing
    in Transformers", who compare states instead of scores. The parts have no exact sum.
    """
    return _parts(question, lambda rows: _ZeroValues(rows, len(question.source_ids)))


def heads_off(question: Question) -> dict[AttentionKind, Tensor]:
    """Return what the score loses if one head is off, its context zero: [layers, heads, steps] for each attention."""
    config = question.model.config
    heads = [
        (kind, layer, head)
        for kind in AttentionKind
        for layer in kind.layers(config)
        for head in range(config.num_heads)
    ]
    losses = _losses(question, lambda rows: _ZeroHeads([heads[row] for row in rows]), len(heads))
    found, first = {}, 0
    for kind in AttentionKind:
        count = len(kind.layers(config)) * config.num_heads
        found[kind] = losses[:, first : first + count].T.reshape(-1, config.num_heads, len(question.steps))
        first += count
    return found


class _ZeroHeads:
    """A recorder that zeroes in each row of the batch the context of one head."""

    def __init__(self, heads: list[tuple[AttentionKind, int, int]]) -> None:
        self._rows: dict[str, list[tuple[int, int]]] = {}
        for row, (kind, layer, head) in enumerate(heads):
            self._rows.setdefault(f"{kind.at(layer)}.context", []).append((row, head))

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Return the context [batch, heads, time, d_head] with zeros, every other value unchanged."""
        if site not in self._rows:
            return value
        edited = value.clone()
        for row, head in self._rows[site]:
            edited[row, head] = 0
        return edited


class _ZeroValues:
    """A recorder that zeroes in each row of the batch the values of one position: of the source, then of the target."""

    def __init__(self, places: range, source: int) -> None:
        self._places = places
        self._source = source

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Return the values [batch, heads, time, d_head] with zeros, every other value unchanged."""
        found = _VALUES.fullmatch(site)
        if found is None:
            return value
        edited = value.clone()
        for row, place in enumerate(self._places):
            if (place < self._source) is (found[1] == "cross"):
                edited[row, :, place if place < self._source else place - self._source] = 0
        return edited


class _Nothing:
    def visit(self, site: str, value: Tensor) -> Tensor:
        return value


def _parts(question: Question, without: Callable[[range], Recorder]) -> Parts:
    source, target = question.sides
    losses = _losses(question, without, source + target)
    of_target = losses[:, source:].clone()
    for number, step in enumerate(question.steps):
        of_target[number, step + 1 :] = 0  # causal: what is left there is rounding
    return Parts(losses[:, :source], of_target)


@torch.no_grad()
def _losses(question: Question, without: Callable[[range], Recorder], count: int) -> Tensor:
    """Return what the scores lose by each of ``count`` removals, [steps, count], in float64."""
    whole = question.ask(_Nothing(), batch=1).double()
    rows = [question.ask(without(rows), batch=len(rows)).double() for rows in batches(question, count)]
    return (whole - torch.cat(rows)).T.contiguous()
