"""The attention of one layer as pictures show it: chosen heads, with labels, in pieces or merged to words.

Merging sums the columns of the pieces of a word and averages their rows, so a row still sums to 1. Other tools
take the first or the largest piece, so a picture of words states this rule. Read ``figures/plots.py`` or
``figures/terminal.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pellucid.errors import RequestError
from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, refuse_outside
from pellucid.tracing.tokens import Labels, Tokens
from pellucid.translation.alignment.words import Word, merge_words

__all__ = [
    "MERGING_RULE",
    "AttentionPicture",
    "attention_picture",
    "axis_words",
    "merge_matrix",
    "merge_rows",
    "refuse_heads",
    "sentence_case",
]

MERGING_RULE: Final = "words: summed over the pieces looked at, averaged over the pieces that look"


@dataclass(frozen=True, eq=False)
class AttentionPicture:
    """The weights [heads, rows, columns] of the chosen heads of one layer, with their labels."""

    kind: AttentionKind
    layer: int
    heads: tuple[int, ...]
    weights: Array
    labels: Labels
    is_merged: bool

    @property
    def place(self) -> str:
        """The kind and layer, in words."""
        where = {
            AttentionKind.ENCODER: "encoder self-attention",
            AttentionKind.DECODER: "decoder self-attention",
            AttentionKind.CROSS: "decoder attention over the encoder",
        }
        return f"{where[self.kind]}, layer {self.layer}"

    @property
    def reading(self) -> str:
        """How to read it, in words."""
        unit = "word" if self.is_merged else "piece"
        if self.labels.predicts is None:
            return f"each row is a {unit} that looks at the columns"
        return f"each row looks at the columns: it was fed the {unit} on its left and predicts the one on its right"


def sentence_case(text: str) -> str:
    """Return a text with its first letter large."""
    return text[:1].upper() + text[1:]


def refuse_heads(heads: Sequence[int], count: int) -> None:
    """Refuse a choice of heads that no picture can show.

    Raises:
        RequestError: a head does not exist, no head is chosen, or one is chosen twice.
    """
    for head in heads:
        refuse_outside("head", head, range(count))
    if not heads or len(set(heads)) < len(heads):
        raise RequestError(f"heads = {list(heads)}; name each head once, and at least one")


def attention_picture(
    trace: Trace, kind: str = "cross", *, layer: int | None = None, heads: Sequence[int] | None = None, words: bool
) -> AttentionPicture:
    """Return the weights to show: of a layer, by default the last, and of some heads, by default all.

    Raises:
        RequestError: the kind, a layer or a head does not exist, or a head is named twice.
    """
    wanted = AttentionKind.named(kind)
    layers = sorted({int(site.split(".")[1]) for site in wanted.weights_among(trace.sites)})
    if not layers:
        raise RequestError(f"this trace has no {wanted.value} weights; trace.sites lists its sites")
    layer = layers[-1] if layer is None else layer
    refuse_outside("layer", layer, layers)
    weights = trace[f"{wanted.at(layer)}.weights"]
    heads = tuple(range(len(weights)) if heads is None else heads)
    refuse_heads(heads, len(weights))
    labels = trace.tokens.labels(wanted)
    chosen = weights[list(heads)]
    if words:
        rows, columns = axis_words(trace.tokens, wanted)
        chosen = merge_matrix(chosen, rows=rows, columns=columns)
        labels = _word_labels(trace.tokens, wanted, rows, columns)
    return AttentionPicture(wanted, layer, heads, chosen, labels, words)


def axis_words(tokens: Tokens, kind: AttentionKind) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Return the words along the rows and along the columns of an attention; their spans cover each side.

    Rows of the decoder are predicted words; its columns, in self-attention, are the words that were fed, beginning
    with the start alone.
    """
    if kind is AttentionKind.ENCODER:
        return tokens.source_words, tokens.source_words
    columns = fed_words(tokens) if kind is AttentionKind.DECODER else tokens.source_words
    return tokens.target_words, columns


def fed_words(tokens: Tokens) -> tuple[Word, ...]:
    """Return the words of the decoder's input: the predicted words, one position later, without the last piece."""
    words = [Word(tokens.fed_pieces[0], 0, 1)]
    for word in tokens.target_words:
        start, end = word.start + 1, min(word.end + 1, tokens.target_length)
        if start >= end:
            continue
        text = word.text
        if end < word.end + 1:  # the last piece of the last word was never fed
            pieces = tokens.fed_pieces[start:end]
            text = "".join(part.text for part in merge_words(pieces, is_special=[False] * len(pieces)))
        words.append(Word(text, start, end))
    return tuple(words)


def merge_matrix(weights: Array, *, rows: Sequence[Word], columns: Sequence[Word]) -> Array:
    """Merge weights [..., rows, columns] of pieces to those of words: sums over columns, means over rows.

    Rows that sum to 1 still do so afterwards.
    """
    merged: Array = np.add.reduceat(weights, _starts(columns, weights.shape[-1]), axis=-1)
    return merge_rows(merged, rows)


def merge_rows(values: Array, rows: Sequence[Word]) -> Array:
    """Average values [..., rows, columns] over the pieces of each word."""
    sums = np.add.reduceat(values, _starts(rows, values.shape[-2]), axis=-2)
    sizes = np.array([word.end - word.start for word in rows], dtype=values.dtype)
    merged: Array = sums / sizes[:, None]
    return merged


def _starts(words: Sequence[Word], length: int) -> list[int]:
    edges = [0, *(word.end for word in words)]
    if [word.start for word in words] != edges[:-1] or edges[-1] != length:
        raise RequestError(f"the words have edges {edges}; they must cover positions 0 to {length} in order")
    return edges[:-1]


def _word_labels(tokens: Tokens, kind: AttentionKind, rows: Sequence[Word], columns: Sequence[Word]) -> Labels:
    names = tuple(word.text for word in columns)
    if kind is AttentionKind.ENCODER:
        return Labels(names, names)
    fed = fed_words(tokens)
    before = tuple(next(word.text for word in fed if word.start <= row.start < word.end) for row in rows)
    return Labels(before, names, tuple(word.text for word in rows))
