"""Small models with random weights, in memory and as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pellucid.bundle import save_bundle
from pellucid.config import ModelConfig, SpecialIds
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer

SHAPE: dict[str, object] = {
    "d_model": 18,
    "num_heads": 3,
    "d_feedforward": 23,
    "num_encoder_layers": 1,
    "num_decoder_layers": 2,
    "max_positions": 67,
}


def random_model(
    tokenizer: Any = None,
    *,
    vocabulary: int | None = None,
    seed: int = 3,
    noise: float = 0.0,
    vector_noise: float = 0.0,
    dtype: torch.dtype = torch.float32,
    **changes: object,
) -> Transformer:
    """Return a model of ``SHAPE`` with ``changes``.

    It is for ``tokenizer``, or for a ``vocabulary`` of that size on both sides, or for the tokenizer of bytes. Biases
    start at 0 and norms at 1, so a pass that forgets one would show no difference: ``vector_noise`` is the deviation of
    what is added to each of them, ``noise`` that of what is added to every parameter.
    """
    tokenizer = tokenizer or BytesTokenizer()
    sizes = {
        "source_vocab_size": vocabulary or tokenizer.source_vocab_size,
        "target_vocab_size": vocabulary or tokenizer.target_vocab_size,
        "specials": SpecialIds() if vocabulary else tokenizer.specials,
    }
    torch.manual_seed(seed)
    model = Transformer(ModelConfig.model_validate(SHAPE | sizes | changes)).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if deviation := noise or (vector_noise if parameter.dim() == 1 else 0.0):
                parameter += deviation * torch.randn_like(parameter)
    return model


def save_model(
    folder: Path, model: Transformer, tokenizer: BytesTokenizer | Tokenizer | None = None, **more: Any
) -> Path:
    """Write a model folder from German to English, unless ``more`` says otherwise, and return it."""
    facts = {"card": "", "source_language": "de", "target_language": "en"}
    save_bundle(folder, model, tokenizer=tokenizer or BytesTokenizer(), **(facts | more))
    return folder
