"""Attributions and the lens against their definitions, computed with the independent NumPy pass in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest

from pellucid.analysis.lens import lens_logits
from pellucid.jobs.surface import Trace, trace
from pellucid.tracing.edits import SetAttention
from pellucid.tracing.sites import AttentionKind
from pellucid.translation.translator import Translator

from .numpy_transformer import NumpyTransformer
from .test_numpy_forward import VARIANTS, shape_of
from .test_trace import TARGET, TEXT, translator_of

Array = np.ndarray
Change = Callable[[Array], Array]
STEP, AGAINST = 2, 19
SMOOTH = "swish, t2t, pre-norm"
names = pytest.mark.parametrize("name", VARIANTS)


@cache
def traced(name: str) -> tuple[Translator, Trace]:
    translator = translator_of(name)
    return translator, trace(translator, TEXT, target=TARGET)


def numpy_pass(name: str, changes: Mapping[str, Change] | None = None) -> dict[str, Array]:
    translator, made = traced(name)
    weights = {key: tensor.numpy() for key, tensor in translator.model.state_dict().items()}
    reference = NumpyTransformer(weights, shape_of(translator.model.config), changes or {})
    source, fed = np.array([made.tokens.source_ids]), np.array([made.tokens.fed_ids])
    sites = reference.run(source, fed, np.ones(source.shape, bool), np.ones(fed.shape, bool))
    return {site: value[0] for site, value in sites.items()}


def score(name: str, changes: Mapping[str, Change] | None = None, *, step: int = STEP, against: bool = True) -> float:
    made = traced(name)[1]
    logits = numpy_pass(name, changes)["logits"][step]
    return float(logits[made.tokens.predicted_ids[step]] - (logits[AGAINST] if against else 0))


def sides(name: str) -> list[tuple[str, int]]:
    tokens = traced(name)[1].tokens
    return [("source", j) for j in range(tokens.source_length)] + [("target", j) for j in range(STEP + 1)]


def parts_by(name: str, part: Callable[[str, int], float]) -> tuple[Array, Array]:
    tokens = traced(name)[1].tokens
    found = {"source": np.zeros(tokens.source_length), "target": np.zeros(tokens.target_length)}
    for side, position in sides(name):
        found[side][position] = part(side, position)
    return found["source"], found["target"]


def assert_parts(name: str, method: str, expected: tuple[Array, Array], *, atol: float, **more: object) -> None:
    found = traced(name)[1].attribute(method=method, step=STEP, against=str(AGAINST), **more)
    np.testing.assert_allclose(found.source[0], expected[0], rtol=0, atol=atol)
    np.testing.assert_allclose(found.target[0], expected[1], rtol=0, atol=atol)
    np.testing.assert_allclose(found.score, score(name), rtol=0, atol=1e-10)


def scaled_at(factor: float, side: str, position: int, step: float) -> dict[str, Change]:
    """Scale all embeddings, and one of them by a little more."""

    def change(value: Array, *, here: bool) -> Array:
        factors = np.full(value.shape[1], factor)
        if here:
            factors[position] += step
        return value * factors[:, None]

    return {f"{one}.embedding": lambda value, one=one: change(value, here=one == side) for one in ("source", "target")}


def slope(name: str, side: str, position: int, factor: float) -> float:
    """The derivative of the score by the factor of one embedding: its gradient times that embedding."""
    more, less = (score(name, scaled_at(factor, side, position, sign * 1e-5)) for sign in (1, -1))
    return (more - less) / 2e-5


@names
def test_input_x_gradient_is_the_derivative_by_the_factor_of_an_embedding(name: str) -> None:
    assert_parts(name, "input_x_gradient", parts_by(name, lambda *at: slope(name, *at, 1.0)), atol=1e-8)


def test_integrated_gradients_are_the_integral_of_these_derivatives() -> None:
    places, weights = np.polynomial.legendre.leggauss(5)

    def integral(side: str, position: int) -> float:
        slopes = [slope(SMOOTH, side, position, (place + 1) / 2) for place in places]
        return float(np.dot(weights / 2, slopes))

    assert_parts(SMOOTH, "integrated_gradients", parts_by(SMOOTH, integral), atol=1e-8, points=5)


@names
def test_integrated_gradients_sum_to_what_the_score_gains_over_zero_embeddings(name: str) -> None:
    made = traced(name)[1]
    for method in ({"step": STEP, "against": str(AGAINST)}, {}):
        found = made.attribute(method="integrated_gradients", **method)
        zero = {f"{side}.embedding": np.zeros_like for side in ("source", "target")}
        against = bool(method)
        gains = [score(name, step=s, against=against) - score(name, zero, step=s, against=against) for s in found.steps]
        np.testing.assert_allclose(found.expected_sum, gains, rtol=0, atol=1e-10)
        assert found.error is not None
        assert (found.error <= 0.02 * np.maximum(np.abs(gains), 1)).all()


@names
def test_occlusion_is_the_loss_with_a_zero_embedding(name: str) -> None:
    def loss(side: str, position: int) -> float:
        def change(value: Array) -> Array:
            edited = value.copy()
            edited[:, position] = 0
            return edited

        return score(name) - score(name, {f"{side}.embedding": change})

    assert_parts(name, "occlusion", parts_by(name, loss), atol=1e-10)


@names
def test_value_zeroing_is_the_loss_without_the_values_of_a_position(name: str) -> None:
    layers = range(traced(name)[0].model.config.num_decoder_layers)

    def loss(side: str, position: int) -> float:
        def change(value: Array) -> Array:
            edited = value.copy()
            edited[:, :, position] = 0
            return edited

        attention = "cross_attention" if side == "source" else "self_attention"
        return score(name) - score(name, {f"decoder.{layer}.{attention}.values": change for layer in layers})

    assert_parts(name, "value_zeroing", parts_by(name, loss), atol=1e-10)


def contributions_by_hand(name: str) -> tuple[Array, Array]:
    """ALTI+ in the words of the paper, one vector at a time."""
    translator, made = traced(name)
    config, sites = translator.model.config, numpy_pass(name)
    weights = {key: tensor.numpy() for key, tensor in translator.model.state_dict().items()}
    is_pre, width = config.norm_order == "pre", config.d_model // config.num_heads

    def sublayer(stack: str, layer: int, attention: str, state: Array) -> Array:
        at, place = f"{stack}.{layer}.{attention}", f"{stack}.layers.{layer}.{attention}"
        share, values, w_o = sites[f"{at}.weights"], sites[f"{at}.values"], weights[f"{place}.output.weight"]
        rows, columns = share.shape[1:]
        is_self = attention == "self_attention"
        matrix = np.zeros((rows, columns if is_self else columns + 1))
        for i in range(rows):
            residual = sites[f"{at}_residual"][i]
            vectors = [np.zeros(config.d_model) for _ in matrix[0]]
            for j in range(columns):
                for h in range(config.num_heads):
                    vectors[j] = vectors[j] + w_o[:, h * width : (h + 1) * width] @ (share[h, i, j] * values[h, j])
            vectors[i if is_self else columns] = vectors[i if is_self else columns] + state[i]
            result = residual
            if not is_pre:
                result = sites[f"{at}_norm"][i]
                deviation = np.sqrt(residual.var() + config.layer_norm_epsilon)
                vectors = [weights[f"{place}_norm.weight"] * (v - v.mean()) / deviation for v in vectors]
            closer = [max(0, np.abs(result).sum() - np.abs(result - v).sum()) if v.any() else 0 for v in vectors]
            matrix[i] = np.array(closer) / sum(closer)
        return matrix

    end = "residual" if is_pre else "norm"
    memory = np.eye(made.tokens.source_length)
    for layer in range(config.num_encoder_layers):
        memory = sublayer("encoder", layer, "self_attention", sites[f"encoder.{layer}.input"]) @ memory
    length = made.tokens.target_length
    known = np.concatenate([np.zeros((length, made.tokens.source_length)), np.eye(length)], axis=1)
    for layer in range(config.num_decoder_layers):
        mixed = sublayer("decoder", layer, "self_attention", sites[f"decoder.{layer}.input"]) @ known
        cross = sublayer("decoder", layer, "cross_attention", sites[f"decoder.{layer}.self_attention_{end}"])
        known = cross[:, -1:] * mixed
        known[:, : made.tokens.source_length] += cross[:, :-1] @ memory
    return known[:, : made.tokens.source_length], known[:, made.tokens.source_length :]


@names
def test_alti_is_the_paper_vector_by_vector_and_its_rows_sum_to_1(name: str) -> None:
    found, expected = traced(name)[1].attribute(method="alti"), contributions_by_hand(name)
    np.testing.assert_allclose(found.source, expected[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.target, expected[1], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.source.sum(1) + found.target.sum(1), 1, rtol=0, atol=1e-12)
    assert (found.source >= 0).all()
    assert (found.target >= 0).all()
    layers = traced(name)[1].contributions()
    for matrix in (layers.encoder, layers.decoder, layers.cross, np.concatenate([layers.source, layers.target], -1)):
        np.testing.assert_allclose(matrix.sum(-1), 1, rtol=0, atol=1e-12)


@names
def test_the_parts_of_a_logit_and_the_biases_are_the_logit(name: str) -> None:
    made = traced(name)[1]
    for method in ({"step": STEP, "against": str(AGAINST)}, {}):
        found = made.attribute(method="alti_logit", **method)
        np.testing.assert_allclose(found.sum, found.expected_sum, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.score[found.row(STEP)], score(name, against=bool(method)), rtol=0, atol=1e-10)


@pytest.mark.parametrize("order", ["post", "pre"])
def test_without_biases_the_parts_of_a_logit_are_all_of_it(order: str) -> None:
    translator = translator_of("paper" if order == "post" else SMOOTH)
    for key, parameter in translator.model.named_parameters():
        if key.endswith(".bias") and "inner" not in key:
            parameter.data.zero_()
    found = trace(translator, TEXT, target=TARGET).attribute(method="alti_logit")
    np.testing.assert_allclose(found.sum, found.score, rtol=0, atol=1e-10)


def test_a_source_piece_that_nobody_looks_at_contributes_nothing() -> None:
    translator, made = traced("paper")
    length, unseen = made.tokens.source_length, 3
    weights = tuple(0.0 if column == unseen else 1 / (length - 1) for column in range(length))
    edits = [
        SetAttention(kind, layer, head, row, weights)
        for kind, rows in ((AttentionKind.ENCODER, length), (AttentionKind.CROSS, made.tokens.target_length))
        for layer in kind.layers(translator.model.config)
        for head in range(translator.model.config.num_heads)
        for row in range(rows)
        if kind is AttentionKind.CROSS or row != unseen
    ]
    blind = trace(translator, TEXT, target=TARGET, edits=edits)
    for method in ("alti", "alti_logit", "occlusion", "value_zeroing", "input_x_gradient", "integrated_gradients"):
        found = blind.attribute(method=method)
        np.testing.assert_allclose(found.source[:, unseen], 0, rtol=0, atol=1e-12, err_msg=method)
        assert np.abs(found.source).max() > 1e-3, method


@pytest.mark.parametrize("method", ["input_x_gradient", "occlusion", "value_zeroing", "alti_logit"])
def test_a_comparison_is_the_difference_of_two_explanations(method: str) -> None:
    translator, made = traced("paper")
    other = trace(translator, TEXT, target=TARGET.replace("7 13", f"{AGAINST} 13"))
    assert other.tokens.predicted_ids[STEP] == AGAINST
    pair = made.attribute(method=method, step=STEP, against=str(AGAINST))
    one, two = (each.attribute(method=method, step=STEP) for each in (made, other))
    np.testing.assert_allclose(pair.source, one.source - two.source, rtol=0, atol=1e-10)
    np.testing.assert_allclose(pair.target, one.target - two.target, rtol=0, atol=1e-10)


@names
def test_each_row_of_the_lens_is_the_output_matrix_on_that_state(name: str) -> None:
    translator, made = traced(name)
    sites, lens = numpy_pass(name), made.lens(top=5)
    weights = {key: tensor.numpy() for key, tensor in translator.model.state_dict().items()}
    table = weights.get("projection.weight", weights.get("target_embedding.weight", weights["source_embedding.weight"]))
    if "projection.weight" not in weights and "target_embedding.weight" not in weights:
        table = weights["source_embedding.weight"]
    for row, site in enumerate(lens.sites):
        state = sites[site]
        if translator.model.config.norm_order == "pre":
            epsilon = translator.model.config.layer_norm_epsilon
            state = (state - state.mean(-1, keepdims=True)) / np.sqrt(state.var(-1, keepdims=True) + epsilon)
            state = state * weights["decoder.final_norm.weight"] + weights["decoder.final_norm.bias"]
        logits = state @ table.T + weights.get("projection.bias", 0.0)
        np.testing.assert_allclose(lens_logits(made, site), logits, rtol=0, atol=1e-10)
        scores = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        np.testing.assert_allclose(lens.top_log_probabilities[row], -np.sort(-scores)[:, :5], rtol=0, atol=1e-10)
        chosen = scores[range(len(scores)), made.tokens.predicted_ids]
        np.testing.assert_allclose(lens.target_log_probability[row], chosen, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(lens.target_rank[row], (scores > chosen[:, None] + 1e-12).sum(-1))


@names
def test_the_last_row_of_the_lens_is_what_the_model_predicts(name: str) -> None:
    made = traced(name)[1]
    lens = made.lens()
    np.testing.assert_array_equal(lens_logits(made, lens.sites[-1]), made["logits"])
    assert made.predictions is not None
    np.testing.assert_array_equal(lens.top_ids[-1], made.predictions.top_ids[:, :10])
    expected = made.predictions.target_log_probability
    np.testing.assert_allclose(lens.target_log_probability[-1], expected, rtol=0, atol=1e-12)
