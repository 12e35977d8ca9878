"""The ways to cut a word into pieces, each with its weight.

A unigram tokenizer has a probability for every way. Kudo 2018, section 3.3: of the l most probable ways, one is drawn
with a probability proportional to P^alpha. Pieces do not cross words, so the words of a sentence are drawn one by one.
A text without spaces is one long word, of which only the l best ways can be drawn.

A BPE tokenizer joins pairs of pieces, the oldest pair first. With BPE-dropout (Provilkov et al. 2020, section 3.1) each
pair is left out with a probability at each step. Here l words are drawn in this way, and each then counts alike. Read
``epochs.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.errors import ConfigError
from pellucid.text.subword import Side
from pellucid.text.vocabulary import WORD_BOUNDARY, byte_piece

__all__ = ["Cutter", "Ways", "drop_merges"]

_MODEL_TYPES = ("unigram", "bpe")


@dataclass(frozen=True)
class Ways:
    """The ways to cut one word, the usual way first, and their weights, which need not sum to 1."""

    ids: list[list[int]]
    weights: list[float]


class Cutter:
    """Finds the ways to cut the words of one side.

    Args:
        side: the side of a tokenizer.
        alpha: exponent of the probabilities (unigram), or probability to leave a pair out (BPE).
        most: number of ways of a word, l in Kudo 2018.
        generator: draws for BPE.
        setting: name of the setting of alpha, for messages.

    Raises:
        ConfigError: the tokenizer has only one way, or alpha is no probability.
    """

    def __init__(
        self, side: Side, *, alpha: float, most: int, generator: np.random.Generator, setting: str = "alpha"
    ) -> None:
        segmenter = side.segmenter
        kind = segmenter.file.model_type if segmenter else "bytes"
        if segmenter is None or kind not in _MODEL_TYPES:
            raise ConfigError(
                f"{setting} = {alpha:g}: a tokenizer of the kind {kind!r} cuts a text in one way only; use "
                f"{setting} = 0, or a tokenizer of model_type = 'unigram' or 'bpe'"
            )
        if kind == "bpe" and alpha >= 1:
            raise ConfigError(
                f"{setting} = {alpha:g} with a BPE tokenizer is the probability to leave a pair out; use less than 1, "
                "as in 0.1"
            )
        self._side, self._segmenter = side, segmenter
        self._alpha, self._most, self._draw = alpha, most, _numbers(generator).__next__
        vocabulary, specials = side.vocabulary, side.vocabulary.specials
        bytes_ = {vocabulary.ids.get(byte_piece(value), specials.unk) for value in range(256)}
        self._wordless = {specials.pad, specials.unk, specials.bos, specials.eos, *bytes_}
        self._wordless |= {vocabulary.ids[tag] for tag in vocabulary.tags}
        self._find: Callable[[str], tuple[list[list[int]], list[float]]] = (
            self._probable if kind == "unigram" else self._dropped
        )
        self._ranks = {} if kind == "unigram" else {piece: -score for piece, score in segmenter.scores().items()}

    def begins_word(self) -> np.ndarray:
        """Return for each id whether it begins a word; bool [vocabulary]."""
        found = [piece.startswith(WORD_BOUNDARY) for piece in self._side.vocabulary.pieces]
        for tag in self._side.vocabulary.tags:
            found[self._side.vocabulary.ids[tag]] = True
        return np.array(found, dtype=np.bool_)

    def ways(self, ids: Sequence[int]) -> Ways:
        """Return the ways to cut the word of these ids. All join to the same text.

        A word with a special piece, a tag, or bytes in place of a character has one way.
        """
        usual = list(ids)
        text = self._text(usual)
        if text is None:
            return Ways([usual], [1.0])
        others, weights = self._find(text)
        found: dict[tuple[int, ...], float] = {tuple(usual): 0.0}
        surface = self._surface(usual)
        for way, weight in zip(others, weights, strict=True):
            if self._wordless.isdisjoint(way) and self._surface(way) == surface:
                found[tuple(way)] = found.get(tuple(way), 0.0) + weight
        if not any(found.values()):
            return Ways([usual], [1.0])
        return Ways([list(way) for way in found], list(found.values()))

    def _text(self, ids: list[int]) -> str | None:
        """Return the word as the segmenter reads it; None if it must stay as it is."""
        if not self._wordless.isdisjoint(ids):
            return None
        text = self._surface(ids).decode("utf-8")
        if self._segmenter.file.dummy_prefix:
            return text[1:] if text[:1] == " " and len(text) > 1 else None
        return text

    def _surface(self, ids: Sequence[int]) -> bytes:
        return b"".join([self._side.vocabulary.surfaces[i] for i in ids])

    def _probable(self, text: str) -> tuple[list[list[int]], list[float]]:
        found = self._segmenter.best_ways(text, self._most)
        top = max((score for _, score in found), default=0.0)
        weights = [math.exp(self._alpha * (score - top)) for _, score in found]
        return [self._side.ids_of(ids) for ids, _ in found], weights

    def _dropped(self, text: str) -> tuple[list[list[int]], list[float]]:
        prefix = " " if self._segmenter.file.dummy_prefix else ""
        word = (prefix + text).replace(" ", WORD_BOUNDARY)
        ids, unk = self._side.vocabulary.ids, self._side.vocabulary.specials.unk
        drawn = (drop_merges(word, self._ranks, rate=self._alpha, draw=self._draw) for _ in range(self._most))
        return [[ids.get(piece, unk) for piece in pieces] for pieces in drawn], [1.0] * self._most


def drop_merges(word: str, ranks: Mapping[str, float], *, rate: float, draw: Callable[[], float]) -> list[str]:
    """Join the characters of a word to pieces; at each step each possible pair is left out with probability ``rate``.

    Args:
        word: with the mark of a space in front.
        ranks: the rank of each piece; of the pairs that are not left out, the one with the lowest rank is joined.
        rate: 0 gives the usual pieces.
        draw: returns a random number from 0 to 1, 1 excluded.
    """
    pieces = list(word)
    while True:
        place, lowest = -1, math.inf
        for i, pair in enumerate(map(str.__add__, pieces, pieces[1:])):
            # A pair that is not the first of those so far need not be drawn.
            if (rank := ranks.get(pair, math.inf)) < lowest and draw() >= rate:
                place, lowest = i, rank
        if place < 0:
            return pieces
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]


def _numbers(generator: np.random.Generator) -> Iterator[float]:
    while True:
        yield from generator.random(1 << 16).tolist()
