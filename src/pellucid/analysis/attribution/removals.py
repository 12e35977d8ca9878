"""Attribution by removal: what the score loses if a piece is taken away, in two senses.

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

__all__ = ["occlusion", "value_zeroing"]

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

    return _losses(question, without)


def value_zeroing(question: Question) -> Parts:
    """Return what the score loses if the decoder takes nothing from a piece: its value vectors are zero.

    For a source piece in every cross-attention, so what other source pieces took from it in the encoder stays; for an
    earlier target piece in every self-attention of the decoder. After Mohebbi et al. 2023, "Quantifying Context Mixing
    in Transformers", who compare states instead of scores. The parts have no exact sum.
    """
    return _losses(question, lambda rows: _ZeroValues(rows, len(question.source_ids)))


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


@torch.no_grad()
def _losses(question: Question, without: Callable[[range], Recorder]) -> Parts:
    source, target = question.sides
    whole = question.ask(_Nothing(), batch=1).double()
    rows = [question.ask(without(rows), batch=len(rows)).double() for rows in batches(question, source + target)]
    losses = (whole - torch.cat(rows)).T.contiguous()
    of_target = losses[:, source:].clone()
    for number, step in enumerate(question.steps):
        of_target[number, step + 1 :] = 0  # causal: what is left there is rounding
    return Parts(losses[:, :source], of_target)
