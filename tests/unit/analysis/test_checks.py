"""A number that was tampered with is told: exactly the identities that it stands in fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.tracing.kit import make_translator

from pellucid.analysis.checks import CheckReport
from pellucid.jobs.surface import trace

TRANSLATOR = make_translator()
SOUND = trace(TRANSLATOR, "ein Hund rennt")


def moved(*place: int) -> Callable[[np.ndarray], None]:
    def tamper(array: np.ndarray) -> None:
        array[place] += 0.25

    return tamper


def swapped(array: np.ndarray) -> None:
    array[..., 1, [0, 1]] = array[..., 1, [1, 0]]


def not_a_number(array: np.ndarray) -> None:
    array[0] = np.nan


CROSS, OWN = "decoder.1.cross_attention", "decoder.0.self_attention"
E = "equation"
TAMPERED: dict[str, tuple[str, Callable[[np.ndarray], None], set[tuple[str, str]]]] = {
    "embedding": ("source.embedding", moved(0, 0), {(E, "source.embedding"), (E, "source.scaled_embedding")}),
    "queries": (f"{CROSS}.queries", moved(0, 1, 2), {(E, f"{CROSS}.queries"), (E, f"{CROSS}.scores")}),
    "values": (f"{CROSS}.values", moved(0, 1, 2), {(E, f"{CROSS}.values"), (E, f"{CROSS}.context")}),
    "scores": (f"{CROSS}.scores", moved(0, 1, 2), {(E, f"{CROSS}.scores"), (E, f"{CROSS}.scaled")}),
    "scaled": (f"{CROSS}.scaled", moved(0, 1, 2), {(E, f"{CROSS}.scaled"), (E, f"{CROSS}.weights")}),
    "weights, still summing to 1": (
        f"{CROSS}.weights",
        swapped,
        {(E, f"{CROSS}.weights"), (E, f"{CROSS}.context")},
    ),
    "weights": (
        f"{CROSS}.weights",
        moved(0, 1, 2),
        {(E, f"{CROSS}.weights"), (E, f"{CROSS}.context"), ("rows sum to 1", f"{CROSS}.weights")},
    ),
    "a look into the future": (
        f"{OWN}.weights",
        lambda array: array.__setitem__((0, 0, slice(0, 2)), [0.5, 0.5]),
        {(E, f"{OWN}.weights"), (E, f"{OWN}.context"), ("future unseen", f"{OWN}.weights")},
    ),
    "concatenated": (f"{CROSS}.concatenated", moved(1, 2), {(E, f"{CROSS}.concatenated")}),
    "output": (f"{CROSS}.output", moved(1, 2), {(E, f"{CROSS}.output"), (E, f"{CROSS}_residual")}),
    "residual": (f"{CROSS}_residual", swapped, {(E, f"{CROSS}_residual"), (E, f"{CROSS}_norm")}),
    "last norm": (
        "decoder.1.feed_forward_norm",
        moved(1, 2),
        {
            (E, "decoder.1.feed_forward_norm"),
            ("moments", "decoder.1.feed_forward_norm"),
            (E, "decoder.output"),
        },
    ),
    "hidden": (
        "encoder.0.feed_forward.hidden",
        moved(1, 2),
        {(E, "encoder.0.feed_forward.hidden"), (E, "encoder.0.feed_forward.output")},
    ),
    "logits": ("logits", moved(1, 2), {(E, "logits"), (E, "log_probabilities"), ("predictions", "log_sum_exp")}),
    "not a number": (f"{CROSS}.concatenated", not_a_number, {(E, f"{CROSS}.concatenated")}),
}


def failed(report: CheckReport) -> set[tuple[str, str]]:
    return {(failure.name, failure.site) for failure in report.failures}


@pytest.mark.parametrize("name", TAMPERED)
def test_exactly_the_identities_of_a_tampered_site_fail(name: str) -> None:
    site, tamper, expected = TAMPERED[name]
    array = SOUND[site].copy()
    tamper(array)
    assert failed(replace(SOUND, arrays={**SOUND.arrays, site: array}).check()) == expected


@pytest.mark.parametrize(
    "shape", [{}, {"norm_order": "pre", "position_layout": "learned", "decoder_start": "zero_vector"}]
)
def test_a_wrong_number_at_any_site_is_told_at_that_site(shape: dict[str, object]) -> None:
    sound = trace(make_translator(**shape), "ein Hund rennt", target="a dog")
    assert sound.check().passed
    for site in sound.sites:
        array = sound[site].copy()
        last = tuple(length - 1 for length in array.shape)
        array[last] = not array[last] if array.dtype == np.bool_ else array[last] + 0.001
        report = replace(sound, arrays={**sound.arrays, site: array}).check()
        assert (E, site) in failed(report), site


def test_rows_that_were_rounded_to_bfloat16_are_no_alarm_and_rows_off_by_a_percent_are() -> None:
    site = f"{CROSS}.weights"
    rounded = replace(SOUND, provenance=replace(SOUND.provenance, dtype="bfloat16"))
    for off, fails in ((1 + 2**-8.5, False), (1 - 2**-8.5, False), (1.01, True), (0.99, True)):
        report = replace(rounded, arrays={**SOUND.arrays, site: SOUND[site] * off}).check()
        assert (("rows sum to 1", site) in failed(report)) is fails


def test_the_place_of_the_largest_error_is_told() -> None:
    array = SOUND[f"{CROSS}.concatenated"].copy()
    array[2, 7] += 0.5
    (failure,) = replace(SOUND, arrays={**SOUND.arrays, f"{CROSS}.concatenated": array}).check().failures
    assert failure.place == (2, 7)
    assert failure.error == pytest.approx(0.5)
    assert "decoder.1.cross_attention.concatenated: equation: the heads of context, side by side: error 0.5" in str(
        replace(SOUND, arrays={**SOUND.arrays, f"{CROSS}.concatenated": array}).check()
    )


def test_a_score_that_is_not_the_sum_over_the_length_penalty() -> None:
    made = SOUND.hypothesis
    assert failed(replace(SOUND, hypothesis=replace(made, score=made.score + 0.1)).check()) == {("hypothesis", "score")}
    other = replace(made, log_probability=made.log_probability + 0.1)
    assert failed(replace(SOUND, hypothesis=other).check()) == {("hypothesis", "log_probability")}


def test_a_matrix_with_other_sides_than_labels() -> None:
    site = f"{CROSS}.concatenated"
    assert failed(replace(SOUND, arrays={**SOUND.arrays, site: SOUND[site][:-1]}).check()) == {("labels", site)}
    assert failed(replace(SOUND, arrays={**SOUND.arrays, site: SOUND[site][0]}).check()) == {("labels", site)}


def test_predictions_of_another_step() -> None:
    entropy = SOUND.predictions.entropy.copy()
    entropy[1] += 0.1
    changed = replace(SOUND, predictions=replace(SOUND.predictions, entropy=entropy))
    assert failed(changed.check()) == {("predictions", "entropy")}


def test_without_the_model_equations_that_take_weights_are_left_out_and_said_to_be() -> None:
    report = replace(SOUND, model=None).check()
    assert report.passed
    left_out = {skipped.site for skipped in report.skipped}
    assert {"logits", f"{CROSS}.output", f"{CROSS}.queries", f"{CROSS}_norm"} <= left_out
    assert left_out.isdisjoint({f"{CROSS}.context", f"{CROSS}.weights", f"{CROSS}_residual", "log_probabilities"})
    assert all("trace.attach" in skipped.reason for skipped in report.skipped)
