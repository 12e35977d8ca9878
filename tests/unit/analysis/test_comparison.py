"""Comparisons subtract what belongs together, and say what does not."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.comparison.assignment import best_pairs
from pellucid.analysis.comparison.record import Comparison, axes_of, compare
from pellucid.analysis.comparison.report import lines_of, quantities_of, records_of
from pellucid.analysis.effect import Part
from pellucid.errors import RequestError
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, expected_shape
from pellucid.translation.translator import Translator

TRANSLATOR = make_translator()
FIRST = make_trace(TRANSLATOR, "ein Hund rennt", target="a dog runs")
SECOND = make_trace(TRANSLATOR, "ein Hund schläft", target="a runs")
LONGER = make_trace(TRANSLATOR, "zwei ein Hund rennt", target="a dog runs")
DEEPER = make_trace(
    make_translator(seed=5, num_encoder_layers=2, num_decoder_layers=3), "ein Hund rennt", target="a dog runs"
)
WEIGHTS = "decoder.1.cross_attention.weights"


def with_number(trace: Trace, site: str, place: tuple[int, ...], change: float) -> Trace:
    array = trace[site].copy()
    array[place] += change
    return replace(trace, arrays={**trace.arrays, site: array})


def test_a_trace_does_not_differ_from_itself() -> None:
    same = compare(FIRST, FIRST)
    for site in same.sites:
        assert same.reason(site) is None
        assert not same[site].any(), site
    assert same.divergence is None
    assert all(one.change == 0 and one.similarity == pytest.approx(1) for one in same.heads)
    assert len(same.heads) == (1 + 2 + 2) * 3
    assert all(not distances.any() for stack in ("encoder", "decoder") for distances in same.states(stack).values())
    assert "the same pieces" in "\n".join(lines_of(same))


def ordered_by_second(comparison: Comparison, site: str) -> np.ndarray:
    """Return a difference with its heads in the order of the second trace."""
    array = comparison[site]
    if axes_of(site)[0] != "heads":
        return array
    pairs = comparison.plan.heads[site.rpartition(".")[0]].pairs
    return array[sorted(range(len(pairs)), key=lambda row: pairs[row][1])]


@pytest.mark.parametrize("other", [SECOND, LONGER, DEEPER], ids=["shorter target", "longer source", "other model"])
def test_the_other_way_round_is_the_negative(other: Trace) -> None:
    there, back = compare(FIRST, other), compare(other, FIRST)
    compared = 0
    for site in there.sites:
        name = there.other_name(site)
        if there.reason(site) is not None:
            assert name is None or name not in back.sites or back.reason(name) is not None
            continue
        np.testing.assert_array_equal(ordered_by_second(there, site), -back[name or site], err_msg=site)
        compared += 1
    assert compared > 40
    assert there.divergence == back.divergence
    for one, turned in zip(
        sorted(there.heads, key=lambda head: (head.kind, head.other_layer, head.other_head)),
        sorted(back.heads, key=lambda head: (head.kind, head.layer, head.head)),
        strict=True,
    ):
        assert (one.head, one.other_head) == (turned.other_head, turned.head)
        assert one.change == pytest.approx(turned.change, abs=1e-12)


def test_every_number_is_that_of_numpy_on_the_matched_places() -> None:
    made = compare(FIRST, LONGER)
    source, target = [(0, 1), (1, 2), (2, 3), (3, 4)], [(i, i) for i in range(4)]
    assert made.plan.source.pairs == tuple(source)
    assert (made.plan.source.only_first, made.plan.source.only_second) == ((), (0,))
    assert made.plan.target.pairs == tuple(target)
    places = {"source": source, "target": target}
    for site in FIRST.sites:
        one, other = FIRST[site].astype(np.float64), LONGER[site].astype(np.float64)
        for axis, kind in enumerate(axes_of(site)):
            if kind in places:
                one = one[tuple([slice(None)] * axis + [[pair[0] for pair in places[kind]]])]
                other = other[tuple([slice(None)] * axis + [[pair[1] for pair in places[kind]]])]
        assert made[site].shape == one.shape
        np.testing.assert_allclose(made[site], other - one, atol=1e-10, rtol=0, err_msg=site)
    probabilities = np.exp(LONGER["log_probabilities"]) - np.exp(FIRST["log_probabilities"])
    np.testing.assert_allclose(made["probabilities"], probabilities, atol=1e-10, rtol=0)
    states = made.states("encoder")["encoder.0.feed_forward_norm"]
    one, other = FIRST["encoder.0.feed_forward_norm"], LONGER["encoder.0.feed_forward_norm"][1:]
    lengths = [np.linalg.norm(array, axis=1) for array in (one, other, other - one)]
    np.testing.assert_allclose(states, 2 * lengths[2] / (lengths[0] + lengths[1]), atol=1e-10, rtol=0)


def test_the_axes_of_a_site_are_those_of_its_shape() -> None:
    config = FIRST.provenance.configuration
    assert config is not None
    for site in FIRST.sites:
        shape = expected_shape(site, config, source=31, target=37)
        sizes = {"heads": config.num_heads, "source": 31, "target": 37}
        assert tuple(sizes.get(kind, shape[axis]) for axis, kind in enumerate(axes_of(site))) == shape


def test_a_head_moves_the_weight_that_it_gives_to_other_pieces() -> None:
    made = compare(FIRST, LONGER)
    (found,) = [one for one in made.heads if (one.kind, one.layer, one.head) == (AttentionKind.CROSS, 1, 2)]
    one, other = FIRST[WEIGHTS][2], LONGER[WEIGHTS][2]
    rows = (np.abs(other[:, 1:] - one).sum(1) + other[:, 0]) / 2
    assert found.change == pytest.approx(rows.mean(), abs=1e-10)
    assert (found.row, found.row_change) == (int(rows.argmax()), pytest.approx(rows.max(), abs=1e-10))
    assert [one.change for one in made.heads] == sorted((one.change for one in made.heads), reverse=True)


def test_a_planted_number_is_named() -> None:
    planted = compare(FIRST, with_number(FIRST, WEIGHTS, (2, 1, 3), 0.25))
    wrong = [row for row in quantities_of(planted) if row.get("largest")]
    assert [(row["site"], row["at"]) for row in wrong] == [(WEIGHTS, [2, 1, 3])]
    assert planted[WEIGHTS][2, 1, 3] == pytest.approx(0.25, abs=1e-10)
    first = planted.heads[0]
    assert (first.kind, first.layer, first.head, first.row) == (AttentionKind.CROSS, 1, 2, 1)
    assert first.row_change == pytest.approx(0.125, abs=1e-10)
    assert all(one.change == 0 for one in planted.heads[1:])


def test_the_steps_have_the_log_probabilities_of_both_pieces_in_both_traces() -> None:
    other = make_trace(TRANSLATOR, "ein Hund schläft", target="a Katze runs")
    made = compare(FIRST, other)
    assert made.plan.target.parts[1] == Part("replaced", (1, 2), (1, 2))
    assert made.divergence == 1
    ids = FIRST.tokens.predicted_ids[1], other.tokens.predicted_ids[1]
    expected = [[trace["log_probabilities"][1, index] for index in ids] for trace in (FIRST, other)]
    np.testing.assert_allclose(made.step_log_probabilities[1], expected, atol=1e-10, rtol=0)
    np.testing.assert_allclose(
        made.step_log_probabilities[2, :, 0],
        [trace.predictions.target_log_probability[2] for trace in (FIRST, other) if trace.predictions],
    )
    text = "\n".join(lines_of(made))
    assert "first difference of the translations at step 1: ▁dog | ▁Katze" in text


def with_heads_in_another_order(order: list[int]) -> Translator:
    """Return a translator whose heads are those of TRANSLATOR in another order, in every attention."""
    made = make_translator()
    width = made.model.config.d_head
    rows = torch.tensor([head * width + i for head in order for i in range(width)])
    with torch.no_grad():
        for name, parameter in made.model.named_parameters():
            if "_attention." in name and "norm" not in name:
                is_output = ".output." in name
                if not is_output:
                    parameter.copy_(parameter[rows])
                elif name.endswith("weight"):
                    parameter.copy_(parameter[:, rows])
    return made


def test_heads_of_another_model_are_matched_by_their_rows() -> None:
    order = [2, 0, 1]
    other = make_trace(with_heads_in_another_order(order), "ein Hund rennt", target="a dog runs")
    made = compare(FIRST, other)
    assert not made.has_same_weights
    assert made.plan.heads_by == "rows"
    for heads in made.plan.heads.values():
        assert heads.pairs == tuple((head, order.index(head)) for head in range(3))
        assert [heads.similarity[pair] for pair in heads.pairs] == pytest.approx([1, 1, 1], abs=1e-10)
    assert max(one.change for one in made.heads) < 1e-10
    for site in made.sites:
        if site.endswith(".concatenated"):
            assert "another order" in str(made.reason(site))
        else:
            np.testing.assert_allclose(made[site], 0, atol=1e-10, err_msg=site)
    assert max(one.change for one in compare(FIRST, other, heads="number").heads) > 0.01


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3), (1, 4)])
def test_no_other_assignment_has_a_larger_sum(shape: tuple[int, int]) -> None:
    for seed in range(20):
        similarity = np.random.default_rng(seed).integers(0, 7, shape).astype(float)
        pairs = best_pairs(similarity)
        assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == min(shape)
        table = similarity if shape[0] <= shape[1] else similarity.T
        best = max(
            sum(table[row, column] for row, column in enumerate(columns))
            for columns in itertools.permutations(range(table.shape[1]), table.shape[0])
        )
        assert sum(similarity[pair] for pair in pairs) == best


def test_layers_are_matched_by_depth_or_as_the_caller_says() -> None:
    made = compare(FIRST, DEEPER)
    assert made.plan.layers["encoder"].pairs == ((0, 1),)
    assert made.plan.layers["decoder"].pairs == ((0, 1), (1, 2))
    assert made.plan.layers["decoder"].only_second == (0,)
    assert made.other_name(WEIGHTS) == WEIGHTS.replace("1", "2")
    turned = compare(DEEPER, FIRST)
    assert turned.reason("decoder.0.cross_attention.weights") == "this layer has no partner in the second model"
    with pytest.raises(RequestError, match="no partner"):
        turned["decoder.0.cross_attention.weights"]
    given = compare(FIRST, DEEPER, layers={"decoder": [(0, 2), (1, 0)]})
    assert given.other_name(WEIGHTS) == WEIGHTS.replace("1", "0")
    assert given.plan.layers["decoder"].only_second == (1,)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"layers": {"decoder": [(0, 3)]}}, "the second trace has the decoder layers 0 to 2"),
        ({"layers": {"decoder": [(0, 0), (0, 1)]}}, "the first trace has the decoder layers 0 to 1"),
        ({"layers": {"middle": []}}, "'middle'; allowed are"),
        ({"heads": "best"}, "heads = 'best'"),
    ],
)
def test_a_matching_that_cannot_be_is_refused(choice: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        compare(FIRST, DEEPER, **choice)  # type: ignore[arg-type]


def test_what_cannot_be_subtracted_has_a_reason() -> None:
    wider = make_trace(make_translator(BytesTokenizer(), d_model=24), "ein", target="dog")
    made = compare(FIRST, wider)
    assert made.reason("logits") == "the models have different vocabularies"
    assert made.reason("encoder.output") == "vectors of 18 and of 24 numbers"
    assert np.isnan(made.step_log_probabilities[:3, 0, 1]).all()
    bare = replace(FIRST.at_level("tokens"), model=None)
    without = compare(bare, FIRST)
    assert "has no model" in str(without.reason(WEIGHTS))
    assert without.heads == ()
    assert "not compared" in "\n".join(lines_of(without))
    with pytest.raises(RequestError, match="is not a site"):
        made.reason("decoder.7.output")
    for other in (made, without):
        reasons = [row["reason"] for row in quantities_of(other)]
        assert any(reasons)
        assert records_of(other)["heads_by"] in ("rows", "number")


def test_a_trace_of_foreign_arrays_is_compared_by_its_rows() -> None:
    labels = {"source_pieces": ["▁a", "</s>"], "fed_pieces": ["<s>", "▁b"], "predicted_pieces": ["▁b", "</s>"]}
    weights = np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.0, 1.0]]])
    site = "decoder.0.cross_attention.weights"
    one, other = (Trace.from_arrays(**labels, attention={site: array}) for array in (weights, weights[::-1]))
    made = compare(one, other)
    assert made.plan.heads["decoder.0.cross_attention"].pairs == ((0, 1), (1, 0))
    np.testing.assert_allclose(made[site], 0)
