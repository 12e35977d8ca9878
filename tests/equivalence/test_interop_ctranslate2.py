"""CTranslate2 computes what pellucid does: 732 forced pairs of different lengths, padded and alone, in 12 shapes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from tests.unit.interop.ctranslate2.test_ctranslate2 import our_model
from tests.unit.interop.kit import sentences

from pellucid.bundle import load_bundle
from pellucid.config import TokenizerConfig
from pellucid.interop.ctranslate2.engine import CTranslate2Model
from pellucid.interop.ctranslate2.writing import write_ctranslate2
from pellucid.interop.verification.comparison import PellucidModel
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import Tokenizer, train_tokenizer

ctranslate2 = pytest.importorskip("ctranslate2", reason="the extra ctranslate2 is not installed")

DEPTHS = [(1, 2), (3, 1), (6, 6)]
PAIRS = 61
"""For each shape; as many as there are lengths, which come in as many combinations."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    pairs = [SentencePair(a, b, n, 0) for n, (a, b) in enumerate(zip(sentences(1), sentences(2), strict=True))]
    return train_tokenizer(lambda: pairs, TokenizerConfig(vocab_size="auto"), seed=1, threads=1)


@pytest.mark.parametrize("depth", DEPTHS, ids=lambda depth: f"{depth[0]}+{depth[1]}")
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("norm_order", ["post", "pre"])
def test_forced_pairs_padded_and_alone(
    norm_order: str, tied: bool, depth: tuple[int, int], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    changes = {"share_embeddings": tied, "share_decoder_embeddings": tied, "norm_order": norm_order}
    sizes = {"num_encoder_layers": depth[0], "num_decoder_layers": depth[1], "d_model": 22, "num_heads": 11}
    bundle = load_bundle(our_model(tmp_path / "ours", tokenizer, **changes, **sizes))
    (tmp_path / "out").mkdir()
    write_ctranslate2(bundle, tmp_path / "out")
    translator = ctranslate2.Translator(str(tmp_path / "out"), intra_threads=1)
    ours = PellucidModel(bundle.model, tokenizer)
    dice = random.Random(7)
    plain = range(4, len(ours.target_pieces))
    sources, targets = (
        [[*dice.choices(plain, k=1 + (n * step) % 61), ours.eos_id] for n in range(PAIRS)] for step in (7, 11)
    )
    wanted = [
        ours.log_probabilities(source, target)[torch.arange(len(target)), torch.tensor(target)]
        for source, target in zip(sources, targets, strict=True)
    ]
    pieces = [[[ours.target_pieces[i] for i in row[:-1]] for row in side] for side in (sources, targets)]
    padded = translator.score_batch(*pieces)
    alone = [translator.score_batch([source], [target])[0] for source, target in zip(*pieces, strict=True)]
    for found in (padded, alone):
        for row, expected in zip(found, wanted, strict=True):
            assert len(row.log_probs) == len(expected)
            assert float((torch.tensor(row.log_probs, dtype=torch.float64) - expected).abs().max()) < 1e-5
    # All pieces of the vocabulary, step by step through the cache.
    engine = CTranslate2Model(tmp_path / "out")
    for place in range(0, PAIRS, 29):
        left, right = (e.log_probabilities(sources[place], targets[place]) for e in (ours, engine))
        assert float((left - right).abs().max()) < 1e-5
    stepper, other = ours.stepper(), engine.stepper()
    for searched in (stepper, other):
        searched.start(sources[:3])
    first = [searched.step(None) for searched in (stepper, other)]
    second = [searched.step(first[0].argmax(-1)) for searched in (stepper, other)]
    assert float((second[0] - second[1]).abs().max()) < 1e-5
