"""All heads at a glance: a small picture of each head, with statistics and a label.

All of it describes one trace; a head may do something else with another sentence. The statistics of a head, over
its rows of weights w[i, j]:

    entropy       mean over rows of -sum_j w log w, in nats: 0 if every row looks at one place
    diagonality   1 - mean over rows of sum_j w |i/(rows-1) - j/(columns-1)|: 1 if all weight is on the diagonal from
                  corner to corner; in cross-attention, if source and target advance together
    to_end        mean over rows of the weight on the end of the sentence (0 if no column is the end)

A head has a label if its rows put at least half of their weight on one kind of place, on average over the rows
that have such a place; there must be at least three such rows (two for "same word"). If several labels fit, the one
with the most weight counts; if they are equal, the first in this order:

    previous token     column i - 1                       self-attention
    next token         column i + 1                       self-attention of the encoder
    same token         column i                           self-attention
    end of sentence    the columns of </s>                not counting the row of </s> itself
    same word          the other pieces of row i's word   self-attention; words of several pieces

Read ``health.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from pellucid.tracing.predictions import Array
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind

__all__ = ["LABELS", "LARGEST_SIDE", "atlas", "head_table", "is_special", "layer_weights", "pooled", "weights_by_kind"]

LARGEST_SIDE: Final = 64
"""Most rows and columns of a small picture; for longer sides, each pixel is the largest weight of those it covers."""

LABELS: Final = ("previous token", "next token", "same token", "end of sentence", "same word")
_LEAST_WEIGHT: Final = 0.5
_LEAST_ROWS: Final = 3
_LEAST_ROWS_SAME_WORD: Final = 2


def weights_by_kind(trace: Trace) -> dict[AttentionKind, list[Array]]:
    """Return the attention weights of each kind that a trace has, [heads, rows, columns] for each layer."""
    found = {kind: [trace[site] for site in kind.weights_among(trace.sites)] for kind in AttentionKind}
    return {kind: layers for kind, layers in found.items() if layers}


def atlas(trace: Trace) -> Array:
    """Return all small pictures one after the other, u8: by kind, layer, head, row, column; weight * 255 rounded."""
    flat = [
        np.rint(pooled(weights) * 255).astype(np.uint8).ravel()
        for layers in weights_by_kind(trace).values()
        for weights in layers
    ]
    whole: Array = np.concatenate(flat) if flat else np.zeros(0, np.uint8)
    return whole


def layer_weights(trace: Trace, head: int | None = None) -> Array:
    """Return the attention of every layer, u8: by kind, layer, row, column; the weight * 255 rounded.

    Args:
        trace: the trace.
        head: whose weights; None for the mean over the heads.
    """
    flat = [
        np.rint((weights.mean(axis=0, dtype=np.float64) if head is None else weights[head]) * 255)
        .astype(np.uint8)
        .ravel()
        for layers in weights_by_kind(trace).values()
        for weights in layers
    ]
    whole: Array = np.concatenate(flat) if flat else np.zeros(0, np.uint8)
    return whole


def pooled(weights: Array) -> Array:
    """Shrink the last two axes to at most ``LARGEST_SIDE``, keeping the largest weight of each interval."""
    for axis in (-2, -1):
        size = weights.shape[axis]
        if size > LARGEST_SIDE:
            starts = np.arange(LARGEST_SIDE) * size // LARGEST_SIDE
            weights = np.maximum.reduceat(weights, starts, axis=axis)
    return weights


def head_table(trace: Trace) -> dict[str, dict[str, object]]:
    """Return, by kind, ``side`` [rows, columns] of its small pictures and ``heads``: [layer][head] statistics."""
    table: dict[str, dict[str, object]] = {}
    for kind, layers in weights_by_kind(trace).items():
        columns_to_end = _end_columns(trace, kind)
        places = dict(_places(trace, kind))
        sides = layers[0].shape[1:]
        table[str(kind)] = {
            "side": [min(side, LARGEST_SIDE) for side in sides],
            "heads": [
                [_statistics(head, columns_to_end, places) for head in weights.astype(np.float64)] for weights in layers
            ],
        }
    return table


def is_special(pieces: Sequence[str], ids: Sequence[int], trace: Trace) -> list[bool]:
    """Return which pieces of a side of a trace are padding, start or end of a sentence."""
    configuration = trace.provenance.configuration
    if configuration is None or not ids:
        return [piece in ("<s>", "</s>", "<pad>") for piece in pieces]
    roles = configuration.specials
    return [index in (roles.pad, roles.bos, roles.eos) for index in ids]


def _statistics(weights: Array, end: Array, places: dict[str, Array]) -> dict[str, object]:
    rows, columns = weights.shape
    logarithms = np.log(np.where(weights > 0, weights, 1.0))
    down = np.arange(rows)[:, None] / max(rows - 1, 1)
    across = np.arange(columns)[None, :] / max(columns - 1, 1)
    return {
        "entropy": float(-(weights * logarithms).sum(-1).mean()) + 0.0,
        "diagonality": float(1 - (weights * np.abs(down - across)).sum(-1).mean()),
        "to_end": float((weights * end).sum(-1).mean()),
        "label": _label(weights, places),
    }


def _label(weights: Array, places: dict[str, Array]) -> str:
    best, most = "", 0.0
    for name in LABELS:
        if name not in places:
            continue
        mask = places[name]
        has_place = mask.any(-1)
        if has_place.sum() < (_LEAST_ROWS_SAME_WORD if name == "same word" else _LEAST_ROWS):
            continue
        weight = float((weights * mask).sum(-1)[has_place].mean())
        if weight >= _LEAST_WEIGHT and weight > most:
            best, most = name, weight
    return best


def _places(trace: Trace, kind: AttentionKind) -> Iterator[tuple[str, Array]]:
    """Yield each label with its places, as a mask [rows, columns]."""
    tokens = trace.tokens
    rows = tokens.source_length if kind is AttentionKind.ENCODER else tokens.target_length
    end = _end_columns(trace, kind)
    if kind is AttentionKind.CROSS:
        yield "end of sentence", np.broadcast_to(end, (rows, len(end)))
        return
    identity = np.eye(rows, dtype=bool)
    yield "previous token", np.eye(rows, k=-1, dtype=bool)
    yield "same token", identity
    yield "end of sentence", end[None, :] & ~end[:, None]
    spans = [(word.start, word.end) for word in tokens.source_words]
    if kind is AttentionKind.ENCODER:
        yield "next token", np.eye(rows, k=1, dtype=bool)
    else:  # what is predicted at t is fed at t + 1
        spans = [(word.start + 1, min(word.end + 1, rows)) for word in tokens.target_words]
    same = np.zeros((rows, rows), dtype=bool)
    for start, stop in spans:
        same[start:stop, start:stop] = True
    seen = same & ~identity
    yield "same word", np.tril(seen) if kind is AttentionKind.DECODER else seen


def _end_columns(trace: Trace, kind: AttentionKind) -> Array:
    """Return which columns are an end of sentence."""
    tokens, configuration = trace.tokens, trace.provenance.configuration
    is_fed = kind is AttentionKind.DECODER
    pieces, ids = (tokens.fed_pieces, tokens.fed_ids) if is_fed else (tokens.source_pieces, tokens.source_ids)
    if configuration is None or not ids:
        found = np.array([piece == "</s>" for piece in pieces])
    else:
        found = np.array([index == configuration.specials.eos for index in ids])
    if is_fed:
        found[0] = False  # the start, which some models share with the end
    return found
