"""Take the weights out of a Transformer for ``preparation.py``; the only module of the native engine with torch."""

from __future__ import annotations

import torch

from pellucid.model.transformer import Transformer
from pellucid.translation.engines.native.preparation import Array, WeightSource

__all__ = ["weights_of"]


@torch.no_grad()
def weights_of(model: Transformer) -> WeightSource:
    """Return a model's weights as float32 arrays, and the tables of positions that its two stacks add."""
    count = model.config.max_positions

    def array(tensor: torch.Tensor) -> Array:
        return tensor.detach().to("cpu", torch.float32).numpy()

    return WeightSource(
        config=model.config,
        tensors={name: array(tensor) for name, tensor in model.state_dict().items()},
        positions=(array(model.encoder.input.positions(count)), array(model.decoder.input.positions(count))),
        start_id=model.start_id,
    )
