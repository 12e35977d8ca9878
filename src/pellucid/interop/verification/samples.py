"""Sentences to compare two models on: given ones, or random ones from the pieces of the vocabulary.

Random ones need no meaning: they use every part of the arithmetic too. Lengths differ, so that padding does; there
are characters that no vocabulary has, language tags, and pieces of the target side.
Read ``comparison.py`` next.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.config import SpecialIds
from pellucid.errors import DataError
from pellucid.text.formats.encodings import looks_like
from pellucid.text.normalisation import tidy
from pellucid.text.tokenizer import Tokenizer
from pellucid.text.vocabulary import Vocabulary

__all__ = ["Sample", "make_samples", "read_sentences"]

_NUMBER: Final = 24
_LONGEST: Final = 29
_MOST_LINES: Final = 200
_TAG: Final = re.compile(r">>\S+<<")
_LETTER: Final = re.compile(r"<0x(6[1-9A-F]|7[0-9A])>")
_STRANGERS: Final = ("\u2603", "\U00010348\u2603", "\u4e2d\u2603x")
"""Characters that a vocabulary seldom has: both sides must fall back in the same way."""


@dataclass(frozen=True)
class Sample:
    """A source text, and a forced target as pieces, without its end of sentence."""

    text: str
    target: tuple[str, ...]


def read_sentences(path: Path) -> list[str]:
    """Read the first 200 source sentences, one a line; blank lines are skipped.

    Raises:
        DataError: the file cannot be read, is not UTF-8, or has only blank lines.
    """
    try:
        raw = path.read_bytes()
        lines = [line.removesuffix("\r") for line in raw.decode("utf-8").split("\n")]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; name a file with a sentence a line") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not valid UTF-8 at byte {error.start}{looks_like(raw)}; convert it") from None
    if not (sentences := [line for line in lines if line.strip()][:_MOST_LINES]):
        raise DataError(f"{path}: holds no sentence; write one source sentence a line")
    return sentences


def make_samples(
    tokenizer: Tokenizer, *, max_positions: int, sentences: Sequence[str] = (), seed: int = 7
) -> list[Sample]:
    """Return samples for a model; without sentences they are drawn from its vocabulary. They depend on ``seed`` alone.

    Sentences that do not fit into ``max_positions`` are left out.

    Raises:
        DataError: no given sentence fits, or the vocabulary is empty.
    """
    generator = random.Random(seed)
    longest = min(_LONGEST, max_positions - 1)
    source, target = _plain(tokenizer.source.vocabulary), _plain(tokenizer.target.vocabulary)
    if not source or not target:
        raise DataError("the vocabulary has no pieces apart from special ones, so there is nothing to compare")
    texts = list(sentences)
    if not texts:
        lengths = [1 + place * (longest - 1) // (_NUMBER - 1) for place in range(_NUMBER)]
        generator.shuffle(lengths)
        for place, length in enumerate(lengths):
            # Every third uses pieces of the other side, which this segmenter may not know.
            pieces = generator.choices(target if place % 3 == 2 else source, k=length)
            texts.append(_spelt("".join(pieces)))
        texts += [f"{texts[place]} {stranger}" for place, stranger in enumerate(_STRANGERS)]
        # A model that brings text into NFC must do so in its copy too.
        texts += [unicodedata.normalize("NFD", text) for text in texts if not text.isascii()][:2]
        texts += [f"{texts[place]} {stranger}" for place, stranger in enumerate(_other_sides_characters(tokenizer))]
        # Taken from the vocabulary, since the comparison tests whether the tokenizer knows them as tags.
        tags = [piece for piece in tokenizer.source.vocabulary.pieces if _TAG.fullmatch(piece)]
        texts += [f"{tag}{texts[place]}" for place, tag in enumerate(tags[:3])]
    # pellucid removes some characters before it cuts a text, and the other side must not see those either.
    texts = [tidy(text) for text in texts]
    lengths_in_pieces = [len(ids) for ids in tokenizer.encode_source(texts)]
    kept = [text for text, length in zip(texts, lengths_in_pieces, strict=True) if 0 < length < max_positions]
    if not kept:
        raise DataError(f"no sample sentence has 1 to {max_positions - 1} pieces, which this model can read")
    return [Sample(text, tuple(generator.choices(target, k=generator.randint(1, longest)))) for text in kept]


def _other_sides_characters(tokenizer: Tokenizer) -> list[str]:
    """Return up to three characters that the vocabulary has and the source segmenter has not."""
    segmenter = tokenizer.source.segmenter
    known = set(segmenter.pieces) if segmenter else set()
    return [piece for piece in _plain(tokenizer.source.vocabulary) if len(piece) == 1 and piece not in known][:3]


def _plain(vocabulary: Vocabulary) -> list[str]:
    specials: SpecialIds = vocabulary.specials
    taken = {*specials.model_dump().values(), *(vocabulary.ids[tag] for tag in vocabulary.tags)}
    # Bytes alone rarely form a character, and a sample should be text.
    found = [
        piece
        for number, piece in enumerate(vocabulary.pieces)
        if number not in taken and not (piece.startswith("<") and piece.endswith(">"))
    ]
    return found or [piece for piece in vocabulary.pieces if _LETTER.fullmatch(piece)]


def _spelt(pieces: str) -> str:
    return _LETTER.sub(lambda found: chr(int(found[1], 16)), pieces).replace("\u2581", " ").strip()
