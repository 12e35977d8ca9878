"""The signs of health: what they say, what they lead to, and that everybody can read them."""

from __future__ import annotations

import pytest

from .conftest import OpenPage
from .models import Shown

pytestmark = pytest.mark.slow

SOURCE = "The blorf is a gribbit of snurf."  # no text that trains a model has these words


@pytest.mark.parametrize(("width", "scheme", "lang"), [(360, "dark", "zh"), (1440, "light", "en")])
def test_signs_lead_to_what_raised_them(shown: Shown, open_page: OpenPage, width: int, scheme: str, lang: str) -> None:
    """By mouse and by keyboard, on a telephone and on a desk, in both languages."""
    link = shown.link("walkthrough", view="health", source=SOURCE, lang=lang)
    window = open_page(link, width=width, color_scheme=scheme).ready()
    page = window.page
    signs = page.evaluate("__inspect.trace.health")
    assert page.locator(".signs > li").count() >= len(signs)
    told = page.locator(".signs > li.raised b").all_inner_texts()
    assert len(told) >= sum(sign["is_raised"] for sign in signs) >= 1
    assert "⟦" not in page.inner_text("body")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert window.accessibility_problems() == []
    step = next(sign["target"][0] for sign in signs if sign["target"])
    for act in ("click", "keyboard"):
        button = page.locator(".signs button").first
        if act == "click":
            button.click()
        else:
            button.focus()
            page.keyboard.press("Enter")
        window.until("document.querySelector('.chapter').dataset.view === 'decoder'")
        assert page.evaluate("__inspect.state().step") == step
        page.go_back()
        window.until("document.querySelector('.chapter').dataset.view === 'health'")
        window.ready()
    marked = page.locator("[data-figure=health] .chip.doubtful").count()
    assert marked == len({("s", i) for sign in signs if sign["is_raised"] for i in sign["source"]}) + len(
        {("t", i) for sign in signs if sign["is_raised"] for i in sign["target"]}
    )
