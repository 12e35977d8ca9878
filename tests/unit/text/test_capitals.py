"""Copies in capitals: a seeded share, each beside its pair, the tag as it was."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from pellucid.text.capitals import in_capitals, with_capitals
from pellucid.text.corpus import SentencePair

PAIRS = [SentencePair(f"a dog {n}", f"ein hund {n}", line=n, corpus=n % 2) for n in range(2000)]
GIVEN = set(PAIRS)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_share_of_the_pairs_is_there_twice(share: float) -> None:
    found = list(with_capitals(PAIRS, share=share, seed=1))
    assert [pair for pair in found if pair in GIVEN] == PAIRS
    copies = len(found) - len(PAIRS)
    assert abs(copies - share * len(PAIRS)) <= 0.15 * share * len(PAIRS)
    for before, after in pairwise(found):
        if after not in GIVEN:
            assert after == in_capitals(before)


def test_the_seed_decides_and_every_pass_is_the_same() -> None:
    first = list(with_capitals(PAIRS, share=0.2, seed=1))
    assert list(with_capitals(iter(PAIRS), share=0.2, seed=1)) == first
    assert list(with_capitals(PAIRS, share=0.2, seed=2)) != first
    # A pair that cleaning drops changes nothing for the others.
    assert list(with_capitals(PAIRS[1:], share=0.2, seed=1)) == [pair for pair in first if pair.line != 0]


@pytest.mark.parametrize(
    ("source", "capitals"),
    [
        ("the cat", "THE CAT"),
        ("stra\u00dfe", "STRASSE"),
        (">>fra<< the cat", ">>fra<< THE CAT"),
        (" >>zh<<the cat", " >>zh<<THE CAT"),
        ("a >>fra<< b", "A >>FRA<< B"),
        ("\u732b", "\u732b"),
    ],
)
def test_both_sides_and_no_tag(source: str, capitals: str) -> None:
    pair = SentencePair(source, "le chat", line=3, corpus=1)
    assert in_capitals(pair) == replace(pair, source=capitals, target="LE CHAT")


def test_a_pair_that_is_its_own_copy_gets_none() -> None:
    pair = SentencePair("\u732b 3", "A", line=0, corpus=0)
    assert list(with_capitals([pair], share=1, seed=1)) == [pair]
