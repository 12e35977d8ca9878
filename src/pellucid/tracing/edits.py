"""Edits of a pass: switch off a head, rewrite attention weights, silence a source word.

An edit replaces values while the model computes, so everything that is computed afterwards shows its effect. To
replace a word of the source, trace another text. Read ``forced_pass.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

import torch
from torch import Tensor

from pellucid.config import ModelConfig
from pellucid.errors import RequestError, counted
from pellucid.tracing.sites import AttentionKind, member, refuse_outside

__all__ = ["AblateHead", "AblationMode", "Edit", "SetAttention", "ZeroValue", "edit_from", "edit_to_table"]

_SUM_TOLERANCE: Final = 1e-6


class AblationMode(StrEnum):
    """What replaces the context of an ablated head."""

    ZERO = "zero"
    """The zero vector."""
    MEAN = "mean"
    """The mean of its context over the positions of the sentence, so that only differences between words are lost. In
    the decoder, the mean over this and all earlier positions, because later words are not written yet."""


@dataclass(frozen=True)
class AblateHead:
    """Switch off a head: replace its context [time, d_head] before W_O."""

    kind: AttentionKind
    layer: int
    head: int
    mode: AblationMode = AblationMode.ZERO

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", member(AttentionKind, self.kind, "kind"))
        object.__setattr__(self, "mode", member(AblationMode, self.mode, "mode"))

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return (f"{self.kind.at(self.layer)}.context",)

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int) -> None:
        """Raise if the model has no such head."""
        _refuse_head(self, config)

    def apply(self, value: Tensor) -> Tensor:
        """Return the context [batch, heads, time, d_head] with that of this head replaced."""
        edited = value.clone()
        own = value[:, self.head]
        if self.mode is AblationMode.ZERO:
            edited[:, self.head] = 0
        elif self.kind is AttentionKind.ENCODER:
            edited[:, self.head] = own.mean(1, keepdim=True)
        else:
            seen = torch.arange(1, own.shape[1] + 1, device=own.device, dtype=own.dtype)
            edited[:, self.head] = own.cumsum(1) / seen[:, None]
        return edited


@dataclass(frozen=True)
class SetAttention:
    """Replace one row of the attention weights of one head: one weight per column, each at least 0, with sum 1."""

    kind: AttentionKind
    layer: int
    head: int
    row: int
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", member(AttentionKind, self.kind, "kind"))
        object.__setattr__(self, "weights", tuple(float(weight) for weight in self.weights))

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return (f"{self.kind.at(self.layer)}.weights",)

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int) -> None:
        """Raise if the row does not exist, or the weights are not a distribution over its columns."""
        _refuse_head(self, config)
        rows = source if self.kind is AttentionKind.ENCODER else target
        refuse_outside(f"{_name(self)}: row", self.row, range(rows))
        columns = target if self.kind is AttentionKind.DECODER else source
        if len(self.weights) != columns:
            raise RequestError(
                f"{_name(self)}: {counted(len(self.weights), 'weight')} for {counted(columns, 'column')} of "
                f"{self.kind.at(self.layer)}; give one weight per column"
            )
        for column, weight in enumerate(self.weights):
            if not (math.isfinite(weight) and weight >= 0):
                raise RequestError(
                    f"{_name(self)}: weights[{column}] = {weight}; weights must be finite and at least 0"
                )
        if abs(math.fsum(self.weights) - 1) > _SUM_TOLERANCE:
            raise RequestError(
                f"{_name(self)}: the weights sum to {math.fsum(self.weights):.7g}; they must sum to 1, so divide "
                "them by their sum"
            )
        if self.kind is AttentionKind.DECODER and any(self.weights[self.row + 1 :]):
            raise RequestError(
                f"{_name(self)}: row {self.row} of the decoder's self-attention can attend to columns 0 to {self.row} "
                "only; set the weights of later columns to 0"
            )

    def apply(self, value: Tensor) -> Tensor:
        """Return the weights [batch, heads, rows, columns] with this row replaced."""
        edited = value.clone()
        edited[:, self.head, self.row] = torch.tensor(self.weights, dtype=value.dtype, device=value.device)
        return edited


@dataclass(frozen=True)
class ZeroValue:
    """Silence one source position: its value vectors are zero in every cross-attention.

    What other positions took from it in the encoder remains.
    """

    position: int

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return tuple(f"{AttentionKind.CROSS.at(layer)}.values" for layer in range(config.num_decoder_layers))

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int) -> None:
        """Raise if the source has no such position."""
        refuse_outside(f"{_name(self)}: position", self.position, range(source))

    def apply(self, value: Tensor) -> Tensor:
        """Return the values [batch, heads, source, d_head] with zeros at this position."""
        edited = value.clone()
        edited[:, :, self.position] = 0
        return edited


Edit = AblateHead | SetAttention | ZeroValue

_NAMES: Final[dict[str, type[AblateHead] | type[SetAttention] | type[ZeroValue]]] = {
    "ablate_head": AblateHead,
    "set_attention": SetAttention,
    "zero_value": ZeroValue,
}


def edit_to_table(edit: Edit) -> dict[str, object]:
    """Return an edit as a table for JSON."""
    return {"edit": _name(edit), **asdict(edit)}


def edit_from(table: Mapping[str, object]) -> Edit:
    """Return the edit that ``edit_to_table`` wrote.

    Raises:
        RequestError: the table is not a valid edit.
    """
    fields = dict(table)
    name = fields.pop("edit", None)
    if not isinstance(name, str) or name not in _NAMES:
        raise RequestError(f"edit = {name!r}; allowed are {', '.join(_NAMES)}")
    try:
        return _NAMES[name](**fields)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise RequestError(f"the edit {dict(table)!r} cannot be read: {error}") from None


def _name(edit: Edit) -> str:
    return next(name for name, kind in _NAMES.items() if isinstance(edit, kind))


def _refuse_head(edit: AblateHead | SetAttention, config: ModelConfig) -> None:
    refuse_outside(f"{_name(edit)}: layer", edit.layer, edit.kind.layers(config))
    refuse_outside(f"{_name(edit)}: head", edit.head, range(config.num_heads))
