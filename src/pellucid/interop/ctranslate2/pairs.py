"""The comparisons that prove a CTranslate2 folder, and their bounds.

    float32              with the model itself: only the last bits may differ
    any rounding         with the model rounded the same way: only the last bits may differ, so every mistake shows
                         with the model itself, in the arithmetic of later use: measures the cost of rounding

Read ``formats.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pellucid.bundle import Bundle
from pellucid.errors import ConversionError, counted
from pellucid.interop.ctranslate2.config import Quantization, ctranslate2_library, table_length
from pellucid.interop.ctranslate2.engine import CTranslate2Model
from pellucid.interop.ctranslate2.file import read_ctranslate2_file
from pellucid.interop.ctranslate2.rounding import rounded
from pellucid.interop.verification.comparison import EXACT, Bounds, Pair, PellucidModel

__all__ = ["ctranslate2_pairs"]

_COST: Final = {"float16": 0.05, "bfloat16": 0.3, "int16": 0.2, "int8": 1.0}
"""How much rounding may change a log-probability, as a share of it where it is below -1: five to ten times the largest
change over whole vocabularies on three trained models (0.005, 0.05, 0.04 and 0.17)."""


def ctranslate2_pairs(bundle: Bundle, folder: Path, *, segmenters: tuple[Path, Path] | None = None) -> Sequence[Pair]:
    """Return the comparisons of a model with its exported folder.

    Args:
        bundle: the model.
        folder: the folder.
        segmenters: SentencePiece files of source and target, where they are not in the folder.

    Raises:
        BundleError: ``model.bin`` is missing or damaged.
        ConversionError: its table of positions is too short.
        ConfigError: ctranslate2 is not installed.
    """
    tokenizer = bundle.tokenizer
    library = ctranslate2_library()
    file = read_ctranslate2_file(folder / "model.bin")
    quantization = file.quantization
    if file.num_positions < (needed := table_length(bundle.description.model)):
        raise ConversionError(
            f"{folder}: its table of positions has {counted(file.num_positions, 'row')}, "
            f"and {needed} are needed: CTranslate2 "
            "ends a batch with an error where a sentence reaches the end of the table"
        )
    engine = partial(
        CTranslate2Model,
        folder,
        segmenters=segmenters,
        tags=tokenizer.source.vocabulary.tags,
        lowercase=tokenizer.source.normaliser.lowercase,
    )
    itself = partial(PellucidModel, bundle.model, tokenizer)
    if quantization is Quantization.FLOAT32:
        return [Pair(itself, engine, EXACT)]
    computes_so = quantization.value in library.get_supported_compute_types("cpu")
    return [
        Pair(
            lambda: PellucidModel(
                rounded(bundle.model, quantization), tokenizer, name=f"pellucid rounded to {quantization.value}"
            ),
            engine,
            EXACT,
        ),
        Pair(
            itself,
            partial(engine, compute_type=quantization.value if computes_so else "float32"),
            Bounds(tolerance=_COST[quantization.matrices], same_words=False),
        ),
    ]
