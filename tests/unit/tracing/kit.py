"""Small translators for the tests of traces: random weights, a vocabulary of words or of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tests.models import random_model

from pellucid.config import SpecialIds, TranslationConfig
from pellucid.model.transformer import Transformer
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.translator import Translator

WORDS = ("ein", "Hund", "rennt", "schläft", "Katze", "zwei", "a", "dog", "runs")


class WordTokenizer:
    """One piece a word, from a list; what is not in it is unknown."""

    specials = SpecialIds()
    fingerprint = "words"

    def __init__(self) -> None:
        self.pieces = ["<pad>", "<unk>", "<s>", "</s>", *(f"\u2581{word}" for word in WORDS)]
        self.source_vocab_size = self.target_vocab_size = len(self.pieces)

    source_tags = ()
    default_tag = ""

    def split_tag(self, text: str) -> tuple[str, str]:
        return "", text

    def encode_source(self, texts: Sequence[str]) -> list[list[int]]:
        return [[self.source_id(f"\u2581{word}") or 1 for word in text.split()] for text in texts]

    encode_target = encode_source

    def decode_target(self, ids: Sequence[Sequence[int]]) -> list[str]:
        return [" ".join(self.pieces[i].removeprefix("\u2581") for i in row if i > 3) for row in ids]

    decode_source = decode_target

    def source_pieces(self, ids: Sequence[int]) -> list[str]:
        return [self.pieces[i] for i in ids]

    target_pieces = source_pieces

    def source_id(self, piece: str) -> int | None:
        return self.pieces.index(piece) if piece in self.pieces else None

    target_id = source_id

    def save(self, folder: Path) -> list[str]:
        raise NotImplementedError


def make_model(tokenizer: WordTokenizer | BytesTokenizer, **changes: object) -> Transformer:
    return random_model(tokenizer, vector_noise=0.1, dtype=torch.float64, **({"max_positions": 29} | changes))


def make_translator(tokenizer: WordTokenizer | BytesTokenizer | None = None, **changes: object) -> Translator:
    tokenizer = tokenizer or WordTokenizer()
    # Whatever the first weights are: three pieces at least, five at most.
    config = TranslationConfig(beam_size=3, min_length=3, max_length_factor=1e-9, max_length_constant=5)
    return Translator(make_model(tokenizer, **changes), tokenizer, config=config)
