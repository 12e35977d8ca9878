from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.config import LengthPenalty
from pellucid.translation.hypothesis import ScoredPair, length_divisor, make_hypothesis


@pytest.mark.parametrize(
    ("form", "alpha", "length", "divisor"),
    [
        ("none", 0.7, 13, 1.0),
        ("average", 1.0, 13, 13.0),
        ("average", 0.5, 49, 7.0),
        ("average", 0.0, 13, 1.0),
        ("gnmt", 1.0, 1, 1.0),
        ("gnmt", 1.0, 13, 3.0),
        ("gnmt", 0.5, 49, 3.0),
        ("gnmt", 0.0, 13, 1.0),
    ],
)
def test_the_divisors_of_the_papers(form: str, alpha: float, length: int, divisor: float) -> None:
    assert length_divisor(length, form=LengthPenalty(form), alpha=alpha) == pytest.approx(divisor, rel=1e-15)


@given(st.sampled_from(LengthPenalty), st.floats(0, 5), st.integers(0, 500))
def test_a_divisor_never_falls_with_length(form: LengthPenalty, alpha: float, length: int) -> None:
    shorter, longer = (length_divisor(n, form=form, alpha=alpha) for n in (length, length + 1))
    assert 0 < shorter <= longer


def test_the_end_of_sentence_counts() -> None:
    terms = [-0.25, -0.5, -1.25]  # two pieces and the end
    hypothesis = make_hypothesis([7, 5, 0], terms, is_finished=True, form=LengthPenalty.AVERAGE, alpha=1.0)
    assert hypothesis.log_probability == -2.0
    assert hypothesis.score == pytest.approx(-2 / 3)
    gnmt = make_hypothesis([7, 5, 0], terms, is_finished=True, form=LengthPenalty.GNMT, alpha=2.0)
    assert gnmt.score == pytest.approx(-2 / (8 / 6) ** 2)


def test_perplexity_is_by_token_and_never_overflows() -> None:
    assert ScoredPair((5, 0), ("a", "</s>"), math.log(0.25), (math.log(0.5),) * 2).perplexity == pytest.approx(2.0)
    assert ScoredPair((5,), ("a",), -1000.0, (-1000.0,)).perplexity == math.inf
