"""An embedded model with random weights, for tests; what it translates is noise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.models import random_model, save_model

from pellucid.text.tokenizer import BytesTokenizer, Tokenizer

__all__ = ["TAGS", "embed_random_model"]

TAGS = (">>en<<", ">>fr<<", ">>de<<")


def embed_random_model(folder: Path, monkeypatch: pytest.MonkeyPatch, *, tokenizer: Tokenizer | None = None) -> Path:
    """Write a model with the tags of the embedded one in int8, and let the names of the directions stand for it.

    Without a tokenizer that has these tags it is one of bytes.
    """
    tokenizer = tokenizer or BytesTokenizer(tags=TAGS)
    model = random_model(tokenizer, seed=11, noise=0.3, max_positions=307)
    languages = {"source_language": "mul", "target_language": "mul"}
    save_model(folder, model, tokenizer, card="# Noise\n", dtype=torch.int8, **languages)
    monkeypatch.setattr("pellucid.sample.embedded.EMBEDDED_FOLDER", folder)
    return folder
