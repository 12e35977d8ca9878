"""The words of a chapter: closed at first, opened by keyboard, whole in both languages, and in the single file."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import OpenPage
from .models import Shown, run_pellucid

pytestmark = pytest.mark.slow

PLACE = "details.glossary"
SOURCE, TARGET = "The animal was tired.", "Il dort."


@pytest.mark.parametrize(("language", "known"), [("en", "piece"), ("zh", "词元（子词）")])
def test_a_chapter_shows_its_words_by_keyboard(shown: Shown, open_page: OpenPage, language: str, known: str) -> None:
    state = {"source": SOURCE, "target": TARGET, "lang": language}
    window = open_page(shown.link("walkthrough", view="translate", **state)).ready()
    summary, words = window.page.locator(f"{PLACE} summary"), window.page.locator(f"{PLACE} dt")
    assert not words.first.is_visible()
    summary.focus()
    window.page.keyboard.press("Enter")
    assert words.all_inner_texts()[0] == known
    assert words.first.is_visible()
    assert all(window.page.locator(f"{PLACE} dd").all_inner_texts())
    assert window.accessibility_problems() == []
    window.page.keyboard.press("Enter")
    assert not words.first.is_visible()
    summary.press("Enter")
    window.go(view="targets", **state)
    assert not words.first.is_visible(), "another chapter begins closed"
    summary.focus()
    window.page.keyboard.press("Enter")
    assert known not in words.all_inner_texts()


def test_the_single_file_has_the_words(tmp_path: Path, open_page: OpenPage) -> None:
    run_pellucid("inspect", SOURCE, "--output", tmp_path / "one.html")
    window = open_page((tmp_path / "one.html").as_uri(), offline=True).ready()
    window.page.locator(f"{PLACE} summary").press("Enter")
    assert window.page.locator(f"{PLACE} dt").first.inner_text() == "piece"
