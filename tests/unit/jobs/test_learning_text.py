"""Corrections are parted so that nothing that trains is measured, and few of them are said to be few."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pellucid.errors import DataError
from pellucid.jobs.learning.text import LEAST, accepted_in, is_few, learning_text, outlook
from pellucid.serving.corrections.journal import Journal
from pellucid.serving.corrections.states import Correction, State
from pellucid.text.splits.sources import bare_source

WORDS = ("hund", "katze", "haus", "baum", "kind", "fluss", "ufer", "rot", "alt", "neu", "gut", "klein")


def corrections(count: int) -> list[Correction]:
    """Return three corrections for each of some words, whose sources differ in a number only."""
    return [Correction(f"{word} {n}", f"{word} {n}!", "de", "en") for word in WORDS[:count] for n in range(3)]


def test_sources_that_differ_in_numbers_only_are_in_one_part(tmp_path: Path) -> None:
    (tmp_path / "general.tsv").write_text("a\tb\n", encoding="utf-8")
    every = corrections(len(WORDS))
    text = learning_text(every, model=tmp_path, general=[str(tmp_path / "general.tsv")], folder=tmp_path / "text")
    parts = {}
    for name in ("train", "held_out"):
        lines = (tmp_path / "text" / f"{name}.jsonl").read_text().splitlines()
        parts[name] = {bare_source(json.loads(line)["source"]) for line in lines}
    assert parts["train"]
    assert parts["held_out"]
    assert not parts["train"] & parts["held_out"]
    assert sorted((*text.trained_on, *text.held_out)) == sorted(one.id for one in every)


def test_the_refusal_says_that_numbers_make_no_other_source(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.make_folder()
    ids = [journal.add(one) for one in corrections(LEAST - 1)]
    journal.decide(ids, State.ACCEPTED)
    with pytest.raises(DataError, match=r"has 9 accepted .*27 are accepted, and sources that differ in numbers"):
        accepted_in(tmp_path, ("de", "en"))
    extra = journal.add(Correction("wald", "wood", "de", "en"))
    journal.decide([extra], State.ACCEPTED)
    assert len(accepted_in(tmp_path, ("de", "en"))) == 28


def test_few_corrections_are_said_to_show_nothing_for_sure() -> None:
    few = [Correction(f"satz {chr(97 + n)}", "x", "de", "en") for n in range(16)]
    assert is_few(few)
    assert outlook(few).startswith("16 different sources with a correction: 13 to train on, 3 to measure. So few")
    many = [Correction(f"{chr(97 + n % 26)} {chr(97 + n // 26)}", "x", "de", "en") for n in range(60)]
    assert not is_few(many)
    assert outlook(many) == "60 different sources with a correction: 48 to train on, 12 to measure"
