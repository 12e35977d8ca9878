"""No source is on both sides, documents stay whole, and the parts add up, whatever the text is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.config import SplitConfig
from pellucid.errors import DataError
from pellucid.text.corpus import SentencePair
from pellucid.text.splits.leakless import Role, Split, SplitRows, split_rows
from pellucid.text.splits.sources import bare_source

SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]


def word(number: int) -> str:
    found = ""
    while number or not found:
        number, digit = divmod(number, len(SYLLABLES))
        found += SYLLABLES[digit]
    return found


def pairs_of(sources: Iterable[tuple[str, int]]) -> list[SentencePair]:
    return [SentencePair(text, f"target {n}", n, 0, document) for n, (text, document) in enumerate(sources)]


def split_of(
    pairs: list[SentencePair],
    *,
    seed: int = 3,
    valid: list[SentencePair] | None = None,
    test: list[SentencePair] | None = None,
    **config: object,
) -> Split:
    rows = SplitRows(seed=seed)
    for pair in pairs:
        rows.add(pair, may_be_held_out=pair.corpus == 0)
    return split_rows(rows, SplitConfig(**config), valid=valid, test=test)


def part(pairs: list[SentencePair], split: Split, role: Role) -> list[SentencePair]:
    return [pair for pair, own in zip(pairs, split.roles, strict=True) if own == role]


def bare(pairs: list[SentencePair]) -> set[str]:
    return {bare_source(pair.source) for pair in pairs}


def test_what_counts_as_one_source() -> None:
    same = ["Seite 3 von 12!", "seite 7 von 1", " <g1>Seite</g1> 99  VON 4 ", "Ｓeite 1 von 2"]
    assert len({bare_source(text) for text in same}) == 1
    assert len({bare_source(text) for text in ("?", "!", "Seite von", "Seite 3 von")}) == 4


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=1, max_size=300), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_source_is_in_two_parts_and_the_parts_add_up(rows: list[tuple[int, int]], seed: int) -> None:
    pairs = pairs_of((word(source), document) for source, document in rows)
    try:
        split = split_of(pairs, seed=seed)
    except DataError:
        return
    parts = {role: part(pairs, split, role) for role in Role}
    assert sum(map(len, parts.values())) == len(pairs)
    assert not bare(parts[Role.TRAINING]) & (bare(parts[Role.TEST]) | bare(parts[Role.VALIDATION]))
    assert not bare(parts[Role.TEST]) & bare(parts[Role.VALIDATION])


def test_documents_are_kept_whole() -> None:
    pairs = pairs_of((word(n), 1 + n // 10) for n in range(1000))
    split = split_of(pairs)
    assert split.by_document
    for role in (Role.VALIDATION, Role.TEST):
        own = part(pairs, split, role)
        assert len(own) == 50
        assert len({pair.document for pair in own}) == 5
    assert "whole documents are held out" in split.to_text()


def test_a_document_that_is_too_large_is_not_held_out_and_that_is_said() -> None:
    pairs = pairs_of((word(n), 1 + n // 500) for n in range(1000))
    split = split_of(pairs)
    assert not split.by_document
    assert split.count(Role.TEST) == split.count(Role.VALIDATION) == 50
    assert "the documents are too large" in split.to_text()


def test_the_choice_is_that_of_the_seed_and_survives_growth_and_order() -> None:
    pairs = pairs_of((word(n), 0) for n in range(2000))
    first, again, other = split_of(pairs), split_of(pairs), split_of(pairs, seed=4)
    assert np.array_equal(first.roles, again.roles)
    assert not np.array_equal(first.roles, other.roles)
    backwards = pairs[::-1]
    assert bare(part(backwards, split_of(backwards), Role.TEST)) == bare(part(pairs, first, Role.TEST))
    grown = pairs_of((word(n), 0) for n in range(2200))
    kept = bare(part(pairs, first, Role.TEST)) & bare(part(grown, split_of(grown), Role.TEST))
    assert len(kept) >= 0.8 * first.count(Role.TEST)


def test_training_pairs_with_a_source_of_named_test_text_are_left_out() -> None:
    pairs = pairs_of((word(n % 100), 0) for n in range(300))
    named = pairs_of([(word(7).upper(), 0), (word(500), 0)])
    split = split_of(pairs, test=named)
    assert split.count(Role.TEST) == 0
    assert split.count(Role.VALIDATION) >= 15
    assert word(7) not in bare(part(pairs, split, Role.TRAINING))
    assert split.count(Role.LEFT_OUT) == 3


def test_what_may_not_be_held_out_is_not() -> None:
    pairs = [SentencePair(word(n), "x", n, n % 2) for n in range(400)]
    split = split_of(pairs)
    held_out = part(pairs, split, Role.TEST) + part(pairs, split, Role.VALIDATION)
    assert len(held_out) == 20
    assert {pair.corpus for pair in held_out} == {0}


def test_without_a_test_nothing_is_held_out_for_it() -> None:
    split = split_of(pairs_of((word(n), 0) for n in range(100)), test=None, **{"share": 0.1})
    assert split.count(Role.TEST) == 10
    none = SplitConfig(test=False)
    rows = SplitRows(seed=1)
    for pair in pairs_of((word(n), 0) for n in range(100)):
        rows.add(pair, may_be_held_out=True)
    assert split_rows(rows, none, valid=None, test=None).count(Role.TEST) == 0


def test_text_of_one_source_cannot_be_split() -> None:
    with pytest.raises(DataError, match="none is left to test"):
        split_of(pairs_of(("Seite 1", 0) for _ in range(50)))
