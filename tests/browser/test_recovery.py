"""What goes wrong is told where the reader is, with a remedy that works; a picture is never of another sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest

from .conftest import OpenPage, Server
from .models import Shown
from .windows import Window

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.slow

STATE = {"source": "abcd", "target": "efg", "kind": "decoder", "layer": 2, "query": 1}
AGAIN = ".notice button"
INPUT = "form.sentence input"


class MortalServer:
    """A server that can be lost, and started anew at the same address: it then knows none of the page's traces."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._server = Server(str(model))
        self.address = self._server.address

    def link(self, **state: object) -> str:
        return f"{self.address}#{urlencode(STATE | state)}"

    def lose(self) -> None:
        self._server.kill()

    def start(self) -> None:
        self._server = Server(str(self._model), "--port", str(urlsplit(self.address).port))


@pytest.fixture(scope="module")
def mortal(random_model: Callable[..., Path]) -> Iterator[MortalServer]:
    server = MortalServer(random_model())
    yield server
    server.lose()


def _chapter(window: Window, view: str) -> None:
    """Choose a chapter as a reader does."""
    number = window.page.evaluate(
        "(name) => import('pellucid/views').then(({VIEWS}) => VIEWS.findIndex((view) => view.name === name))", view
    )
    window.page.click(f"nav.chapters button >> nth={number}")


def _in_sight(window: Window, selector: str) -> bool:
    box = window.page.locator(selector).bounding_box()
    height = window.page.evaluate("innerHeight")
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= height


def test_a_server_started_anew_is_not_noticed(mortal: MortalServer, open_page: OpenPage) -> None:
    """The sentence is known, so the trace that the new server does not have is made again, under the reader's eyes."""
    window = open_page(mortal.link(view="links"), may_fail=True).ready()
    before = window.trace_id
    mortal.lose()
    mortal.start()
    _chapter(window, "matrices")
    window.until("(id) => __inspect.trace && __inspect.trace.id !== id", before)
    assert window.ready().page.get_attribute(".chapter", "data-view") == "matrices"
    assert window.page.locator(".problem").count() == 0
    state = window.page.evaluate("__inspect.state()")
    assert {name: state[name] for name in STATE} == STATE
    assert sum(request.method == "POST" for request in window.asked) == 2, "once at first, and once anew"


def test_the_place_stays_while_a_chapter_is_drawn_anew(shown: Shown, open_page: OpenPage) -> None:
    lost: list[str] = []

    def answer(route: Route) -> None:
        if any(trace_id in route.request.url for trace_id in lost):
            route.fulfill(status=410, content_type="application/json", body='{"error": "gone"}')
        else:
            route.continue_()

    link = shown.link("walkthrough", view="matrices", query=2, source="The animal was tired.")
    window = open_page(link, may_fail=True, routes={"**/api/traces/**": answer}).ready()
    lost.append(window.trace_id)
    window.page.evaluate("scrollTo(0, 900)")
    window.page.evaluate("import('pellucid/state').then(({setState}) => setState({layer: 3}))")
    window.until("(id) => __inspect.trace && __inspect.trace.id !== id", lost[0])
    assert window.ready().page.evaluate("scrollY") == 900


# The embeddings ask the model, not only the trace.
@pytest.mark.parametrize(("view", "remedy"), [("matrices", "Enter"), ("embeddings", "button")])
def test_a_lost_server_is_told_where_the_reader_is(
    mortal: MortalServer, open_page: OpenPage, view: str, remedy: str
) -> None:
    window = open_page(mortal.link(view="links"), may_fail=True, width=360, height=700).ready()
    mortal.lose()
    _chapter(window, view)
    window.until("document.querySelector('.notice')")
    window.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert "does not answer" in window.page.inner_text(".notice")
    assert _in_sight(window, ".notice"), "however far down the reader is"
    window.screenshot(f"lost-{view}", whole=False)
    assert window.accessibility_problems() == []

    window.page.click(AGAIN)  # too early
    window.until("document.querySelector('.notice')")
    mortal.start()
    if remedy == "button":
        window.page.click(AGAIN)
    else:
        window.page.press(INPUT, "Enter")
    window.until("!document.querySelector('.notice') && window.__inspect?.trace")
    assert window.ready().page.get_attribute(".chapter", "data-view") == view
    assert window.page.locator(".problem").count() == 0
    assert window.page.locator("[data-figure]").count() > 0


