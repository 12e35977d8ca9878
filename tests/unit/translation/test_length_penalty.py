"""The length penalties are those of their papers, by hand-computed values, and count the end of sentence."""

from __future__ import annotations

import math

import pytest

from pellucid.config import LengthPenalty
from pellucid.translation.hypothesis import length_divisor, make_hypothesis


@pytest.mark.parametrize(
    ("form", "length", "alpha", "expected"),
    [
        # Wu et al. 2016, section 7, equation 14: (5 + |Y|)^alpha / (5 + 1)^alpha
        (LengthPenalty.GNMT, 1, 0.6, 1.0),
        (LengthPenalty.GNMT, 7, 1.0, 2.0),
        (LengthPenalty.GNMT, 19, 0.5, 2.0),
        (LengthPenalty.GNMT, 13, 0.0, 1.0),
        # |y|^alpha: the mean log-probability at alpha = 1
        (LengthPenalty.AVERAGE, 7, 1.0, 7.0),
        (LengthPenalty.AVERAGE, 9, 0.5, 3.0),
        (LengthPenalty.AVERAGE, 13, 0.0, 1.0),
        (LengthPenalty.NONE, 13, 1.0, 1.0),
    ],
)
def test_the_divisor_is_the_published_one(form: LengthPenalty, length: int, alpha: float, expected: float) -> None:
    assert length_divisor(length, form=form, alpha=alpha) == pytest.approx(expected)


@pytest.mark.parametrize(("form", "divisor"), [(LengthPenalty.AVERAGE, 3.0), (LengthPenalty.GNMT, 8 / 6)])
def test_the_score_divides_by_all_tokens_with_the_end_of_sentence(form: LengthPenalty, divisor: float) -> None:
    # two words and the end of sentence: three tokens
    terms = [math.log(0.5), math.log(0.25), math.log(0.125)]
    found = make_hypothesis([17, 11, 3], terms, is_finished=True, form=form, alpha=1.0)
    assert found.log_probability == pytest.approx(math.log(1 / 64))
    assert found.score == pytest.approx(math.log(1 / 64) / divisor)
