"""Which comparisons prove a CTranslate2 folder, and what each may differ by.

    float32              with the model itself: the last bits
    any rounding         with the model rounded the same way: the last bits; every mistake but rounding shows here
                         with the model itself, computed as CTranslate2 will: what the rounding costs, within bounds

Read ``formats.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pellucid.bundle import Bundle
from pellucid.interop.ctranslate2_config import Quantization, ctranslate2_library
from pellucid.interop.ctranslate2_engine import CTranslate2Engine
from pellucid.interop.ctranslate2_file import read_ctranslate2_file
from pellucid.interop.ctranslate2_rounding import rounded
from pellucid.interop.verification import EXACT, Bounds, Pair, PellucidEngine
from pellucid.text.subword import SentencePieceTokenizer

__all__ = ["COST", "ctranslate2_pairs"]

_STEPS: Final = Bounds(tolerance=2e-3)
"""Matrices in steps are multiplied out in float32 by CTranslate2, in another order of operations."""

COST: Final = {
    Quantization.FLOAT16: 0.1,
    Quantization.BFLOAT16: 1.0,
    Quantization.INT16: 0.5,
    Quantization.INT8: 3.0,
    Quantization.INT8_FLOAT32: 3.0,
    Quantization.INT8_FLOAT16: 3.0,
    Quantization.INT8_BFLOAT16: 3.0,
}
"""Largest difference of log-probabilities that the rounding may cost, of all pieces of the vocabulary."""


def ctranslate2_pairs(bundle: Bundle, folder: Path) -> Sequence[Pair]:
    """Return the comparisons of a model with a folder that was written of it.

    Raises:
        BundleError: ``model.bin`` is missing or damaged.
        ConfigError: ctranslate2 is not installed.
    """
    tokenizer = bundle.tokenizer
    if not isinstance(tokenizer, SentencePieceTokenizer):
        raise ValueError("ask ctranslate2_refusals first")
    library = ctranslate2_library()
    quantization = read_ctranslate2_file(folder / "model.bin").quantization
    normaliser = tokenizer.source.normaliser
    engine = partial(
        CTranslate2Engine,
        folder,
        tags=tokenizer.source.vocabulary.tags,
        nfc=normaliser.form == "nfc",
        lowercase=normaliser.lowercase,
    )
    itself = partial(PellucidEngine, bundle.model, tokenizer)
    if quantization is Quantization.FLOAT32:
        return [Pair(itself, engine, EXACT)]
    steps = quantization.value.startswith("int")
    computes_so = quantization.value in library.get_supported_compute_types("cpu")
    return [
        Pair(
            lambda: PellucidEngine(
                rounded(bundle.model, quantization), tokenizer, name=f"pellucid rounded to {quantization.value}"
            ),
            engine,
            _STEPS if steps else EXACT,
        ),
        Pair(
            itself,
            partial(engine, compute_type=quantization.value if computes_so else "float32"),
            Bounds(tolerance=COST[quantization], same_words=False),
        ),
    ]