def test_code_that_could_not_be_fetched_is_fetched_in_the_end(shown: Shown, open_page: OpenPage) -> None:
    """A browser remembers a module that failed; the page then starts anew, where the reader was."""
    broken = True

    def answer(route: Route) -> None:
        if broken:
            route.abort()
        else:
            route.continue_()

    link = shown.link("walkthrough", view="links", source="I am a student.", layer=2)
    window = open_page(link, may_fail=True, routes={"**/feed_forward/unit.js*": answer}).ready()
    _chapter(window, "feed_forward")
    window.until("document.querySelector('.notice')")
    broken = False
    window.page.click(AGAIN)
    window.until("document.querySelector('[data-figure=feed-forward]')")
    assert window.ready().page.locator(".problem").count() == 0
    state = window.page.evaluate("__inspect.state()")
    assert (state["view"], state["layer"], state["source"]) == ("feed_forward", 2, "I am a student.")


@pytest.mark.parametrize("state", [{}, {"source": "I am a student."}])
def test_enter_recovers_from_a_request_that_broke(shown: Shown, open_page: OpenPage, state: dict[str, str]) -> None:
    """The example that the page begins with is not in its address; one Enter is enough all the same."""
    broken: list[Route] = []

    def answer(route: Route) -> None:
        if broken:
            route.continue_()
        else:
            broken.append(route)
            route.abort()

    window = open_page(shown.link("walkthrough", **state), may_fail=True, routes={"**/api/traces": answer})
    window.until("document.querySelector('.notice')")
    assert window.page.inner_text(".translation") == ""
    window.page.press(INPUT, "Enter")
    window.until("__inspect.trace")
    assert window.ready().page.locator(".problem").count() == 0
    window.page.press(INPUT, "Enter")  # and where nothing is wrong it does no harm
    assert window.ready().page.locator(".problem").count() == 0


def test_another_sentence_takes_the_place_of_the_one_that_is_searched(shown: Shown, open_page: OpenPage) -> None:
    """The first request is given up, which ends its search; and its answer is never shown."""
    held: list[Route] = []

    def answer(route: Route) -> None:
        if not held:
            held.append(route)
        else:
            route.continue_()

    window = open_page(
        shown.link("walkthrough", source="I am a student."), may_fail=True, routes={"**/api/traces": answer}
    )
    window.until("document.querySelector('main[aria-busy=true]')")
    assert window.page.inner_text(".translation") == "Translating …"
    window.page.fill(INPUT, "The animal was tired.")
    window.page.press(INPUT, "Enter")
    window.until("__inspect.trace?.source === 'The animal was tired.'")
    assert (held[0].request.failure or "") == "net::ERR_ABORTED"
    assert window.ready().page.inner_text(".translation").strip() == window.page.evaluate("__inspect.trace.text")
    assert window.page.locator(".problem").count() == 0


