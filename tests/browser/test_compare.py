"""Two traces side by side, by mouse and by keyboard: every number is that of ``pellucid.compare``."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.bundle import load_bundle, load_snapshot
from pellucid.jobs.models import translator_of
from pellucid.page.catalogue import WALKTHROUGH_EXAMPLES

from .conftest import OpenPage, Serve
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

TIRED, WIDE = WALKTHROUGH_EXAMPLES[:2]
LONGER = "I saw that the animal didn't cross the street."
FIGURES = ["compare-texts", "compare-steps", "compare-heads", "compare-attention", "compare-states"]


def _comparison(shown: Shown, first: str, second: str) -> pellucid.Comparison:
    translator = pellucid.load(shown.folders["walkthrough"], threads=1)
    return pellucid.compare(*(pellucid.trace(translator, text) for text in (first, second)))


def _figures(window: Window) -> list[str]:
    return list(window.page.evaluate("[...document.querySelectorAll('[data-figure]')].map((f) => f.dataset.figure)"))


def _differences(window: Window, folder: Path) -> np.ndarray:
    """Return the last column of the table of both attentions."""
    path = folder / "attention.csv"
    window.save("compare-attention", "CSV").save_as(path)
    with path.open(encoding="utf-8", newline="") as lines:
        return np.array([float(row[-1]) for row in list(csv.reader(lines))[1:]])


def test_the_story_is_compared_with_two_clicks(shown: Shown, open_page: OpenPage, tmp_path: Path) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED)).ready()
    page, expected = window.page, _comparison(shown, TIRED, WIDE)
    page.click(".pair-more button >> nth=1")
    window.until("() => document.querySelectorAll('[data-figure=compare-attention] canvas').length === 3")
    assert _figures(window.ready()) == FIGURES
    told = page.inner_text("[data-figure=compare-texts]")
    assert expected.divergence is not None
    assert f"step {expected.divergence}" in told
    assert page.locator("[data-figure=compare-texts] mark").all_inner_texts()[0].strip() == "tired"
    steps = page.locator(".compare-steps > li")
    assert steps.count() == len(expected.plan.target.pairs)
    assert page.locator(".compare-steps .differs-here").count() >= 1
    for one, row in zip(expected.heads[:8], page.locator(".compare-heads li").all(), strict=True):
        assert f"head {one.head} of" in row.inner_text()
        assert f"layer {one.layer}" in row.inner_text()
    page.click(".compare-heads button >> nth=0")
    one = expected.heads[0]
    window.until("(head) => __inspect.state().heads[0] === head", one.head)
    window.ready()
    state = page.evaluate("__inspect.state()")
    assert (state["kind"], state["layer"], state["heads"]) == (one.kind.short, one.layer, [one.head])
    difference = expected[f"{one.kind.at(one.layer)}.weights"][one.head]
    np.testing.assert_allclose(_differences(window, tmp_path), difference.ravel(), atol=1e-6)
    page.click("button:has-text('Swap')")
    window.until("(source) => __inspect.trace?.source === source", WIDE)
    window.ready()
    np.testing.assert_allclose(_differences(window, tmp_path), -difference.ravel(), atol=1e-6)
    address = page.evaluate("location.hash")
    again = open_page(f"{shown.address}{address}").ready()
    again.until("() => document.querySelectorAll('[data-figure=compare-attention] canvas').length === 3")
    np.testing.assert_allclose(_differences(again, tmp_path), -difference.ravel(), atol=1e-6)


def test_with_the_keyboard_another_sentence_is_typed_and_a_head_chosen(
    shown: Shown, open_page: OpenPage, tmp_path: Path
) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED, view="compare")).ready()
    page, expected = window.page, _comparison(shown, TIRED, LONGER)
    page.fill(".compare-choices form input", LONGER)
    page.press(".compare-choices form input", "Enter")
    window.until("(text) => document.querySelector('.compare-texts')?.innerText.includes(text)", "I saw that")
    window.ready()
    assert "without a partner" in page.inner_text("[data-figure=compare-texts]")
    grid = "[data-figure=compare-heads] .compare-sheet:nth-child(3) [role=grid]"
    page.focus(grid)
    for key in ("Home", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    window.until("() => __inspect.state().kind === 'cross' && __inspect.state().heads[0] === 1")
    window.ready()
    difference = expected["decoder.1.cross_attention.weights"][1]
    np.testing.assert_allclose(_differences(window, tmp_path), difference.ravel(), atol=1e-6)
    page.focus(".compare-choices [lang=en] >> nth=1")
    page.keyboard.press("Enter")
    window.until("() => __inspect.trace?.source.includes('rabbit')")
    window.until("() => document.querySelector('.compare-texts')?.innerText.includes('rabbit')")
    window.ready()
    assert page.get_attribute(".compare-choices [lang=en] >> nth=1", "aria-pressed") == "true"


def test_another_model_and_the_edits(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("learned", source="ab c", target="xy", view="compare")).ready()
    page = window.page
    assert _figures(window) == [], "it knows no other sentence"
    for other in ("pre", "walkthrough"):
        page.select_option(".compare-row select", other)
        second = ".compare-texts div:nth-child(2) dt"
        window.until(f"(name) => document.querySelector('{second}')?.innerText.includes(name)", other)
        window.ready()
        assert "matched by their rows" in page.inner_text("[data-figure=compare-heads]")
        assert "no common axes" in page.inner_text("main") or "cannot be subtracted" in page.inner_text("main")
    edit = "decoder.1.cross_attention.head.1=zero"
    window.go(model="learned", source="ab c", target="xy", view="compare", edits=edit)
    window.until("() => document.querySelector('.compare-texts dt')?.innerText.includes('before')")
    window.until("() => document.querySelectorAll('[data-figure=compare-attention] canvas').length === 3")


def test_two_snapshots_read_the_same_sentence(serve: Serve, small_run: Path, open_page: OpenPage) -> None:
    window = open_page(serve(small_run)).ready().go(source="The cat sleeps.", view="compare")
    page = window.page
    first = page.evaluate("__inspect.trace.text")
    page.select_option(".compare-row select", "small@0")
    second = ".compare-texts div:nth-child(2)"
    window.until(f"() => document.querySelector('{second} dt')?.innerText.includes('step 0')")
    told = page.inner_text(".compare-texts")
    assert told.count("The cat sleeps.") == 2
    untrained = translator_of(
        load_snapshot(load_bundle(small_run), small_run / "snapshots/step-00000000.safetensors", step=0)
    )
    texts = [first, pellucid.trace(untrained, "The cat sleeps.").text]
    assert texts[0] != texts[1]
    assert all(text in told for text in texts), (texts, told)


@pytest.mark.parametrize(("width", "scheme", "lang"), [(360, "dark", "zh"), (1440, "light", "en")])
def test_a_comparison_can_be_read_by_everybody(
    shown: Shown, open_page: OpenPage, tmp_path: Path, width: int, scheme: str, lang: str
) -> None:
    link = shown.link("walkthrough", source=TIRED, view="compare", lang=lang, **{"compare.source": LONGER})
    window = open_page(link, width=width, color_scheme=scheme).ready()
    window.until("() => document.querySelectorAll('[data-figure=compare-attention] canvas').length === 3")
    assert window.ready().accessibility_problems() == []
    assert "⟦" not in window.page.inner_text("body")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    with window.page.expect_download() as download:
        window.page.click(".compare-row a")
    download.value.save_as(tmp_path / "page.html")
    saved = (tmp_path / "page.html").as_uri()
    alone = open_page(saved, width=width, color_scheme=scheme, offline=True).ready()
    alone.until("() => document.querySelectorAll('[data-figure=compare-attention] canvas').length === 3")
    assert _figures(alone.ready()) == FIGURES
    assert alone.page.locator("main .problem").count() == 0
    assert "pellucid serve" in alone.page.inner_text("main > article > .hint")
