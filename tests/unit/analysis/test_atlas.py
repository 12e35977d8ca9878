"""Small pictures are the weights, numbers and labels of heads are what their real rows say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.atlas import atlas, head_table, layer_weights, pooled
from pellucid.tracing.making import trace
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind

SOURCE = ("▁Ein", "▁Hünd", "chen", "▁ren", "nt", ".", "</s>")
PREDICTED = ("▁A", "▁pup", "py", "▁runs", "</s>")
FED = ("<s>", *PREDICTED[:-1])


def rows_at(places: list[list[int]], columns: int, *, weight: float = 0.8) -> np.ndarray:
    """Rows with this weight spread over the given places, the rest spread over all others that may be seen."""
    rows = np.zeros((len(places), columns))
    for row, chosen in enumerate(places):
        rows[row] = (1 - weight) / (columns - len(chosen)) if chosen else 1 / columns
        rows[row, chosen] = weight / max(len(chosen), 1)
    return rows


def planted(kind: AttentionKind, *heads: np.ndarray) -> Trace:
    return Trace.from_arrays(
        source_pieces=SOURCE,
        fed_pieces=FED,
        predicted_pieces=PREDICTED,
        attention={f"{kind.at(0)}.weights": np.stack(heads)},
    )


def labels(kind: AttentionKind, *heads: np.ndarray) -> list[object]:
    rows = head_table(planted(kind, *heads))[str(kind)]["heads"]
    assert isinstance(rows, list)
    return [head["label"] for head in rows[0]]


ENCODER = {
    "previous token": [[i - 1] if i else [] for i in range(7)],
    "next token": [[i + 1] if i < 6 else [] for i in range(7)],
    "same token": [[i] for i in range(7)],
    "end of sentence": [[6]] * 7,
    "same word": [[3], [2], [1], [4], [3], [0], [0]],
    "": [[5], [0], [6], [5], [1], [2], [3]],
}


def test_planted_heads_of_the_encoder_get_their_labels() -> None:
    found = labels(AttentionKind.ENCODER, *(rows_at(places, 7) for places in ENCODER.values()))
    assert found == list(ENCODER)


def test_half_of_the_weight_is_needed() -> None:
    heads = [rows_at(ENCODER["previous token"], 7, weight=weight) for weight in (0.51, 0.49)]
    assert labels(AttentionKind.ENCODER, *heads) == ["previous token", ""]


def test_planted_heads_of_the_decoder_get_their_labels() -> None:
    places = {
        "previous token": [[0], [0], [1], [2], [3]],
        "same token": [[i] for i in range(5)],
        "": [[0]] * 5,
    }
    heads = [np.tril(rows_at(rows, 5)) for rows in places.values()]
    heads = [head / head.sum(-1, keepdims=True) for head in heads]
    assert labels(AttentionKind.DECODER, *heads) == list(places)


def test_planted_heads_of_cross_attention_get_their_labels() -> None:
    diagonal = rows_at([[i] for i in range(5)], 7)
    assert labels(AttentionKind.CROSS, rows_at([[6]] * 5, 7), diagonal) == ["end of sentence", ""]


def test_a_word_in_the_decoder_is_fed_one_row_later_than_it_is_predicted() -> None:
    pieces = ("▁a", "b", "▁c", "d", "e", "</s>")
    weights = np.eye(6)
    for row, column in ((2, 1), (4, 3), (5, 3), (5, 4)):  # fed "b" looks at "▁a", "d" at "▁c", "e" at both
        weights[row, column], weights[row, row] = 0.9, 0.1
    weights /= weights.sum(-1, keepdims=True)
    found = Trace.from_arrays(
        source_pieces=("a", "</s>"),
        fed_pieces=("<s>", *pieces[:-1]),
        predicted_pieces=pieces,
        attention={"decoder.0.self_attention.weights": weights[None]},
    )
    (heads,) = head_table(found)["decoder.self_attention"]["heads"]  # type: ignore[misc]
    assert heads[0]["label"] == "same word"


def test_statistics_at_their_ends() -> None:
    uniform, diagonal, last = np.full((7, 7), 1 / 7), np.eye(7), rows_at([[6]] * 7, 7, weight=1.0)
    table = head_table(planted(AttentionKind.ENCODER, uniform, diagonal, last))["encoder.self_attention"]
    (rows,) = table["heads"]  # type: ignore[misc]
    assert rows[0]["entropy"] == pytest.approx(math.log(7))
    assert (rows[1]["entropy"], rows[1]["diagonality"]) == (0.0, 1.0)
    assert rows[1]["to_end"] == pytest.approx(1 / 7)
    assert rows[2]["to_end"] == 1.0
    assert rows[2]["diagonality"] == pytest.approx(0.5)
    assert table["side"] == [7, 7]


def test_the_atlas_is_every_weight_in_its_order() -> None:
    found = trace(make_translator(), "ein Hund", target="a dog runs")
    flat = atlas(found)
    place = 0
    for kind, depth in (("encoder.{}.self", 1), ("decoder.{}.self", 2), ("decoder.{}.cross", 2)):
        for layer in range(depth):
            weights = found[f"{kind.format(layer)}_attention.weights"]
            for head in weights:
                for row in head:
                    for value in row:
                        assert flat[place] == round(float(value) * 255)
                        place += 1
    assert place == len(flat)


@pytest.mark.parametrize("head", [None, 0, 1])
def test_the_flow_is_one_head_or_the_mean_of_all_in_every_layer(head: int | None) -> None:
    found = trace(make_translator(), "ab cd")
    flow = layer_weights(found, head)
    at = 0
    for kind in AttentionKind:
        for site in kind.weights_among(found.sites):
            whole = found[site].astype(np.float64)
            weights = whole.mean(axis=0) if head is None else whole[head]
            own = flow[at : at + weights.size].reshape(weights.shape)
            assert np.abs(own / 255 - weights).max() <= 0.5 / 255 + 1e-9, site
            at += weights.size
    assert at == len(flow) > 0


@pytest.mark.parametrize("shape", [(2, 64, 65), (1, 131, 200), (3, 5, 7)])
def test_a_long_side_shows_the_largest_weight_of_each_stretch(shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(1).random(shape)
    small = pooled(weights)
    sides = [min(side, 64) for side in shape[1:]]
    assert small.shape == (shape[0], *sides)
    expected = np.zeros_like(small)
    for row in range(shape[1]):
        for column in range(shape[2]):
            at = (
                slice(None),
                max(i for i in range(sides[0]) if i * shape[1] // sides[0] <= row),
                max(i for i in range(sides[1]) if i * shape[2] // sides[1] <= column),
            )
            expected[at] = np.maximum(expected[at], weights[:, row, column])
    assert np.array_equal(small, expected)
