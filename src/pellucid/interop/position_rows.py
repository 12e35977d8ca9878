"""The table of positions that an exported model carries, whatever its layout. Read ``ctranslate2/writing.py`` next."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pellucid.config import ModelConfig, PositionLayout
from pellucid.model.positions import sinusoids

__all__ = ["position_rows"]


def position_rows(config: ModelConfig, weights: Mapping[str, Tensor], stack: str, *, count: int) -> Tensor:
    """Return the rows that a stack adds to its input from its first token on, [count, d_model] float32."""
    if config.position_layout is PositionLayout.LEARNED:
        table = weights[f"{stack}.input.positions.table"]
    else:
        table = sinusoids(config.position_layout, num_positions=config.position_offset + count, d_model=config.d_model)
    return table[config.position_offset :].detach().float().cpu()
