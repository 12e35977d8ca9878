"""What every format shares: a model that was read from another tool, and the reasons why one does not fit.

``tokenizer_of`` and ``config_of`` end the reading of every format: vocabulary and settings are checked there in one
way. Read ``verification/comparison.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from torch import Tensor

from pellucid.config import ModelConfig, SpecialIds, TranslationConfig
from pellucid.errors import BundleError, IncompatibleModelError, counted
from pellucid.interop.untrusted.files import read_segmenter
from pellucid.model.transformer import Transformer
from pellucid.text.normalisation import Normaliser
from pellucid.text.subword import Side, Tokenizer
from pellucid.text.vocabulary import Vocabulary
from pellucid.weights_file import summary

__all__ = [
    "ForeignModel",
    "Refusal",
    "config_of",
    "listed",
    "model_of",
    "piece_ids",
    "refusal_message",
    "tokenizer_of",
    "tokenizer_refusals",
]

_TAG: Final = re.compile(r">>[^<>\s]+<<")


@dataclass(frozen=True)
class ForeignModel:
    """A model of another format, as ours: everything that a model folder needs."""

    model: Transformer
    tokenizer: Tokenizer
    translation: TranslationConfig
    source_language: str = "src"
    target_language: str = "tgt"
    notes: tuple[str, ...] = ()
    """What the user should know: what was left out, and what another program would do differently."""


@dataclass(frozen=True)
class Refusal:
    """One reason why a model does not fit a format, and the training setting that would make it fit."""

    reason: str
    remedy: str = ""
    """As on a command line, ``model.norm_order=post``; empty where no setting helps."""


def tokenizer_refusals(tokenizer: Tokenizer, *, lowercases: bool) -> list[Refusal]:
    """Return why another tool cannot cut text as a tokenizer does; ``lowercases``: the tool's user can lowercase it."""
    found = []
    if tokenizer.source.segmenter is None or tokenizer.target.segmenter is None:
        found.append(
            Refusal("its tokenizer spells bytes, and no SentencePiece file does that", "tokenizer.kind=sentencepiece")
        )
    if tokenizer.source.normaliser.lowercase and not lowercases:
        found.append(Refusal("its tokenizer lowercases text, and the format does not", "tokenizer.lowercase=false"))
    return found


def refusal_message(place: str, format_name: str, refusals: Sequence[Refusal]) -> str:
    """Return all reasons at once, and the options of ``pellucid train`` that lead to a model which fits."""
    message = f"{place}: the format {format_name!r} cannot hold this model:{listed([r.reason for r in refusals])}"
    remedies = dict.fromkeys(refusal.remedy for refusal in refusals if refusal.remedy)
    if remedies:
        options = " ".join(f"--set {remedy}" for remedy in remedies)
        message += f"\nA model trained with these options fits: {options}"
    return message


def listed(problems: Sequence[str]) -> str:
    """Return problems as the lines of a list."""
    return "".join(f"\n  - {problem}" for problem in problems)


def config_of(settings: Mapping[str, object], *, place: str) -> ModelConfig:
    """Return the configuration that a foreign file's settings amount to.

    Raises:
        IncompatibleModelError: no model has these settings together, such as heads that do not divide the width.
    """
    try:
        return ModelConfig.model_validate(settings)
    except ValidationError as error:
        reasons = [str(problem["msg"]) for problem in error.errors()]
        raise IncompatibleModelError(f"{place}: describes no model that can be built:{listed(reasons)}") from None


def model_of(config: ModelConfig, weights: Mapping[str, Tensor], *, place: str) -> Transformer:
    """Return the model of foreign weights, by our names; ``zero_padding_row`` is set as the weights have it.

    Raises:
        IncompatibleModelError: a weight is not finite.
    """
    if bad := sorted(name for name, tensor in weights.items() if not tensor.isfinite().all()):
        raise IncompatibleModelError(f"{place}: holds numbers that are not finite: {summary(bad)}")
    tables = (weights.get(f"{side}_embedding.weight") for side in ("source", "target"))
    is_zero = not any(table is not None and table[config.specials.pad].any() for table in tables)
    model = Transformer(ModelConfig.model_validate(config.model_dump() | {"zero_padding_row": is_zero}))
    model.load_state_dict(weights)
    return model.eval()


def piece_ids(table: Mapping[str, object], *, place: str) -> dict[str, int]:
    """Return a foreign vocabulary, ids by piece, once it is checked.

    Raises:
        BundleError: the values are not the ids 0, 1, 2 ... each once, or a piece is not Unicode text.
    """
    ids = {piece: number for piece, number in table.items() if type(number) is int}
    if len(ids) != len(table):
        raise BundleError(f"{place}: must map each piece to its id, a whole number; fetch it again")
    if not ids or sorted(ids.values()) != list(range(len(ids))):
        raise BundleError(f"{place}: the ids of {counted(len(ids), 'piece')} must be 0 to {len(ids) - 1:,}, each once")
    try:
        "".join(ids).encode("utf-8")
    except UnicodeEncodeError:
        raise BundleError(f"{place}: a piece holds half a character (a lone surrogate); the file is damaged") from None
    return ids


def tokenizer_of(segmenters: Sequence[Path], vocabularies: Sequence[Sequence[str]], specials: SpecialIds) -> Tokenizer:
    """Return the tokenizer of a foreign model.

    Args:
        segmenters: SentencePiece files of source and target.
        vocabularies: source and target pieces by id.
        specials: ids of the special pieces.

    Raises:
        BundleError: a segmenter is missing, damaged or too large.
    """
    opened = [read_segmenter(path) for path in segmenters]
    # The segmenter normalises text itself; a second normalisation would change the ids that the model learnt.
    normaliser = Normaliser("none")
    sides = []
    for segmenter, pieces in zip(opened, vocabularies, strict=True):
        tags = [piece for piece in pieces if _TAG.fullmatch(piece)]
        vocabulary = Vocabulary(pieces, specials=specials, tags=tags)
        sides.append(Side(normaliser, segmenter, vocabulary, by_spelling=True))
    is_joint = opened[0].model == opened[1].model and vocabularies[0] == vocabularies[1]
    return Tokenizer(sides[0], sides[0] if is_joint else sides[1], partial_vocabulary=True)
