"""Which source tokens each target token is about: the cross-attention of the model. Read ``placing.py`` next."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

    from pellucid.model.transformer import Transformer

__all__ = ["Attend", "attention_of", "evenly"]

Attend = Callable[[Sequence[int], Sequence[int]], Sequence[Sequence[float]]]
"""From source ids and target ids, each with its end, to weights [target, source]."""

_SITE: Final = re.compile(r"decoder\.(\d+)\.cross_attention\.weights")


class _Weights:
    """A recorder that keeps the weights of the cross-attention, the mean over the heads, by layer."""

    def __init__(self) -> None:
        self.layers: dict[int, Tensor] = {}

    def visit(self, site: str, value: Tensor) -> Tensor:
        """Keep what is of use; see ``Recorder``."""
        if found := _SITE.fullmatch(site):
            self.layers[int(found[1])] = value[0].mean(dim=0)
        return value


def attention_of(model: Transformer) -> Attend:
    """Return the attention of a model: the mean over the heads of all layers."""

    def attend(source_ids: Sequence[int], target_ids: Sequence[int]) -> list[list[float]]:
        import torch

        weights = _Weights()
        device = next(model.parameters()).device
        with torch.inference_mode():
            source = torch.tensor([[*source_ids]], device=device)
            target = torch.tensor([[model.start_id, *target_ids[:-1]]], device=device)
            model.decode(target, model.encode(source), recorder=weights)
        return torch.stack([*weights.layers.values()]).mean(dim=0).tolist()

    return attend


def evenly(source_ids: Sequence[int], target_ids: Sequence[int]) -> list[list[float]]:
    """Return what there is to say without a model that can be looked into: both sides run in step."""
    count, total = len(source_ids), len(target_ids)
    aligned = [min(place * count // total, count - 1) for place in range(total)]
    return [[float(place == index) for index in range(count)] for place in aligned]
