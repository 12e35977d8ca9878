"""Every sign is raised by what it stands for, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.health import THRESHOLDS, HealthSign, bare_word, end_probabilities, health_of
from pellucid.tracing.making import trace
from pellucid.tracing.predictions import predictions_of
from pellucid.tracing.record import Trace

TRANSLATOR = make_translator()
EOS = 3


def signs(found: Trace) -> dict[str, HealthSign]:
    return {sign.name: sign for sign in health_of(found)}


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
    assert {name for name, sign in signs(found).items() if sign.is_raised} <= {"coverage"}
    assert set(signs(found)) == set(THRESHOLDS) - {"new_words"}


@pytest.mark.parametrize(("times", "raised"), [(3, False), (4, True)])
def test_a_loop_is_told(times: int, raised: bool) -> None:
    found = signs(foreign(("▁x", *("▁no", "w") * times, "</s>")))["repetition"]
    assert (found.is_raised, found.value) == (raised, times)


def test_a_source_word_that_nothing_looks_at_is_told() -> None:
    cross = np.zeros((2, 3, 5))
    cross[:, :, 1] = 0.9
    cross[:, :, 4] = 0.04
    cross[0, :, 2:4] = 0.03  # two pieces of one word, together 0.18 in one head and 0 in the other
    found = signs(foreign(("▁A", "▁dog", "</s>"), cross))["coverage"]
    assert found.is_raised
    assert found.values == pytest.approx([0.0, 2.7, 0.09])
    assert found.source == (0, 2, 3)
    assert "rennt" in found.text
    assert not signs(foreign(("▁A", "▁dog", "</s>")))["coverage"].is_raised


def test_words_that_training_never_had_are_told_where_they_are_known() -> None:
    found = trace(TRANSLATOR, "ein Hund rennt", target="a dog")

    def sign(*known: str) -> HealthSign:
        return next(sign for sign in health_of(found, training_words=set(known)) if sign.name == "new_words")

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
    assert set(signs(few)) == set(THRESHOLDS) - {"coverage", "new_words"}


def test_a_trace_of_arrays_has_the_signs_that_it_can_have() -> None:
    assert set(signs(foreign(("▁A", "</s>")))) == {"repetition", "coverage", "bytes", "truncation"}
