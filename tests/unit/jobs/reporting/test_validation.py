"""A model that does not end its translations is scored on a few sentences; every other one on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pellucid.config import recipe_from
from pellucid.jobs.reporting.validation import ENOUGH_TO_SEE, ValidationBleu
from pellucid.text.corpus import SentencePair
from pellucid.training.validation import BLEU_SHARE
from pellucid.translation.hypothesis import Translation

PAIRS = tuple(SentencePair(f"quelle nummer {n}", f"source number {n}", 0, n) for n in range(200))


class Table:
    """Translates as it is told, and remembers how many texts it was asked for at once."""

    def __init__(self, unfinished: int, right: int = 0) -> None:
        self.unfinished, self.right = unfinished, right
        self.asked: list[int] = []

    def translate(self, sources: Sequence[str]) -> list[Translation]:
        self.asked.append(len(sources))
        numbers = [int(source.split()[-1]) for source in sources]
        return [
            cast(
                Translation,
                SimpleNamespace(
                    text=PAIRS[n].target if n < self.right else "the the the the",
                    flags=("max_length",) if n < self.unfinished else (),
                ),
            )
            for n in numbers
        ]


def evaluated(table: Table, *, sentences: int = 200, whole: bool = False, monkeypatch: pytest.MonkeyPatch) -> Any:
    recipe = recipe_from({"data": {"src_lang": "fr", "tgt_lang": "en"}}, [f"training.valid_bleu_sentences={sentences}"])
    evaluator = ValidationBleu(recipe, cast(Any, SimpleNamespace(valid_pairs=PAIRS)), Path("model"))
    monkeypatch.setattr(evaluator, "_translator", lambda model: table)
    return (evaluator.of_all if whole else evaluator)(cast(Any, None))


def test_a_model_that_ends_its_translations_is_scored_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(unfinished=ENOUGH_TO_SEE // 2, right=50)
    found = evaluated(table, monkeypatch=monkeypatch)
    assert table.asked == [ENOUGH_TO_SEE, 200 - ENOUGH_TO_SEE]
    assert found["exact_match"] == 50 / 200
    assert BLEU_SHARE not in found
    assert found == evaluated(Table(unfinished=16, right=50), whole=True, monkeypatch=monkeypatch)


def test_a_model_that_does_not_is_scored_on_a_few_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(unfinished=ENOUGH_TO_SEE // 2 + 1, right=2)
    found = evaluated(table, monkeypatch=monkeypatch)
    assert table.asked == [ENOUGH_TO_SEE]
    assert found[BLEU_SHARE] == ENOUGH_TO_SEE / 200
    assert found["exact_match"] == 2 / 200, "what is not translated counts as not right"


def test_the_last_validation_and_a_small_one_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(unfinished=200)
    assert BLEU_SHARE not in evaluated(table, whole=True, monkeypatch=monkeypatch)
    assert table.asked == [200]
    small = Table(unfinished=200)
    assert BLEU_SHARE not in evaluated(small, sentences=2 * ENOUGH_TO_SEE - 1, monkeypatch=monkeypatch)
    assert small.asked == [2 * ENOUGH_TO_SEE - 1]
