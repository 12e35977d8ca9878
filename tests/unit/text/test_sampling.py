"""Subword sampling draws other pieces for the same text: by the weights of the paper, and again the same on demand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pellucid.config import TokenizerConfig, TrainingConfig
from pellucid.errors import ConfigError
from pellucid.text.corpus import SentencePair
from pellucid.text.sampling.epochs import SubwordSampler, subword_sampler
from pellucid.text.sampling.ways import Cutter, drop_merges
from pellucid.text.store import TokenStore, write_store
from pellucid.text.tokenizer import Tokenizer, train_tokenizer

STEMS = ("walk", "talk", "jump", "play", "rain", "snow", "lift", "wait")
ENDINGS = ("", "s", "ed", "ing", "er", "ers")


def some_pairs(count: int = 120) -> list[SentencePair]:
    generator = np.random.default_rng(5)
    words = [stem + ending for stem in STEMS for ending in ENDINGS]

    def sentence() -> str:
        return " ".join(words[i] for i in generator.integers(0, len(words), size=generator.integers(1, 7)))

    pairs = [SentencePair(sentence(), sentence(), line=line, corpus=0) for line in range(count)]
    # What is not a plain word: a character without a piece, the mark of a space, spaces, digits, no letter.
    odd = ("walks \u2603 talked", "a \u2581 b", " jumps  played ", "12 waits 345", ".")
    return [*pairs, *(SentencePair(text, text, line=count + i, corpus=0) for i, text in enumerate(odd))]


def tokenizer_of(model_type: str, pairs: list[SentencePair]) -> Tokenizer:
    config = TokenizerConfig.model_validate({"model_type": model_type, "vocab_size": 322})
    return train_tokenizer(lambda: pairs[:-5], config, seed=1, threads=1)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, TokenStore]:
    pairs = some_pairs()
    tokenizer = tokenizer_of(request.param, pairs)
    return tokenizer, write_store(tmp_path_factory.mktemp("store") / "s", pairs, tokenizer, max_length=60)


def sampler(prepared: tuple[Tokenizer, TokenStore], **changes: object) -> SubwordSampler:
    tokenizer, store = prepared
    settings = {"source_subword_alpha": 0.3, "target_subword_alpha": 0.2, "batch_size": 100, "max_length": 60}
    made = subword_sampler(store, tokenizer, TrainingConfig.model_validate(settings | changes))
    assert made is not None
    return made


def test_every_epoch_has_other_pieces_of_the_same_text(prepared: tuple[Tokenizer, TokenStore]) -> None:
    tokenizer, store = prepared
    sampled = sampler(prepared)
    rows = range(len(store))
    epochs = [sampled.epoch(number) for number in range(3)]
    for ids in epochs:
        assert tokenizer.decode_source([ids.source(row).tolist() for row in rows]) == tokenizer.decode_source(
            [store.source(row).tolist() for row in rows]
        )
        assert tokenizer.decode_target([ids.target(row).tolist() for row in rows]) == tokenizer.decode_target(
            [store.target(row).tolist() for row in rows]
        )
        assert [len(ids.source(row)) for row in rows] == ids.source_lengths.tolist()
    texts = [[ids.source(row).tolist() for row in rows] for ids in epochs]
    assert texts[0] != texts[1] != texts[2] != texts[0]
    again = sampler(prepared).epoch(2)
    assert [again.source(row).tolist() for row in rows] == texts[2]


def test_one_side_can_be_sampled_alone(prepared: tuple[Tokenizer, TokenStore]) -> None:
    _, store = prepared
    ids = sampler(prepared, target_subword_alpha=0).epoch(1)
    assert all(np.array_equal(ids.target(row), store.target(row)) for row in range(len(store)))
    assert not all(np.array_equal(ids.source(row), store.source(row)) for row in range(len(store)))


def test_a_sentence_that_would_be_too_long_keeps_its_usual_pieces(prepared: tuple[Tokenizer, TokenStore]) -> None:
    _, store = prepared
    free = sampler(prepared).epoch(0)
    longest = int(np.median(free.source_lengths))
    bounded = sampler(prepared, max_length=longest).epoch(0)
    over = free.source_lengths + 1 > longest
    assert 0 < over.sum() < len(over)
    for row in range(len(store)):
        expected = store.source(row) if over[row] else free.source(row)
        assert np.array_equal(bounded.source(row), expected)


def test_unigram_ways_have_the_probabilities_of_kudo(prepared: tuple[Tokenizer, TokenStore]) -> None:
    tokenizer, _ = prepared
    segmenter = tokenizer.source.segmenter
    assert segmenter is not None
    if segmenter.file.model_type != "unigram":
        pytest.skip("BPE has no probabilities")
    scores, (word,) = segmenter.scores(), tokenizer.encode_source(["walking"])
    ways = Cutter(tokenizer.source, alpha=0.4, most=8, generator=np.random.default_rng(1)).ways(word)
    assert ways.ids[0] == word
    assert 2 < len(ways.ids) <= 8
    for ids, weight in zip(ways.ids, ways.weights, strict=True):
        likelihood = sum(scores[piece] for piece in tokenizer.source_pieces(ids))
        best = sum(scores[piece] for piece in tokenizer.source_pieces(word))
        assert weight == pytest.approx(math.exp(0.4 * (likelihood - best)))
    # One word, 4,000 times: its ways are drawn as often as their weights say.
    drawn: Counter[tuple[int, ...]] = Counter()
    one = TokenStoreOf(word)
    config = TrainingConfig.model_validate({"source_subword_alpha": 0.4, "subword_nbest": 8})
    for epoch in range(4):
        ids = SubwordSampler(one, tokenizer, config).epoch(epoch)  # type: ignore[arg-type]
        drawn.update(tuple(ids.source(row).tolist()) for row in range(1000))
    total = sum(ways.weights)
    for ids, weight in zip(ways.ids, ways.weights, strict=True):
        share = weight / total
        assert drawn[tuple(ids)] / 4000 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))


class TokenStoreOf:
    """A store of 1,000 sentences of one word."""

    def __init__(self, word: list[int]) -> None:
        self.source_ids = self.target_ids = np.array(word * 1000, dtype=np.uint16)
        self.source_lengths = self.target_lengths = np.full(1000, len(word), dtype=np.int64)


def test_bpe_without_dropout_is_the_usual_cut(prepared: tuple[Tokenizer, TokenStore]) -> None:
    tokenizer, _ = prepared
    segmenter = tokenizer.source.segmenter
    assert segmenter is not None
    if segmenter.file.model_type != "bpe":
        pytest.skip("unigram joins no pairs")
    ranks = {piece: -score for piece, score in segmenter.scores().items()}
    draw = np.random.default_rng(1).random
    for word in (stem + ending for stem in STEMS for ending in ENDINGS):
        (ids,) = tokenizer.encode_source([word])
        pieces = drop_merges("\u2581" + word, ranks, rate=0.0, draw=draw)
        assert pieces == tokenizer.source_pieces(ids)
        assert "".join(drop_merges("\u2581" + word, ranks, rate=0.9, draw=draw)) == "\u2581" + word


def test_bytes_cannot_be_cut_in_other_ways(tmp_path: Path) -> None:
    pairs = some_pairs(5)
    tokenizer = train_tokenizer(lambda: pairs, TokenizerConfig(kind="bytes"), seed=1, threads=1)
    store = write_store(tmp_path / "s", pairs, tokenizer, max_length=200)
    config = TrainingConfig(source_subword_alpha=0.1)
    with pytest.raises(ConfigError, match=r"training\.source_subword_alpha = 0\.1.*one way only"):
        subword_sampler(store, tokenizer, config)
    assert subword_sampler(store, tokenizer, TrainingConfig()) is None
