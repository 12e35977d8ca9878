"""The page as a server sends it: it opens, it is quiet, and its numbers are those of the trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import OpenPage, Serve

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_quietly(serve: Serve, small_run: Path, open_page: OpenPage, width: int, scheme: str) -> None:
    window = open_page(serve(small_run), width=width, color_scheme=scheme).ready()
    assert window.page.title().startswith("pellucid")
    window.screenshot(f"first-{width}-{scheme}")
    scroll = window.page.evaluate("document.documentElement.scrollWidth")
    assert scroll <= width, "the page is wider than the window"


def test_a_problem_is_noticed(serve: Serve, small_run: Path, open_page: OpenPage) -> None:
    window = open_page(serve(small_run), may_fail=True).ready()
    assert window.problems == []
    for planted in (
        "console.error('planted')",
        "setTimeout(() => { throw new Error('planted') })",
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.planted = 1'}))",
        "document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:9/planted'}))",
    ):
        before = len(window.problems)
        window.page.evaluate(planted)
        window.until_here(lambda before=before: len(window.problems) > before, f"unnoticed: {planted}")
    assert window.page.evaluate("typeof window.planted") == "undefined"
