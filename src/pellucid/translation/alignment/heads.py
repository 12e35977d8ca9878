"""The heads of the cross-attention whose weights align words, as a model folder names them.

They stand in ``[facts]`` of ``model.toml``, a table that every release reads, so a folder that names them opens in
older releases too:

    alignment_heads = "5.0 5.1"           layer.head, counted from 0; the mean of their weights is used
    alignment_step = "writes"             the step of the decoder: the one that writes the target piece, or reads it
    alignment_error_rate = 0.14           what they scored
    alignment_measured_on = "..."         on which pairs, against which links

Read ``attention.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.bundle import ModelDescription, ModelFolder, described, read_description
from pellucid.config.tables import to_toml
from pellucid.durable import DISK
from pellucid.errors import BundleError, RequestError, counted
from pellucid.untrusted import shown

if TYPE_CHECKING:
    from pellucid.config.model import ModelConfig

__all__ = ["AlignmentHeads", "AlignmentStep", "heads_in", "heads_of_origin", "name_heads"]

_HEADS: Final = "alignment_heads"
_STEP: Final = "alignment_step"
_ERROR_RATE: Final = "alignment_error_rate"
_MEASURED_ON: Final = "alignment_measured_on"


class AlignmentStep(StrEnum):
    """The step of the decoder whose attention is taken for a target piece."""

    WRITES = "writes"
    """The step that predicts the piece."""
    READS = "reads"
    """The next step, whose input is the piece (Chen et al. 2020, "Accurate Word Alignment Induction")."""

    def rows(self, length: int, height: int) -> list[int]:
        """Return the rows of the steps that write, or read, ``length`` pieces; row t of a pass writes piece t.

        A translation that has every position of the model has no step that reads its last piece, since a pass has no
        more than ``height`` rows; the step that writes it stands in.
        """
        shift = 1 if self is AlignmentStep.READS else 0
        return [min(place + shift, height - 1) for place in range(length)]


@dataclass(frozen=True)
class AlignmentHeads:
    """Heads (layer, head) of the cross-attention, the mean of whose weights aligns words."""

    heads: tuple[tuple[int, int], ...]
    step: AlignmentStep = AlignmentStep.WRITES

    @property
    def name(self) -> str:
        """The heads as a model folder names them."""
        return " ".join(f"{layer}.{head}" for layer, head in self.heads)


def heads_in(facts: Mapping[str, object], config: ModelConfig, *, place: str) -> AlignmentHeads | None:
    """Return the heads that the facts of a model folder name, or None where they name none.

    Raises:
        BundleError: they are no heads of the model.
    """
    named = facts.get(_HEADS)
    if named is None:
        return None
    step = facts.get(_STEP, AlignmentStep.WRITES.value)
    if not isinstance(named, str) or not re.fullmatch(r"\d{1,4}\.\d{1,4}( \d{1,4}\.\d{1,4}){0,999}", named):
        raise BundleError(f"{place}: {_HEADS} = {shown(named)} is no list of heads; write them as in '5.0 5.1'")
    if step not in list(AlignmentStep):
        raise BundleError(f"{place}: {_STEP} = {shown(step)} is unknown; use {' or '.join(AlignmentStep)}")
    heads = tuple((int(layer), int(head)) for layer, head in (one.split(".") for one in named.split(" ")))
    for layer, head in heads:
        if layer >= config.num_decoder_layers or head >= config.num_heads:
            raise BundleError(
                f"{place}: {_HEADS} names head {layer}.{head}, but the model has "
                f"{counted(config.num_decoder_layers, 'decoder layer')} of "
                f"{counted(config.num_heads, 'head')}, counted from 0"
            )
    return AlignmentHeads(heads, AlignmentStep(str(step)))


def heads_of_origin(origin: ModelFolder | None) -> AlignmentHeads:
    """Return the heads that the folder of a translator names.

    Raises:
        RequestError: there is no folder, as with an ensemble or an ONNX folder, or it names no heads.
        BundleError: it names heads that the model does not have.
    """
    if origin is None:
        raise RequestError(
            "alignments need the heads that a model folder names, and this translator has no folder of its own; open "
            "one model folder with pellucid.load"
        )
    description = origin.description
    heads = heads_in(description.facts, description.model, place=f"{origin.folder}/model.toml")
    if heads is None:
        raise RequestError(
            f"{origin.folder}: model.toml names no alignment_heads; choose them once, from some thousand pairs, with "
            "'pellucid align MODEL --src FILE --tgt FILE --choose'"
        )
    return heads


def name_heads(folder: Path, heads: AlignmentHeads, *, error_rate: float, measured_on: str) -> None:
    """Name the heads in the description of a model folder, in place of those named before; nothing else changes.

    Raises:
        BundleError: the description is damaged.
    """
    path = folder / "model.toml"
    description = read_description(folder)
    named = {
        _HEADS: heads.name,
        _STEP: heads.step.value,
        _ERROR_RATE: round(error_rate, 4),
        _MEASURED_ON: measured_on,
    }
    table = description.model_dump(mode="json", exclude_none=True) | {"facts": {**description.facts, **named}}
    DISK.write_replacing(path, to_toml(described(ModelDescription, table, place=path)).encode())
