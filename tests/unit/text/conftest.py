"""A made-up language pair, large enough to learn a tokenizer from."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pellucid.config import TokenizerConfig
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import Tokenizer, train_tokenizer

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "é", "ä")]


def made_up_pairs(count: int, *, seed: int = 11) -> list[SentencePair]:
    generator = random.Random(seed)
    words = ["".join(generator.choices(SYLLABLES, k=generator.randint(1, 3))) for _ in range(211)]

    def sentence() -> str:
        return " ".join(generator.choices(words, k=generator.randint(2, 11))).capitalize() + generator.choice(".!?")

    return [SentencePair(sentence(), sentence(), line, 0) for line in range(count)]


def learn(config: TokenizerConfig, pairs: list[SentencePair] | None = None, **options: object) -> Tokenizer:
    chosen = PAIRS if pairs is None else pairs
    arguments: dict[str, object] = {"seed": 1, "threads": 1} | options
    return train_tokenizer(lambda: chosen, config, **arguments)  # type: ignore[arg-type]


PAIRS = made_up_pairs(701)


@pytest.fixture(scope="session")
def pairs() -> list[SentencePair]:
    return PAIRS


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return learn(TokenizerConfig())


@pytest.fixture(scope="session")
def learnt() -> Callable[..., Tokenizer]:
    return learn
