"""Everybody can use the page: by keyboard alone, with a screen reader, on a telephone, with a long sentence."""

from __future__ import annotations

import re

import pytest

from pellucid.page.single_file import view_names

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

PAIR = {"source": "The animal was tired.", "target": "Il dort."}
FOCUS = "document.activeElement"
# What can be pressed or chosen and cannot be reached, since it lies outside of the window and nothing scrolls to it.
UNREACHABLE = """(width) => {
    const scrolls = (element) => element && element !== document.body
        && (["auto", "scroll"].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    return [...document.querySelectorAll("button, select, input, a[href]")]
        .filter((element) => !element.classList.contains("skip") && !scrolls(element.parentElement))
        .map((element) => [element.textContent || element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
        .filter(([, box]) => box.width > 0 && (box.left < -1 || box.right > width + 1))
        .map(([text]) => text);
}"""


@pytest.mark.parametrize(
    ("model", "width", "scheme"), [("walkthrough", 1440, "light"), ("walkthrough", 360, "dark"), ("pre", 360, "dark")]
)
def test_screen_readers_and_small_screens(
    shown: Shown, open_page: OpenPage, model: str, width: int, scheme: str
) -> None:
    state = {"model": model, "kind": "cross", **PAIR}
    window = open_page(shown.link(**state), width=width, color_scheme=scheme).ready()
    found: list[str] = []
    for view in view_names():
        window.go(view=view, **state)
        found += [f"{view}: {problem}" for problem in window.accessibility_problems()]
        wide = window.page.evaluate("document.documentElement.scrollWidth")
        found += [f"{view} is {wide} pixels wide"] if wide > width else []
        found += [f"{view}: cannot be reached: {text}" for text in window.page.evaluate(UNREACHABLE, width)]
        window.screenshot(f"view-{view}-{model}-{width}-{scheme}")
    assert found == []


@pytest.mark.parametrize("width", [360, 1440])
def test_two_hundred_pieces(shown: Shown, open_page: OpenPage, width: int) -> None:
    state = {"model": "pre", "kind": "decoder", "source": "a" * 199, "target": "b" * 199, "query": 150, "step": 150}
    window = open_page(shown.link(**state), width=width).ready()
    nodes = {}
    for view in view_names():
        window.go(view=view, **state)
        nodes[view] = window.num_nodes()
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width, view
    assert window.page.evaluate("__inspect.trace.tokens.source_pieces.length") == 200
    assert max(nodes.values()) < 5000, nodes


def _tab_to(window: Window, is_it: str, *, most: int = 120) -> None:
    """Press Tab until the element that has the focus is the one that is meant."""
    for _ in range(most):
        window.page.keyboard.press("Tab")
        if window.page.evaluate(f"(({{}}) => {{ const it = {FOCUS}; return !!({is_it}); }})({{}})"):
            visible = window.page.evaluate(f"getComputedStyle({FOCUS}).outlineStyle !== 'none' || {FOCUS}.matches('g')")
            assert visible, "the focus cannot be seen"
            return
    raise AssertionError(f"Tab never comes to {is_it}; it is at {window.page.evaluate(f'{FOCUS}.outerHTML')[:200]}")


def test_the_tour_by_keyboard_alone(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source="I am a student.")).ready()
    _tab_to(window, "it.matches('.page-tools button:last-of-type')", most=12)
    button = window.page.evaluate(f"{FOCUS}.textContent")
    window.page.keyboard.press("Enter")
    window.until("document.activeElement.matches('.tour')")
    stops = window.page.evaluate("import('pellucid/tour_stops').then(({STOPS}) => STOPS.map((stop) => stop.name))")
    assert len(stops) >= 10
    shown_count = "document.querySelector('.tour .count').innerText"
    counts, views = [], set()
    for stop in stops:
        if counts:
            window.page.keyboard.press("ArrowRight")
            window.until(f"(last) => {shown_count} !== last", counts[-1])
        window.ready()
        assert window.page.evaluate(f"{FOCUS}.matches('.tour')"), stop
        counts.append(window.page.locator(".tour .count").inner_text())
        views.add(window.page.get_attribute(".chapter", "data-view"))
        assert window.page.locator(".problem").count() == 0, stop
        assert "⟦" not in window.page.inner_text("body"), stop
        assert re.search(r"[{}]", window.page.inner_text(".tour")) is None, "a figure that is not filled in"
    assert len(set(counts)) == len(stops)
    assert len(views) >= 10, "it goes along the walkthrough"
    # There is nothing after the last stop, so two keys lead to the one before it.
    window.page.keyboard.press("ArrowRight")
    window.page.keyboard.press("ArrowLeft")
    window.until(f"(wanted) => {shown_count} === wanted", counts[-2])
    window.page.keyboard.press("Escape")
    window.until("!document.querySelector('.tour')")
    window.until("(text) => document.activeElement.textContent === text", button)


def test_pictures_by_keyboard_alone(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="positions", **PAIR)).ready()
    state = "__inspect.state()"
    _tab_to(window, "it.matches('[data-figure=positions] [role=grid]')")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        window.page.keyboard.press(key)
    pinned = window.page.evaluate(f"[{state}['positions.row'], {state}['positions.column']]")
    assert pinned == ["4", "2"], "from row 3, column 0, one down and two to the right"

    window.go(model="walkthrough", view="links", kind="cross", step=0, **PAIR)
    _tab_to(window, "it.matches('.unit[role=button]')")
    window.page.keyboard.press("Tab")
    window.page.keyboard.press("Enter")
    window.until(f"{state}.query === 1")
    assert window.page.evaluate(f"{FOCUS}.getAttribute('aria-pressed')") == "true"
    window.page.keyboard.press(" ")
    window.until(f"{state}.query === null")

    window.go(model="walkthrough", view="atlas", **PAIR)
    _tab_to(window, "it.matches('[data-figure=atlas-decoder] [role=grid]')")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        window.page.keyboard.press(key)
    window.until("document.querySelector('.chapter').dataset.view === 'links'")
    window.ready()
    chosen = window.page.evaluate(f"[{state}.kind, {state}.layer, {state}.heads.join()]")
    assert chosen == ["decoder", 2, "1"]


def test_a_sentence_by_keyboard_alone(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    _tab_to(window, "it.matches('form.sentence input')", most=40)
    window.page.keyboard.press("Control+A")
    window.page.keyboard.type("I am a student.")
    window.page.keyboard.press("Enter")
    window.until("__inspect.trace?.source === 'I am a student.'")
    assert window.ready().page.inner_text(".translation").strip() == window.page.evaluate("__inspect.trace.text")


def test_the_tour_leaves_two_thirds_of_a_telephone_to_the_picture(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR), width=360, height=740).ready()
    window.page.click(".page-tools button:last-of-type")
    height = "document.querySelector('.tour').getBoundingClientRect().height"
    whole = window.page.evaluate(height)
    assert whole <= 740 / 3
    assert window.accessibility_problems() == []
    window.page.click(".tour .fold")
    window.until("!document.querySelector('.tour-text')")
    assert window.page.evaluate(height) < whole / 1.5
