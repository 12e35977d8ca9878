"""The search as a tree: by mouse and by keyboard, with its settings, in both languages, and in the single file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pellucid
from pellucid.tracing.searching.making import search_tree

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

SOURCE = "The animal was tired."
PICKED = "[role=treeitem][aria-selected=true]"


def opened(shown: Shown, open_page: OpenPage, **state: Any) -> Window:
    window = open_page(shown.link("walkthrough", view="search", source=SOURCE, **state)).ready()
    window.page.wait_for_selector(PICKED)
    return window


def answer(window: Window) -> Any:
    settings = window.page.evaluate("new URLSearchParams(__inspect.state()['search.set'] ?? '').toString()")
    path = f"api/traces/{window.trace_id}/search" + (f"?{settings}" if settings else "")
    return window.page.evaluate("(path) => __inspect.get(path)", path)


def test_the_tree_is_that_of_the_search(shown: Shown, open_page: OpenPage, walkthrough: Path) -> None:
    window = opened(shown, open_page)
    page = window.page
    tree = search_tree(pellucid.load(walkthrough, engine="torch", threads=1), SOURCE)
    winner = [tree.nodes[number] for number in tree.winner]
    assert page.locator("[role=treeitem].winner").count() == len(winner)
    assert page.locator("[role=treeitem]").count() == min(len(tree.nodes), 12 * len(tree.steps))
    assert tree.hypotheses[0].text in page.inner_text(".search-ends li >> nth=0")
    # A click shows the sum along the path; its terms, as printed, add up to the total.
    page.click("[role=treeitem].live >> nth=0")
    window.until("() => document.querySelector('[role=treeitem].live')?.ariaSelected === 'true'")
    terms = [
        float(text.split()[0].replace("−", "-"))
        for text in page.locator(".search-sum span:not(.total)").all_inner_texts()
    ]
    total = float(page.inner_text(".search-sum .total").removeprefix("=").replace("−", "-"))
    assert sum(terms) == pytest.approx(total, abs=1e-3 * max(1, abs(total)))


def test_the_keyboard_goes_along_the_tree(shown: Shown, open_page: OpenPage) -> None:
    window = opened(shown, open_page)
    page = window.page
    page.focus(PICKED)
    page.keyboard.press("Home")
    window.until("() => document.activeElement.ariaLevel === '1'")
    first = page.get_attribute(PICKED, "aria-label")
    page.keyboard.press("ArrowRight")
    window.until("() => document.activeElement.ariaLevel === '2'")
    page.keyboard.press("ArrowDown")
    window.until("() => document.activeElement.classList.contains('winner') === false")
    page.keyboard.press("Home")
    window.until("(name) => document.activeElement.ariaLabel === name", first)
    page.keyboard.press("End")
    window.until("() => document.activeElement.textContent.includes('</s>')")
    assert page.locator("[role=treeitem][tabindex='0']").count() == 1
    assert window.accessibility_problems() == []


def test_a_candidate_opens_as_a_trace_and_leads_back(shown: Shown, open_page: OpenPage) -> None:
    window = opened(shown, open_page)
    page = window.page
    found = answer(window)
    page.click("[role=treeitem].lost >> nth=3")
    window.until("() => __inspect.state()['search.node']")
    number = int(page.evaluate("__inspect.state()['search.node']"))
    page.click(".search-details button")
    window.until("() => __inspect.state().view === 'decoder'")
    window.ready()
    window.until("() => __inspect.trace?.is_searched === false")
    ids: list[int] = []
    at: int | None = number
    while at is not None:
        ids.insert(0, found["nodes"]["token"][at])
        at = found["nodes"]["parent"][at]
    assert page.evaluate("__inspect.trace.tokens.predicted_ids") == ids
    assert page.evaluate("__inspect.trace.log_probability") == pytest.approx(found["nodes"]["total"][number], abs=1e-4)
    page.click(".sentence .hint button")  # the model's translation again
    window.until("() => __inspect.trace?.is_searched === true")


def test_the_settings_act_at_once(shown: Shown, open_page: OpenPage) -> None:
    window = opened(shown, open_page)
    page = window.page
    before = page.locator("[role=treeitem]").count()
    page.focus("input[name=beam_size]")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    window.until("(n) => document.querySelectorAll('[role=treeitem]').length < n", before)
    assert answer(window)["settings"]["beam_size"] == 3
    page.click(".search-controls button:has-text('none')")
    window.until("() => (__inspect.state()['search.set'] ?? '').includes('length_penalty=none')")
    page.click(".search-controls button:has-text('sampling')")
    page.wait_for_selector("input[name=top_k]")
    page.focus("input[name=top_k]")
    page.keyboard.press("ArrowRight")
    window.until("() => document.querySelector('[role=treeitem]')?.textContent.includes('→ 100 %')")
    assert answer(window)["settings"]["top_k"] == 1
    page.click(".search-controls button:has-text('beam search')")
    window.until("() => (__inspect.state()['search.set'] ?? '').includes('beam_size=3')")
    page.click("button:has-text('Back to that search')")
    window.until("(n) => document.querySelectorAll('[role=treeitem]').length === n", before)


def test_who_only_looks_at_sampling_comes_back_to_the_search_of_the_translation(
    shown: Shown, open_page: OpenPage
) -> None:
    window = opened(shown, open_page)
    size = answer(window)["settings"]["beam_size"]
    window.page.click(".search-controls button:has-text('sampling')")
    window.page.wait_for_selector("input[name=top_k]")
    window.page.click(".search-controls button:has-text('beam search')")
    window.page.wait_for_selector("input[name=beam_size]")
    assert not window.page.evaluate("__inspect.state()['search.set']")
    assert window.page.input_value("input[name=beam_size]") == str(size)
    assert "another search" not in window.ready().page.inner_text(".chapter")


def test_a_reference_is_judged(shown: Shown, open_page: OpenPage) -> None:
    window = opened(shown, open_page)
    page = window.page
    best = page.inner_text(".search-ends li button >> nth=0")
    for text, verdict in (("La dame dort.", "model_error"), (best, "found")):
        page.fill("input[name=reference]", text)
        page.keyboard.press("Enter")
        page.wait_for_selector(f"[data-verdict={verdict}]")


def test_a_long_search_is_bounded(shown: Shown, open_page: OpenPage) -> None:
    state = {"model": "pre", "source": "a" * 180, "view": "search", "search.set": "beam_size=8&length_penalty=none"}
    window = open_page(shown.link(**state), width=360).ready()
    window.page.wait_for_selector(PICKED)
    assert window.page.locator("[role=treeitem]").count() <= 12 * 24
    assert window.num_nodes() < 3000
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 360
    first = "document.querySelector('.search-canvas text').textContent"
    assert window.page.evaluate(first) == "0", "it opens at its beginning"
    window.page.click(".paging button >> nth=1")
    window.until(f"{first} === '24'")
    window.page.click(".paging button >> nth=0")
    window.until(f"{first} === '0'")


@pytest.mark.parametrize("width", [360, 1440])
def test_chinese_is_complete(shown: Shown, open_page: OpenPage, width: int) -> None:
    link = shown.link("walkthrough", view="search", source=SOURCE, lang="zh")
    window = open_page(link, width=width, color_scheme="dark").ready()
    window.page.wait_for_selector(PICKED)
    text = window.page.inner_text(".chapter")
    assert "⟦" not in text
    assert "搜索树" in text
    assert window.accessibility_problems() == []
    window.screenshot(f"search-zh-{width}")


def test_the_file_holds_its_search(tmp_path: Path, open_page: OpenPage, walkthrough: Path) -> None:
    trace = pellucid.trace(pellucid.load(walkthrough, engine="torch", threads=1), SOURCE)
    trace.to_html(tmp_path / "page.html", view="search", weights="none")
    window = open_page((tmp_path / "page.html").as_uri(), offline=True).ready()
    page = window.page
    page.wait_for_selector(PICKED)
    page.click("[role=treeitem].lost >> nth=0")
    window.until("() => __inspect.state()['search.node']")
    assert page.is_disabled(".search-details button")
    assert page.is_disabled("input[name=beam_size]")
    assert "pellucid serve" in page.inner_text(".chapter")
