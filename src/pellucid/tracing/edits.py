"""Edits of values: switch off a head, a sub-layer or units, rewrite attention, silence a word, change the positions.

An edit replaces values while the model computes, so everything that is computed afterwards shows its effect. The text
of an edit, ``str(edit)``, is its place and what replaces it: ``encoder.5.self_attention.head.3=zero``. Edits of words
and pieces are in ``editing/choices.py``; read that next, then ``editing/text.py``, which reads the texts.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from types import EllipsisType
from typing import Final

import torch
from torch import Tensor

from pellucid.config import ModelConfig, PositionLayout
from pellucid.errors import RequestError, counted
from pellucid.model.positions import sinusoids
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.sites import AttentionKind, member, refuse_outside

__all__ = [
    "SUBLAYERS",
    "AblateHead",
    "AblateSublayer",
    "AblateUnits",
    "AblationMode",
    "Mode",
    "OtherPositions",
    "OtherSentence",
    "SetAttention",
    "ValueEdit",
    "ZeroValue",
    "needs_replacement",
]

_SUM_TOLERANCE: Final = 1e-6
SUBLAYERS: Final = {
    "encoder": ("self_attention", "feed_forward"),
    "decoder": ("self_attention", "cross_attention", "feed_forward"),
}
"""The sub-layers of a layer of each stack, in their order."""


class AblationMode(StrEnum):
    """What replaces an ablated value, if it needs nothing from outside of the sentence."""

    ZERO = "zero"
    """The zero vector."""
    MEAN = "mean"
    """The mean over the positions of the sentence, so that only differences between words are lost. In the decoder, the
    mean over this and all earlier positions, because later words are not written yet."""


@dataclass(frozen=True)
class OtherSentence:
    """Replace a value by that of another source sentence, position by position.

    The decoder is fed the same target in both passes, so only the source differs. A value of the encoder has a vector
    for each source piece, so there the other sentence must have as many pieces.
    """

    source: str

    def __str__(self) -> str:
        return f"from:{json.dumps(self.source, ensure_ascii=False)}"


Mode = AblationMode | Sample | OtherSentence
"""What replaces an ablated value; a ``Sample`` stands for the mean over its sentences."""


def needs_replacement(edit: ValueEdit) -> bool:
    """Return whether the values that an edit puts in come from other sentences."""
    return isinstance(getattr(edit, "mode", None), Sample | OtherSentence)


@dataclass(frozen=True)
class AblateHead:
    """Replace the context [time, d_head] of a head before W_O, at all rows or only at ``row``."""

    kind: AttentionKind
    layer: int
    head: int
    mode: Mode = AblationMode.ZERO
    row: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", member(AttentionKind, self.kind, "kind"))
        object.__setattr__(self, "mode", _mode(self.mode))

    def __str__(self) -> str:
        row = "" if self.row is None else f".row.{self.row}"
        return f"{_head_place(self)}{row}={_mode_text(self.mode)}"

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return (f"{self.kind.at(self.layer)}.context",)

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int | None) -> None:
        """Raise if the model has no such head, or the sentence no such row."""
        _refuse_head(self, config)
        if self.row is not None:
            _refuse_row(self, source=source, target=target)

    def apply(self, value: Tensor, *, replacement: Tensor | None = None) -> Tensor:
        """Return the context [batch, heads, time, d_head] with that of this head replaced."""
        edited = value.clone()
        own = value[:, self.head]
        new = _ablated(own, self.mode, self.kind is not AttentionKind.ENCODER, replacement, (slice(None), self.head))
        if self.row is None:
            edited[:, self.head] = new
        elif self.row < own.shape[1]:  # else this piece is not written yet
            edited[:, self.head, self.row] = new[:, self.row]
        return edited


@dataclass(frozen=True)
class AblateSublayer:
    """Replace the output [time, d_model] of a sub-layer, such as ``decoder.2.feed_forward``, before it is added."""

    stack: str
    layer: int
    name: str
    mode: Mode = AblationMode.ZERO

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", _mode(self.mode))
        if self.name not in SUBLAYERS.get(self.stack, ()):
            known = ", ".join(f"{stack}.N.{name}" for stack, names in SUBLAYERS.items() for name in names)
            raise RequestError(f"{self.stack}.{self.layer}.{self.name} is not a sub-layer; there are {known}")

    def __str__(self) -> str:
        return f"{self.stack}.{self.layer}.{self.name}={_mode_text(self.mode)}"

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return (f"{self.stack}.{self.layer}.{self.name}.output",)

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int | None) -> None:
        """Raise if the model has no such layer."""
        _refuse_layer(self, config)

    def apply(self, value: Tensor, *, replacement: Tensor | None = None) -> Tensor:
        """Return another output [batch, time, d_model]."""
        return _ablated(value, self.mode, self.stack == "decoder", replacement, ())


@dataclass(frozen=True)
class AblateUnits:
    """Replace units of a feed-forward network after its activation, at every position."""

    stack: str
    layer: int
    units: tuple[int, ...]
    mode: Mode = AblationMode.ZERO

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", tuple(self.units))
        object.__setattr__(self, "mode", _mode(self.mode))
        if self.stack not in SUBLAYERS or not self.units:
            raise RequestError(
                f"{self.stack}.{self.layer}.feed_forward.unit: the stack is encoder or decoder, with one unit or more"
            )

    def __str__(self) -> str:
        units = ",".join(map(str, self.units))
        return f"{self.stack}.{self.layer}.feed_forward.unit.{units}={_mode_text(self.mode)}"

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return (f"{self.stack}.{self.layer}.feed_forward.hidden",)

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int | None) -> None:
        """Raise if the model has no such layer or unit."""
        _refuse_layer(self, config)
        for unit in self.units:
            refuse_outside(f"{self}: unit", unit, range(config.d_feedforward))

    def apply(self, value: Tensor, *, replacement: Tensor | None = None) -> Tensor:
        """Return the hidden values [batch, time, d_feedforward] with these units replaced."""
        edited = value.clone()
        part: Part = (..., list(self.units))
        edited[part] = _ablated(value[part], self.mode, self.stack == "decoder", replacement, part)
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

    def __str__(self) -> str:
        return f"{_head_place(self)}.row.{self.row}={','.join(f'{weight:.9g}' for weight in self.weights)}"

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return (f"{self.kind.at(self.layer)}.weights",)

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int | None) -> None:
        """Raise if the row does not exist, or the weights are not a distribution over its columns."""
        _refuse_head(self, config)
        _refuse_row(self, source=source, target=target)
        columns = target if self.kind is AttentionKind.DECODER else source
        at = f"{_head_place(self)}.row.{self.row}"
        if columns is not None and len(self.weights) != columns:
            raise RequestError(
                f"{at}: {counted(len(self.weights), 'weight')} for {counted(columns, 'column')} of "
                f"{self.kind.at(self.layer)}; give one weight per column"
            )
        for column, weight in enumerate(self.weights):
            if not (math.isfinite(weight) and weight >= 0):
                raise RequestError(f"{at}: weights[{column}] = {weight}; weights must be finite and at least 0")
        if abs(math.fsum(self.weights) - 1) > _SUM_TOLERANCE:
            raise RequestError(
                f"{at}: the weights sum to {math.fsum(self.weights):.7g}; they must sum to 1, so divide them by their "
                "sum"
            )
        if self.kind is AttentionKind.DECODER and any(self.weights[self.row + 1 :]):
            raise RequestError(
                f"{at}: row {self.row} of the decoder's self-attention can attend to columns 0 to {self.row} "
                "only; set the weights of later columns to 0"
            )

    def apply(self, value: Tensor, *, replacement: Tensor | None = None) -> Tensor:
        """Return the weights [batch, heads, rows, columns] with this row replaced."""
        rows, columns = value.shape[-2:]
        if self.row >= rows:  # this piece is not written yet
            return value
        edited = value.clone()
        # While the target grows, columns that come later are missing; their weights are 0.
        weights = (*self.weights, *[0.0] * columns)[:columns]
        edited[:, self.head, self.row] = torch.tensor(weights, dtype=value.dtype, device=value.device)
        return edited


@dataclass(frozen=True)
class ZeroValue:
    """Silence one source position: its value vectors are zero in every cross-attention.

    What other positions took from it in the encoder remains.
    """

    position: int

    def __str__(self) -> str:
        return f"decoder.cross_attention.value.{self.position}=zero"

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return tuple(f"{AttentionKind.CROSS.at(layer)}.values" for layer in range(config.num_decoder_layers))

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int | None) -> None:
        """Raise if the source has no such position."""
        refuse_outside(f"{self}: position", self.position, range(source))

    def apply(self, value: Tensor, *, replacement: Tensor | None = None) -> Tensor:
        """Return the values [batch, heads, source, d_head] with zeros at this position."""
        edited = value.clone()
        edited[:, :, self.position] = 0
        return edited


@dataclass(frozen=True)
class OtherPositions:
    """Add other positions than those that the model was trained with, on both sides.

    ``layout`` is one of the sinusoid layouts; None adds zero vectors, so that nothing knows the order of the pieces.
    """

    layout: PositionLayout | None

    def __post_init__(self) -> None:
        if self.layout is not None:
            object.__setattr__(self, "layout", member(PositionLayout, self.layout, "layout"))
        if self.layout is PositionLayout.LEARNED:
            raise RequestError(
                "positions=learned: learned positions have no formula; give a layout of sinusoids, or zero for none"
            )

    def __str__(self) -> str:
        return f"positions={self.layout or 'zero'}"

    def sites(self, config: ModelConfig) -> tuple[str, ...]:
        """Return the sites whose values are replaced."""
        return ("source.position", "target.position")

    def refuse_misfit(self, config: ModelConfig, *, source: int, target: int | None) -> None:
        """Do nothing: every model has positions."""

    def table(self, config: ModelConfig, *, count: int) -> Tensor:
        """Return the rows of the first ``count`` tokens, [count, d_model] in float64."""
        if self.layout is None:
            return torch.zeros(count, config.d_model, dtype=torch.float64)
        rows = sinusoids(self.layout, num_positions=config.position_offset + count, d_model=config.d_model)
        return rows[config.position_offset :]

    def apply(self, value: Tensor, *, replacement: Tensor | None = None) -> Tensor:
        """Return other positions [batch, time, d_model]; the replacement is their table."""
        if replacement is None:
            raise ValueError("an edit of the positions was applied without their table")
        return replacement.to(value).expand_as(value)


Part = tuple[slice | int | EllipsisType | list[int], ...]
ValueEdit = AblateHead | AblateSublayer | AblateUnits | SetAttention | ZeroValue | OtherPositions


def _ablated(own: Tensor, mode: Mode, is_causal: bool, replacement: Tensor | None, part: Part) -> Tensor:
    """Return what stands in the place of ``own`` [batch, time, width]; ``part`` selects it in a replacement."""
    if mode is AblationMode.ZERO:
        return torch.zeros_like(own)
    if mode is AblationMode.MEAN:
        if not is_causal:
            return own.mean(1, keepdim=True).expand_as(own)
        seen = torch.arange(1, own.shape[1] + 1, device=own.device, dtype=own.dtype)
        return own.cumsum(1) / seen[:, None]
    if replacement is None:
        raise ValueError("an edit that takes values of other sentences was applied without them")
    return replacement[part].to(own).expand_as(own)


def _mode(mode: object) -> Mode:
    return mode if isinstance(mode, Sample | OtherSentence) else member(AblationMode, mode, "mode")  # type: ignore[arg-type]


def _mode_text(mode: Mode) -> str:
    return f"mean:{mode.sha256[:12]}" if isinstance(mode, Sample) else str(mode)


def _head_place(edit: AblateHead | SetAttention) -> str:
    return f"{edit.kind.at(edit.layer)}.head.{edit.head}"


def _refuse_head(edit: AblateHead | SetAttention, config: ModelConfig) -> None:
    refuse_outside(f"{_head_place(edit)}: layer", edit.layer, edit.kind.layers(config))
    refuse_outside(f"{_head_place(edit)}: head", edit.head, range(config.num_heads))


def _refuse_row(edit: AblateHead | SetAttention, *, source: int, target: int | None) -> None:
    rows = source if edit.kind is AttentionKind.ENCODER else target
    if rows is not None:
        refuse_outside(f"{_head_place(edit)}: row", edit.row, range(rows))


def _refuse_layer(edit: AblateSublayer | AblateUnits, config: ModelConfig) -> None:
    depth = config.num_encoder_layers if edit.stack == "encoder" else config.num_decoder_layers
    refuse_outside(f"{edit}: layer", edit.layer, range(depth))
