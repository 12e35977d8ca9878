"""The verdict on a model that learnt from corrections says whether the held-out ones show it."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.config import recipe_from
from pellucid.jobs.learning.learn import Lesson, judged

RECIPE = recipe_from(
    {"data": {"src_lang": "de", "tgt_lang": "en", "train": [{"src": "a", "tgt": "b"}]}}, [], place="a test"
)


def row(text: str, before: float, after: float, p_value: float) -> dict[str, Any]:
    return {"text": text, "sentences": 4, "change": {"baseline": before, "system": after, "p_value": p_value}}


@pytest.mark.parametrize(
    ("after", "p_value", "said"),
    [
        (33.0, 0.125, "the new model is better, but too few corrections are held out to be sure:"),
        (33.0, 0.01, "the new model is better:"),
        (11.0, 0.125, "the new model is not better, so nothing was put in place:"),
    ],
)
def test_the_verdict_says_whether_chance_alone_would_do(after: float, p_value: float, said: str) -> None:
    is_better, is_sure, reasons = judged([row("domain", 12.7, after, p_value), row("general", 34.0, 33.7, 0.5)], RECIPE)
    lines = Lesson(is_better, is_sure, reasons, None).to_text().splitlines()
    assert lines[0] == said
    assert ("can be chance" in lines[1]) == (p_value >= 0.05)
    assert "chance" not in lines[2]
