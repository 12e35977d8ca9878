"""Every sign is raised by what it stands for, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.attribution.methods import contributions
from pellucid.analysis.health import THRESHOLDS, HealthSign, bare_word, end_probabilities, health_of
from pellucid.analysis.measured import Measured, Worth
from pellucid.analysis.transport import distance_to_data, distance_to_uniform, source_mass
from pellucid.tracing.making import trace
from pellucid.tracing.predictions import predictions_of
from pellucid.tracing.record import Trace

TRANSLATOR = make_translator()
EOS = 3
RULES_OF_THUMB = Measured(
    model="", weights_sha256="", sample="", sample_sha256="", translations=0, signs={}, references=[[0.5, 0.5], [1.0]]
)


def signs(found: Trace) -> dict[str, HealthSign]:
    return {sign.name: sign for sign in health_of(found, measured=RULES_OF_THUMB)}


def foreign(predicted: tuple[str, ...], cross: np.ndarray | None = None) -> Trace:
    fed = ("<s>", *predicted[:-1])
    source = ("▁Ein", "▁Hund", "▁ren", "nt", "</s>")
    weights = np.full((1, len(fed), 5), 0.2) if cross is None else cross
    return Trace.from_arrays(
        source_pieces=source,
        fed_pieces=fed,
        predicted_pieces=predicted,
        attention={"decoder.0.cross_attention.weights": weights},
    )


def with_distribution(probabilities: list[list[float]]) -> Trace:
    """A trace of three pieces and the end, whose steps give [the end, their own piece] these probabilities."""
    found = trace(TRANSLATOR, "ein Hund", target="a dog runs")
    ids = found.tokens.predicted_ids
    rows = np.full((4, 13), 1e-9)
    for step, (end, own) in enumerate(probabilities):
        rows[step] = (1 - end - own) / 11
        rows[step, ids[step]] = own
        rows[step, EOS] = end
    logarithms = np.log(rows / rows.sum(-1, keepdims=True))
    arrays = dict(found.arrays) | {"log_probabilities": logarithms, "logits": logarithms}
    return replace(found, arrays=arrays, predictions=predictions_of(logarithms, logarithms, ids))


SOUND = [[0.01, 0.95], [0.01, 0.95], [0.01, 0.95], [0.97, 0.0]]


def test_a_sound_translation_raises_nothing() -> None:
    found = with_distribution(SOUND)
    # What random weights attend to may raise these.
    assert {name for name, sign in signs(found).items() if sign.is_raised} <= {"source_share", "to_data"}
    assert set(signs(found)) == set(THRESHOLDS) - {"new_words"}


@pytest.mark.parametrize(("times", "raised"), [(3, False), (4, True)])
def test_a_loop_is_told(times: int, raised: bool) -> None:
    found = signs(foreign(("▁x", *("▁no", "w") * times, "</s>")))["repetition"]
    assert (found.is_raised, found.value) == (raised, times)


def test_words_that_training_never_had_are_told_where_they_are_known() -> None:
    found = trace(TRANSLATOR, "ein Hund rennt", target="a dog")

    def sign(*known: str) -> HealthSign:
        given = health_of(found, training_words=set(known), measured=RULES_OF_THUMB)
        return next(sign for sign in given if sign.name == "new_words")

    assert "new_words" not in signs(found), "nobody knows what the training had"
    assert not sign("ein", "hund", "rennt").is_raised, "a capital makes no word new"
    assert [bare_word(word) for word in ("“Hund”,", "didn't", "...", "C3PO!")] == ["hund", "didn't", "", "c3po"]
    one = sign("ein", "rennt")
    assert (one.is_raised, one.value) == (True, 1)
    pieces = "".join(found.tokens.source_pieces[place] for place in one.source)
    assert bare_word(pieces.replace("▁", "")) == "hund"
    assert "Hund" in one.text


def test_pieces_that_are_unknown_or_bytes_are_told() -> None:
    found = signs(trace(TRANSLATOR, "ein Vogel rennt", target="a bird"))["unknown"]
    assert (found.is_raised, found.source, found.target) == (True, (1,), (1,))
    found = signs(foreign(("▁A", "<0xC3>", "<0xA9>", "</s>")))["bytes"]
    assert (found.is_raised, found.value, found.target) == (True, 2, (1, 2))


def test_doubt_is_told_where_it_is() -> None:
    found = signs(with_distribution([SOUND[0], [0.05, 0.1], SOUND[2], SOUND[3]]))
    assert (found["entropy"].is_raised, found["entropy"].target) == (True, (1,))


def test_an_end_that_might_have_been_earlier_and_one_that_was_not_wished() -> None:
    early = signs(with_distribution([SOUND[0], [0.3, 0.6], SOUND[2], SOUND[3]]))["end"]
    assert (early.is_raised, early.target) == (True, (1,))
    late = signs(with_distribution([*SOUND[:3], [0.1, 0.0]]))["end"]
    assert (late.is_raised, late.target) == (True, (3,))


def test_the_probability_of_the_end_is_that_of_the_model() -> None:
    found = trace(TRANSLATOR, "ein Hund rennt")
    expected = np.exp(found["log_probabilities"][:, EOS])
    assert end_probabilities(found) == pytest.approx(expected)
    # The vocabulary has fewer than 50 pieces, so the best 50 tell it too.
    assert end_probabilities(found.at_level("tokens")) == pytest.approx(expected)


def test_a_cut_translation_is_told() -> None:
    found = trace(TRANSLATOR, "ein Hund rennt")
    assert signs(found)["truncation"].is_raised is not found.hypothesis.is_finished  # type: ignore[union-attr]
    assert signs(replace(found, flags=("max_length",)))["truncation"].is_raised
    assert not signs(trace(TRANSLATOR, "ein Hund", target="a dog"))["truncation"].is_raised


def test_a_low_score_is_told() -> None:
    found = trace(TRANSLATOR, "ein Hund", target="a dog runs")
    sign = signs(found)["score"]
    assert found.predictions is not None
    assert sign.value == pytest.approx(found.predictions.target_log_probability.mean())
    assert sign.is_raised is (sign.value < -1)
    assert not signs(with_distribution(SOUND))["score"].is_raised


def test_a_trace_of_few_numbers_has_the_signs_that_it_can_have() -> None:
    whole = trace(TRANSLATOR, "ein Hund", target="a dog")
    few = replace(whole.at_level("tokens"), model=None)
    assert set(signs(few)) == set(THRESHOLDS) - {"source_share", "to_uniform", "to_data", "new_words"}


def test_a_trace_of_arrays_has_the_signs_that_it_can_have() -> None:
    expected = {"repetition", "to_uniform", "to_data", "bytes", "truncation"}
    assert set(signs(foreign(("▁A", "</s>")))) == expected


def test_how_much_comes_from_the_source_is_the_mean_of_alti() -> None:
    found = trace(TRANSLATOR, "ein Hund rennt", target="a dog runs")
    shares = contributions(found).source_share
    limited = {
        limit: Measured(
            **RULES_OF_THUMB.model_dump(exclude={"signs"}),
            signs={"source_share": Worth(kind="detached", threshold=float(shares.mean()) + limit)},
        )
        for limit in (-1e-9, 1e-9)
    }
    for limit, measured in limited.items():
        sign = next(sign for sign in health_of(found, measured=measured) if sign.name == "source_share")
        assert sign.is_raised is (limit > 0)
        assert sign.worth == measured.signs["source_share"]
        assert sign.values == pytest.approx(shares)
        assert sign.target == (tuple(np.flatnonzero(shares < sign.threshold)) if limit > 0 else ())
    edited = trace(TRANSLATOR, "ein Hund rennt", target="a dog runs", edits=("encoder.0.feed_forward=zero",))
    assert "source_share" not in signs(edited), "ALTI+ cannot split what an edit puts there"
    whole, part = found, found.at_level("tokens")
    assert signs(part)["source_share"].value == pytest.approx(signs(whole)["source_share"].value, rel=1e-12)


def test_the_transport_of_attention_is_that_of_its_mass() -> None:
    found = trace(TRANSLATOR, "ein Hund rennt", target="a dog runs")
    mass, given = source_mass(found), signs(found)
    assert mass is not None
    assert given["to_uniform"].value == distance_to_uniform(mass)
    assert given["to_data"].value == distance_to_data(mass, RULES_OF_THUMB.references)
    narrow = np.zeros((2, 3, 5))
    narrow[..., 4] = 1
    raised = {name: sign.is_raised for name, sign in signs(foreign(("▁A", "▁dog", "</s>"), narrow)).items()}
    assert (raised["to_uniform"], raised["to_data"]) == (True, True), "everything looks at the end of the sentence"
    assert not signs(foreign(("▁A", "▁dog", "</s>")))["to_uniform"].is_raised
