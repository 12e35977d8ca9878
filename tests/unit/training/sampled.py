"""What a run with subword sampling trains with: a store of words, their tokenizer, and a model of that size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pellucid.config import TokenizerConfig
from pellucid.text.corpus import SentencePair
from pellucid.text.sampling.epochs import subword_sampler
from pellucid.text.store import write_store
from pellucid.text.tokenizer import train_tokenizer

try:
    from .kit import tiny_model, training_config
except ImportError:  # run as a script, by a process of several
    from kit import tiny_model, training_config  # type: ignore[import-not-found, no-redef]


def sampled_inputs(folder: Path) -> dict[str, Any]:
    """Return store, validation store, tokenizer, sampler and model for ``run_training``; always the same."""
    generator = np.random.default_rng(5)
    words = [stem + ending for stem in ("walk", "talk", "jump", "play", "rain") for ending in ("", "s", "ed", "ing")]

    def sentence() -> str:
        return " ".join(words[i] for i in generator.integers(0, len(words), size=generator.integers(1, 6)))

    pairs = [SentencePair(sentence(), sentence(), line=line, corpus=0) for line in range(70)]
    config = TokenizerConfig.model_validate({"vocab_size": 295})
    tokenizer = train_tokenizer(lambda: pairs, config, seed=1, threads=1)
    store = write_store(folder / "train", pairs, tokenizer, max_length=60)
    asked = {"source_subword_alpha": 0.2, "target_subword_alpha": 0.3, "batch_size": 80}
    size = tokenizer.source_vocab_size
    return {
        "store": store,
        "valid_store": write_store(folder / "valid", pairs[:9], tokenizer, max_length=60),
        "tokenizer": tokenizer,
        "sampler": subword_sampler(store, tokenizer, training_config(**asked)),
        "model": tiny_model(source_vocab_size=size, target_vocab_size=size, dropout=0.0),
    }
