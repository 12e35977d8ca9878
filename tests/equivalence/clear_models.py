"""Random models with clear choices, and sentences for them: what the tests of the engines compare with torch."""

from __future__ import annotations

import numpy as np
from tests.models import random_model

from pellucid.model.transformer import Transformer

PAD, UNK, BOS, EOS = 0, 1, 2, 3
VOCAB = 151

VARIANTS: dict[str, dict[str, object]] = {
    "paper": {},
    "pre-norm": {"norm_order": "pre"},
    "separate vocabularies": {"share_embeddings": False, "source_vocab_size": 167},
    "nothing tied": {"share_embeddings": False, "share_decoder_embeddings": False, "output_bias": True},
    "zero vector, swish": {"decoder_start": "zero_vector", "activation": "swish"},
    "pad, gelu, no scale": {"decoder_start": "pad", "activation": "gelu", "scale_embeddings": False},
    "learned positions": {"position_layout": "learned", "position_offset": 2},
    "half split": {"position_layout": "half_split_t2t", "output_bias": True},
    "one head": {"num_heads": 1},
    "many heads": {"num_heads": 19},
}

SHORT: dict[str, object] = {"max_length_factor": 1.0, "max_length_constant": 12}
"""Random models seldom end, and 14 to 25 pieces show what 60 do."""


def clear_model(**changes: object) -> Transformer:
    """Make a model whose next pieces differ clearly, so that rounding to float32 decides nothing."""
    shape = {"d_model": 38, "num_heads": 2, "d_feedforward": 53, "num_encoder_layers": 2, "num_decoder_layers": 3}
    shape |= {"max_positions": 61} | changes
    return random_model(vocabulary=VOCAB, seed=11, noise=0.2, **shape)


def sentences(count: int, *, seed: int = 3) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [[*generator.integers(4, VOCAB, size=generator.integers(1, 13)).tolist(), EOS] for _ in range(count)]
