"""Which models CTranslate2 supports, in which number formats, and the notes for users of the result.

CTranslate2 computes every variant of ``ModelConfig``: both orders of norm, every activation, every table of
positions (the file stores it), every start of the decoder, tied and untied tables. Read ``writing.py`` next.
"""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import Any, Final

from pellucid.bundle import Bundle
from pellucid.config import ModelConfig, PositionLayout
from pellucid.errors import ConfigError
from pellucid.interop.foreign_model import Refusal, tokenizer_refusals
from pellucid.interop.packages import refuse_without
from pellucid.text.subword import Tokenizer

__all__ = [
    "SOURCE_SEGMENTER",
    "TARGET_SEGMENTER",
    "Quantization",
    "ctranslate2_library",
    "ctranslate2_notes",
    "ctranslate2_refusals",
    "quantization_named",
    "table_length",
]

SOURCE_SEGMENTER: Final = "source.spm"
TARGET_SEGMENTER: Final = "target.spm"

_READ_BY_DEFAULT: Final = 1024
"""``max_input_length`` of ``translate_batch``; two more rows are for the end of sentence and the start."""


class Quantization(StrEnum):
    """How weights are stored; the names are CTranslate2's.

    float16, bfloat16   11 or 8 significant bits: half the size
    int16               matrices in steps of 1/1024 of their largest number: half the size
    int8                matrices in steps of 1/127 of the largest number of each row: a quarter of the size
    int8_...            as int8, and the rest in the second format
    """

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT16 = "int16"
    INT8 = "int8"
    INT8_FLOAT32 = "int8_float32"
    INT8_FLOAT16 = "int8_float16"
    INT8_BFLOAT16 = "int8_bfloat16"

    @property
    def matrices(self) -> str:
        """The number format of matrices."""
        return self.value.partition("_")[0]

    @property
    def rest(self) -> str:
        """The number format of everything else."""
        return self.value.partition("_")[2] or (self.value if "float" in self.value else "float32")


def quantization_named(name: str) -> Quantization:
    """Return the quantisation of that name.

    Raises:
        ConfigError: it is unknown.
    """
    if name not in set(Quantization):
        raise ConfigError(f"--quantization {name!r} is unknown; use {', '.join(Quantization)}")
    return Quantization(name)


def ctranslate2_library(name: str = "ctranslate2") -> Any:
    """Import CTranslate2 or a part of it.

    Raises:
        ConfigError: it is not installed.
    """
    refuse_without("ctranslate2", extra="ctranslate2")
    return importlib.import_module(name)


def ctranslate2_refusals(bundle: Bundle) -> list[Refusal]:
    """Return every reason why a model does not fit; an empty list if it does."""
    tokenizer = bundle.tokenizer
    found = tokenizer_refusals(tokenizer, lowercases=True)
    source, target = tokenizer.source.vocabulary, tokenizer.target.vocabulary
    for role in ("unk", "bos", "eos"):
        number = getattr(target.specials, role)
        if source.piece(number) != target.piece(number):
            found.append(
                Refusal(
                    f"{role} is {source.piece(number)!r} in its source vocabulary and {target.piece(number)!r} in its "
                    "target vocabulary, and the format requires one name for both"
                )
            )
    return found


def table_length(config: ModelConfig) -> int:
    """Return how many rows of positions are stored.

    A sentence that reaches the end of the table ends CTranslate2's whole batch with an error, so sinusoids go on for as
    long as CTranslate2 reads by default; a learned table cannot.
    """
    if config.position_layout is PositionLayout.LEARNED:
        return config.max_positions
    return max(config.max_positions, _READ_BY_DEFAULT + 2)


def ctranslate2_notes(config: ModelConfig, tokenizer: Tokenizer, quantization: Quantization) -> tuple[str, ...]:
    """Return notes for users of the exported model."""
    notes = []
    normaliser = tokenizer.source.normaliser
    if normaliser.form == "nfc":
        notes.append("this model converts text to Unicode NFC first; the exported SentencePiece files do so too")
    if normaliser.lowercase:
        notes.append("this model lowercases text first, and CTranslate2 does not: pass lowercased text")
    if tokenizer.source.vocabulary.tags:
        notes.append("pass a language tag as the first piece: ['>>xx<<', *pieces]")
    if config.position_layout is PositionLayout.LEARNED and config.max_positions < _READ_BY_DEFAULT + 2:
        notes.append(
            f"its table of positions is learned and ends after {config.max_positions} pieces: pass max_input_length="
            f"{config.max_positions - 1} and max_decoding_length={config.max_positions - 1}, or CTranslate2 ends a "
            "longer sentence's whole batch with an error"
        )
    if quantization is not Quantization.FLOAT32:
        notes.append(f"its weights are rounded to {quantization.value}: scores differ a little from this model's")
    return tuple(notes)