@pytest.mark.parametrize(("language", "words"), [("en", "one sentence at a time"), ("zh", "一次只输入一个句子")])
def test_a_refused_sentence_has_no_translation(shown: Shown, open_page: OpenPage, language: str, words: str) -> None:
    """The chapters stay with the sentence before it and say so; the remedy is one that the reader of a page has."""
    link = shown.link("walkthrough", source="I am a student.", lang=language)
    window = open_page(link, may_fail=True).ready()
    translation = window.page.inner_text(".translation").strip()
    assert translation
    window.page.fill(INPUT, "the " * 300)
    window.page.press(INPUT, "Enter")
    window.until("document.querySelector('.notice')")
    assert window.page.inner_text(".translation").strip() == "", "not that of the sentence before it"
    assert window.page.evaluate("__inspect.trace") is None
    assert window.page.locator("[data-figure]").count() > 0, "the reader loses nothing"
    assert "I am a student." in window.page.inner_text("form.sentence .hint")
    told = window.page.inner_text(".notice")
    assert words in told
    assert [word for word in ("max_input_length", "pellucid inspect", "source has") if word in told] == []
    assert window.page.locator(AGAIN).count() == 0, "which would be refused again"
    window.screenshot("refused")
    window.page.click("form.sentence .hint button")
    window.until("__inspect.trace")
    assert window.ready().page.inner_text(".translation").strip() == translation
    assert window.page.input_value(INPUT) == "I am a student."


def test_a_tour_clicked_through_fast_ends_where_a_slow_one_does(shown: Shown, open_page: OpenPage) -> None:
    """The stops point at words of a sentence that is not there yet; when it comes, they point at its words."""

    def walk(*stops: str, slowly: bool) -> dict[str, dict[str, object]]:
        """Return what is seen at some stops of the tour; a fast walk has its answers at the last of them."""
        held: list[Route] = []
        holds = False

        def answer(route: Route) -> None:
            if holds:
                held.append(route)
            else:
                route.continue_()

        link = shown.link("walkthrough", source="A dog saw the house.")
        window = open_page(link, may_fail=True, routes={"**/api/traces": answer}).ready()
        names = window.page.evaluate("import('pellucid/tour_stops').then(({STOPS}) => STOPS.map(({name}) => name))")
        holds = not slowly
        window.page.click(".page-tools button:last-of-type")
        seen: dict[str, dict[str, object]] = {}
        for name in names[: max(map(names.index, stops)) + 1]:
            if name != names[0]:
                window.page.click(".tour-buttons button >> nth=1")
            if slowly and name not in stops:
                window.ready()
            if name in stops:
                holds = False
                for route in held:
                    if route.request.failure is None:
                        route.continue_()
                seen[name] = what_is_seen(window)
        return seen

    def what_is_seen(window: Window) -> dict[str, object]:
        window.until("(source) => __inspect.trace && __inspect.trace.source !== source", "A dog saw the house.")
        window.ready()
        assert window.page.locator(".problem").count() == 0
        chosen = "[...document.querySelectorAll('main [aria-pressed=true]')].map((one) => one.textContent)"
        return {
            "state": window.page.evaluate("__inspect.state()"),
            "translation": window.page.inner_text(".translation"),
            "chosen": window.page.evaluate(chosen),
            "says": window.page.locator(".says").all_inner_texts(),
        }

    stops = ("it", "wide_links", "wide_adjective")
    slow = walk(*stops, slowly=True)
    assert {stop: walk(stop, slowly=False)[stop] for stop in stops} == slow


@pytest.mark.parametrize(("language", "greeting"), [("en", "Give the model a sentence"), ("zh", "给模型一个句子")])
def test_a_model_without_examples_greets(shown: Shown, open_page: OpenPage, language: str, greeting: str) -> None:
    window = open_page(shown.link("walkthrough", source="", lang=language)).ready()
    window.page.select_option(".page-tools select >> nth=0", "pre")
    window.until("document.querySelector('.welcome')")
    assert window.page.inner_text(".welcome h2") == greeting
    assert "undefined" not in window.page.inner_text("body")
    assert window.page.locator(".chapter, .problem").count() == 0, "nothing of the model before it"
    assert window.page.inner_text(".translation") == ""
    assert window.accessibility_problems() == []
    window.screenshot(f"welcome-{language}")
    window.page.fill(INPUT, "a dog")
    window.page.press(INPUT, "Enter")
    window.until("__inspect.trace?.model === 'pre'")
    assert window.ready().page.locator(".welcome").count() == 0
