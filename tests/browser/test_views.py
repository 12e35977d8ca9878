"""Every view, on models of every kind: it opens, tells itself in whole sentences, and stands while all else changes."""

from __future__ import annotations

import pytest

from pellucid.page.single_file import view_names

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

SOURCE, TARGET = "The animal was tired.", "Il dort."
# Seen in the page, these are holes: a text that is missing, a name that was not filled in, a number that is none.
HOLES = r"""() => {
    const hole = /⟦[^⟧]*⟧|\{\w+\}|.{0,20}\b(undefined|NaN|\[object \w+\]).{0,20}/g;
    const told = ["aria-label", "title"].flatMap((name) => (
        [...document.querySelectorAll(`[${name}]`)].map((element) => element.getAttribute(name))));
    return [document.body.innerText, ...told].flatMap((text) => text.match(hole) ?? []);
}"""
OPEN_ALL = """async (nth) => {
    for (const bar of document.querySelectorAll(".tools")) {
        bar.querySelectorAll("button[aria-pressed]")[nth]?.click();
        await new Promise((drawn) => requestAnimationFrame(drawn));
    }
}"""


def _holes(window: Window) -> list[str]:
    told = [f"a hole: {hole}" for hole in window.page.evaluate(HOLES)]
    for place in (".problem", ".banner", ".differs"):
        told += [f"{place}: {text}" for text in window.page.locator(place).all_inner_texts()]
    return told


@pytest.mark.parametrize(
    ("model", "language"), [("walkthrough", "en"), ("walkthrough", "zh"), ("pre", "en"), ("learned", "zh")]
)
def test_every_view_opens(shown: Shown, open_page: OpenPage, model: str, language: str) -> None:
    state = {"model": model, "lang": language, "source": SOURCE, "target": TARGET}
    window = open_page(shown.link(**state)).ready()
    assert window.page.get_attribute("html", "lang") == language
    found: list[str] = []
    for view in view_names():
        window.go(view=view, **state)
        found += [f"{view}: {hole}" for hole in _holes(window)]
        if not window.page.locator("[data-figure]").count():
            assert view in {"targets", "curves", "compare"}, f"{view} has no picture"
            assert model != "walkthrough", f"{view}: what is kept of its training comes with the walkthrough model"
        for nth in (0, 1):  # the tables, then what can be computed again
            window.page.evaluate(OPEN_ALL, nth)
            window.ready()
            found += [f"{view}, opened {nth}: {hole}" for hole in _holes(window)]
    assert found == []
    assert all(address.startswith(shown.address) for address in window.requests)


@pytest.mark.parametrize("kind", ["encoder", "cross"])
def test_views_stand_while_model_sentence_and_choices_change(shown: Shown, open_page: OpenPage, kind: str) -> None:
    """Numbers come later than labels; a view that mixes those of two sentences fails, or shows what is not so."""
    long = {"source": "The animal was tired because the street was wide", "target": "Il était fatigué, car la rue"}
    short = {"source": "I", "target": "Moi"}
    window = open_page(shown.link("walkthrough", view="health", **long)).ready()
    other = "cross" if kind == "encoder" else "decoder"
    last = {"layer": 5, "heads": [1], "query": 3, "key": 2, "step": 3}
    for view in view_names():
        for state in (
            {"model": "walkthrough", "kind": kind, **long, **last},
            {"model": "walkthrough", "kind": kind, **short, **last},
            {"model": "walkthrough", "kind": other, **long, **last},
            {"model": "pre", "kind": kind, **short, **last},
            {"model": "learned", "kind": kind, **long, **last},
            {"model": "walkthrough", "kind": kind, **long, **last},
        ):
            window.go(view=view, **state)
            window.until("(id) => __inspect.trace?.model === id", state["model"])
            assert window.ready().problems == [], (view, state)
            assert _holes(window) == [], (view, state)


CHART = """async () => {
    const {html, render} = await import("pellucid/ui");
    const {LineChart} = await import("pellucid/pictures/chart");
    const place = document.createElement("div");
    document.body.append(place);
    const series = [{name: "a", colour: "red", points: [[0, 3], [1, 2], [10, 1]]}];
    render(html`<${LineChart} series=${series} xScale="log" xTitle="" yTitle="" name="" />`, place);
    const found = [place.querySelectorAll(".axis-break").length,
        place.querySelector(".curve").getAttribute("d").match(/[ML][\\d.]+/g)];
    render(null, place);
    place.remove();
    return found;
}"""


def test_the_untrained_model_stands_apart_on_a_logarithmic_axis(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=SOURCE, target=TARGET)).ready()
    breaks, (zero, one, ten) = window.page.evaluate(CHART)
    assert breaks == 1
    assert float(zero[1:]) < float(one[1:]) < float(ten[1:])
    assert (zero[0], one[0], ten[0]) == ("M", "M", "L")
