"""Words instead of pieces: what is summed, what is averaged, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.analysis.attention_picture import attention_picture, axis_words, merge_matrix, merge_rows
from pellucid.errors import RequestError
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind
from pellucid.translation.alignment.words import Word

SOURCE = ["▁an", "imal", "▁runs", ".", "</s>"]
FED = ["<s>", "▁ani", "mal", "▁court"]
PREDICTED = ["▁ani", "mal", "▁court", "</s>"]


def rows_of_weights(heads: int, rows: int, columns: int, *, causal: bool = False) -> np.ndarray:
    values = np.random.default_rng(5).random((heads, rows, columns))
    if causal:
        values *= np.tri(rows)
    return values / values.sum(-1, keepdims=True)


def make_trace() -> Trace:
    return Trace.from_arrays(
        source_pieces=SOURCE,
        fed_pieces=FED,
        predicted_pieces=PREDICTED,
        attention={
            "encoder.0.self_attention.weights": rows_of_weights(3, 5, 5),
            "decoder.0.self_attention.weights": rows_of_weights(3, 4, 4, causal=True),
            "decoder.0.cross_attention.weights": rows_of_weights(3, 4, 5),
            "decoder.1.cross_attention.weights": rows_of_weights(3, 4, 5)[::-1],
        },
    )


def spans(*sizes: int) -> list[Word]:
    edges = np.cumsum([0, *sizes])
    return [Word(f"w{start}", int(start), int(end)) for start, end in pairwise(edges)]


def test_columns_are_summed_and_rows_averaged() -> None:
    weights = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    merged = merge_matrix(weights, rows=spans(2), columns=spans(1, 2))
    assert merged == pytest.approx(np.array([[0.3, 0.7]]))
    assert merge_rows(weights, spans(2)) == pytest.approx(np.array([[0.3, 0.25, 0.45]]))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=7), st.lists(st.integers(1, 4), min_size=1, max_size=7))
def test_rows_still_sum_to_one(rows: list[int], columns: list[int]) -> None:
    weights = rows_of_weights(2, sum(rows), sum(columns))
    merged = merge_matrix(weights, rows=spans(*rows), columns=spans(*columns))
    assert merged.shape == (2, len(rows), len(columns))
    np.testing.assert_allclose(merged.sum(-1), 1, atol=1e-12)


def test_words_must_cover_the_side() -> None:
    with pytest.raises(RequestError, match="cover positions"):
        merge_matrix(np.ones((3, 3)), rows=spans(1, 1), columns=spans(3))


def test_decoder_rows_are_words_predicted_and_its_columns_words_fed() -> None:
    trace = make_trace()
    rows, columns = axis_words(trace.tokens, AttentionKind.DECODER)
    assert [word.text for word in rows] == ["animal", "court", "</s>"]
    assert [(word.text, word.start, word.end) for word in columns] == [
        ("<s>", 0, 1),
        ("animal", 1, 3),
        ("court", 3, 4),
    ]
    picture = attention_picture(trace, "decoder", words=True)
    assert picture.labels.rows == ("<s>", "animal", "court")
    assert picture.labels.predicts == ("animal", "court", "</s>")
    assert picture.labels.columns == ("<s>", "animal", "court")
    np.testing.assert_allclose(picture.weights.sum(-1), 1)


def test_a_last_word_that_was_not_fed_whole_is_cut() -> None:
    trace = Trace.from_arrays(
        source_pieces=["▁a"],
        fed_pieces=["<s>", "▁x", "▁ani"],
        predicted_pieces=["▁x", "▁ani", "mal"],
        attention={"decoder.0.self_attention.weights": rows_of_weights(1, 3, 3)},
    )
    picture = attention_picture(trace, "decoder", words=True)
    assert picture.labels.columns == ("<s>", "x", "ani")
    assert picture.labels.predicts == ("x", "animal")
    np.testing.assert_allclose(picture.weights.sum(-1), 1)


def test_the_last_layer_and_all_heads_are_shown_unless_chosen() -> None:
    trace = make_trace()
    picture = attention_picture(trace, words=False)
    assert (picture.kind, picture.layer, picture.heads) == (AttentionKind.CROSS, 1, (0, 1, 2))
    chosen = attention_picture(trace, "cross", layer=0, heads=[2, 0], words=False)
    np.testing.assert_array_equal(chosen.weights, trace["decoder.0.cross_attention.weights"][[2, 0]])


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"kind": "crss"}, "allowed are 'encoder'"),
        ({"layer": 2}, "layer = 2; allowed are the whole numbers 0 to 1"),
        ({"kind": "encoder", "layer": -1}, "layer = -1; allowed are the whole numbers 0 to 0"),
        ({"heads": [3]}, "head = 3; allowed are the whole numbers 0 to 2"),
        ({"heads": [-1]}, "head = -1; allowed"),
        ({"heads": [1, 1]}, "once"),
        ({"heads": []}, "at least one"),
    ],
)
def test_what_does_not_exist_is_refused(choice: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        attention_picture(make_trace(), words=False, **choice)  # type: ignore[arg-type]


def test_kinds_have_short_and_whole_names() -> None:
    assert AttentionKind.named("cross") is AttentionKind.named("decoder.cross_attention") is AttentionKind.CROSS


def test_the_layers_that_arrays_of_another_model_lack_are_not_offered() -> None:
    sites = [f"encoder.{layer}.self_attention.weights" for layer in (2, 5)]
    attention = dict.fromkeys(sites, np.full((1, 1, 1), 1.0))
    made = Trace.from_arrays(source_pieces=["</s>"], fed_pieces=["<s>"], predicted_pieces=["</s>"], attention=attention)
    assert attention_picture(made, "encoder", words=False).layer == 5
    with pytest.raises(RequestError, match="layer = 3; allowed are the whole numbers 2, 5"):
        attention_picture(made, "encoder", layer=3, words=False)
