"""Which models packed steps know: those of all presets. Read ``network.py`` next."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from pellucid.config import Activation, ModelConfig, NormOrder, PositionLayout

__all__ = ["packing_obstacle"]

_HEADS: Final = (16, 32, 64, 128)
"""Widths of a head that the kernels of a GPU take."""


def packing_obstacle(config: ModelConfig, device: str) -> str:
    """Return why a model cannot compute packed tokens, or an empty text."""
    if device.startswith("cuda") and not _has_triton():
        return "packed steps need Triton, which torch brings for Linux"
    if config.norm_order is not NormOrder.POST:
        return "packed steps know the norm of the paper, after the residual sum"
    if config.activation is not Activation.RELU or config.activation_dropout:
        return "packed steps know ReLU without dropout between the maps of a feed-forward network"
    if config.position_layout is PositionLayout.LEARNED:
        return "packed steps know sinusoid positions"
    if device != "cpu" and config.d_head not in _HEADS:
        return f"heads have {config.d_head} dimensions, and packed steps know {', '.join(map(str, _HEADS))}"
    return ""


def _has_triton() -> bool:
    return find_spec("triton") is not None
