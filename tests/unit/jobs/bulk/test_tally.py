"""Tallies of parts add up to the tally of the whole, wherever it is cut."""

from __future__ import annotations

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from pellucid.jobs.bulk.tally import MOST_PROBLEMS, Tally

ROWS = st.lists(st.tuples(st.booleans(), st.sets(st.sampled_from(["blank", "copy", "split"]))), max_size=60)


def tally_of(rows: list[tuple[bool, set[str]]], first: int = 1) -> Tally:
    failed = [(number, "why") for number, (is_bad, _) in enumerate(rows, start=first) if is_bad]
    flags = {flag: sum(flag in some for _, some in rows) for flag in {flag for _, some in rows for flag in some}}
    return Tally(len(rows), len(failed), tuple(failed[:MOST_PROBLEMS]), flags)


@given(ROWS, st.integers(0, 60))
def test_a_sum_of_parts_is_the_whole(rows: list[tuple[bool, set[str]]], cut: int) -> None:
    cut = min(cut, len(rows))
    assert tally_of(rows[:cut]) + tally_of(rows[cut:], first=cut + 1) == tally_of(rows)


@given(ROWS)
def test_a_tally_comes_back_from_json(rows: list[tuple[bool, set[str]]]) -> None:
    assert Tally.from_json(json.loads(json.dumps(asdict(tally_of(rows) + Tally())))) == tally_of(rows)
