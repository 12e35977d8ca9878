"""The picture of the whole model: played, zoomed and entered by mouse and keyboard; its numbers are the trace's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

TIRED = "The animal didn't cross the street because it was too tired."
PAIR = {"source": "The animal was tired.", "target": "Il dort."}
STAGE = ".whole-stage"
CARD = ".whole-card"
SCENE = "__inspect.whole"
# The pixel of a mark in the window: what a mouse has to point at.
PLACE = """(mark) => {
    const scene = __inspect.whole;
    const cells = scene.layout.stacks[mark.stack]?.cells ?? [];
    const cell = cells.find(({block, kind}) => block === mark.block || kind === mark.block);
    const [x, y] = scene.screenOf(mark.link ? {type: "link", link: mark.link} : {...mark, cell});
    const box = document.querySelector(".whole-stage").getBoundingClientRect();
    return [box.left + x, box.top + y];
}"""


def _place(window: Window, **mark: object) -> tuple[float, float]:
    window.page.evaluate("document.querySelector('.whole-stage').scrollIntoView({block: 'center'})")
    x, y = window.page.evaluate(PLACE, mark)
    return x, y


def _point(window: Window, **mark: object) -> str:
    window.page.mouse.move(2, 2)
    window.until("!document.querySelector('.whole-card')")
    window.page.mouse.move(*_place(window, **mark))
    window.until("document.querySelector('.whole-card')")
    return str(window.page.inner_text(CARD))


def _exact(window: Window) -> float:
    return float(window.page.inner_text(f"{CARD} .exact").replace("\u2212", "-"))


def _tab_to_the_picture(window: Window) -> None:
    window.page.locator(".whole-controls button >> nth=-1").focus()
    for _ in range(4):
        window.page.keyboard.press("Tab")
        if window.page.evaluate("document.activeElement.matches('.whole-stage')"):
            return
    raise AssertionError("Tab does not come to the picture")


def test_the_first_screen_shows_the_whole_model_and_its_story(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough")).ready()
    box: dict[str, float] = window.page.evaluate("document.querySelector('.whole-stage').getBoundingClientRect()")
    assert box["top"] < 520, "it begins in the upper half"
    focus: dict[str, Any] = window.page.evaluate(f"({{stack: {SCENE}.focus.stack, row: {SCENE}.focus.row}})")
    predicted: list[str] = window.page.evaluate("__inspect.trace.tokens.predicted_pieces")
    assert predicted[focus["row"]] in {"il", "▁il"}, "the step that the story is about stands out"
    assert window.accessibility_problems() == []


def test_what_the_pointer_reads_is_what_the_trace_holds(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **{"whole.head": "mean"}, **PAIR)).ready()
    trace = shown.trace("walkthrough", **PAIR)
    window.page.evaluate(f"{SCENE}.choose(null)")
    for kind, stack in (("encoder", "encoder.{}.self_attention"), ("decoder", "decoder.{}.self_attention")):
        for layer in (0, 3, 5):
            mean = trace[f"{stack.format(layer)}.weights"].astype(np.float64).mean(axis=0)
            for row in (2, len(mean) - 1):
                column = int(mean[row].argmax())
                window.page.evaluate(f"{SCENE}.look({SCENE}.camera)")
                link = {"kind": kind, "layer": layer, "row": row, "column": column, "weight": float(mean[row, column])}
                window.page.evaluate(
                    f"(link) => {SCENE}.point({{type: 'link', stack: {kind!r}, row: link.row, link}})", link
                )
                window.until("document.querySelector('.whole-card .exact')")
                assert _exact(window) == pytest.approx(mean[row, column], rel=1e-6)
                assert len(window.page.locator(f"{CARD} .whole-bars bdi").all()) == 8, "one bar a head"
                window.page.evaluate(f"{SCENE}.point(null)")
                window.until("!document.querySelector('.whole-card')")
    changes: dict[str, list[float]] = window.page.evaluate("__inspect.get(`api/traces/${__inspect.trace.id}/changes`)")
    for block in ("encoder.2.feed_forward", "decoder.4.cross_attention"):
        _point(window, type="cell", stack=block.split(".")[0], block=block, row=1)
        assert _exact(window) == pytest.approx(changes[block][1], rel=1e-6)
    _point(window, type="output", stack="decoder", row=0)
    assert trace.predictions is not None
    assert _exact(window) == pytest.approx(math.exp(trace.predictions.target_log_probability[0]), rel=1e-6)


def test_the_weights_of_one_head(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **{"whole.head": 2}, **PAIR)).ready()
    weights = shown.trace("walkthrough", **PAIR)["decoder.3.cross_attention.weights"][2]
    row, column = 1, int(weights[1].argmax())
    link = {"kind": "cross", "layer": 3, "row": row, "column": column}
    window.page.evaluate(f"(link) => {SCENE}.point({{type: 'link', stack: 'decoder', row: link.row, link}})", link)
    window.until("document.querySelector('.whole-card .exact')")
    assert _exact(window) == pytest.approx(weights[row, column], rel=1e-6)
    drawn = window.page.evaluate(f"({SCENE}.weights.cross[3].values[{row * weights.shape[1] + column}]) / 255")
    assert drawn == pytest.approx(weights[row, column], abs=0.5 / 255 + 1e-6)


def test_a_number_of_a_vector_is_read_where_it_is_drawn(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    trace = shown.trace("walkthrough", **PAIR)
    block, row = "encoder.1.feed_forward", 2
    x, y = _place(window, type="cell", stack="encoder", block=block, row=row)
    window.page.mouse.move(x, y)
    window.page.keyboard.down("Control")
    while window.page.evaluate(f"{SCENE}.zoom") < 9:
        window.page.mouse.wheel(0, -140)
        window.page.wait_for_timeout(50)
    window.page.keyboard.up("Control")
    window.until(f"{SCENE}.shownVectors({SCENE}.layout.stacks.encoder.cells.find(({{block}}) => block === '{block}'))")
    _point(window, type="cell", stack="encoder", block=block, row=row)
    dimension = window.page.evaluate(f"{SCENE}.hover.dimension")
    site = "encoder.1.feed_forward_norm"
    assert f"{site} [{row}, {dimension}]" in window.page.inner_text(CARD)
    assert _exact(window) == pytest.approx(float(trace[site][row, dimension]), rel=1e-6)


def test_play_step_and_pause(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **{"whole.speed": 4}, **PAIR), reduced_motion="no-preference").ready()
    last = window.page.evaluate(f"{SCENE}.last")
    assert last == 6 + len(shown.trace("walkthrough", **PAIR).tokens.fed_pieces)
    assert window.page.evaluate(f"{SCENE}.moment") == last, "nothing plays by itself"
    window.page.click(".whole-controls .play")
    window.until(f"{SCENE}.isPlaying && {SCENE}.moment >= 2")
    window.page.click(".whole-controls .play")
    window.until(f"!{SCENE}.isPlaying")
    moment = window.page.evaluate(f"{SCENE}.moment")
    assert 2 <= moment < last
    window.page.click(".whole-controls button >> nth=2")
    assert window.page.evaluate(f"{SCENE}.moment") == moment + 1
    window.until(f"__inspect.state()['whole.moment'] === '{moment + 1}'")
    window.page.evaluate(f"{SCENE}.goTo(7)")
    first = shown.trace("walkthrough", **PAIR).tokens.predicted_pieces[0].replace("▁", "·")
    assert first in window.page.inner_text(".whole-moment"), "the first step has written its piece"
    window.page.click(".whole-controls .play")
    window.until(f"!{SCENE}.isPlaying && {SCENE}.moment === {last}")


def test_it_is_painted_only_when_something_has_changed(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    paints = -1
    # A slow page may still be painting its first picture.
    for _ in range(20):
        before, paints = paints, window.page.evaluate(f"{SCENE}.paints")
        if paints == before:
            break
        window.page.wait_for_timeout(500)
    window.page.wait_for_timeout(500)
    assert window.page.evaluate(f"{SCENE}.paints") == paints
    window.page.evaluate(f"{SCENE}.zoomBy(1.5)")
    window.until(f"{SCENE}.paints > {paints}")


def test_into_a_chapter_and_back_by_mouse(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    mark = {"type": "cell", "stack": "decoder", "block": "decoder.4.feed_forward", "row": 2}
    window.page.mouse.dblclick(*_place(window, **mark))
    window.until(f"{SCENE}.zoom > 3")
    window.until("__inspect.state()['whole.view'] !== undefined")
    view = window.page.evaluate("__inspect.state()['whole.view']")
    window.page.mouse.dblclick(*_place(window, **mark))
    window.page.wait_for_timeout(200)
    if window.page.get_attribute(".chapter", "data-view") == "translate":
        window.page.mouse.dblclick(*_place(window, **mark))
    window.until("document.querySelector('.chapter').dataset.view === 'feed_forward'")
    state = window.ready().page.evaluate("__inspect.state()")
    assert (state["kind"], state["layer"], state["query"]) == ("decoder", 4, 2)
    assert state["whole.view"] != ""
    assert view != ""
    window.page.click(".whole-back")
    window.until("document.querySelector('.chapter').dataset.view === 'translate'")
    window.ready()
    window.until(f"{SCENE}.zoom > 3")
    window.page.go_back()
    window.until("document.querySelector('.chapter').dataset.view === 'feed_forward'")


def test_a_link_is_pulled_open_and_kept_in_the_address(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED)).ready()
    strong: list[dict[str, Any]] = window.page.evaluate(
        f"{SCENE}.strong.filter(({{kind, weight}}) => kind === 'cross' && weight > 0.15)"
    )
    x, y = _place(window, link=max(strong, key=lambda link: link["weight"]))
    window.page.mouse.move(x, y)
    window.until(f"{SCENE}.hover?.type === 'link'")
    window.page.mouse.down()
    window.page.mouse.move(x + 10, y - 60, steps=5)
    window.page.mouse.up()
    window.until(f"{SCENE}.pin?.type === 'link' && {SCENE}.headsOf({SCENE}.pin.link)?.length === 8")
    window.until("(__inspect.state()['whole.pin'] ?? '').startsWith('cross.')")
    again = open_page(window.page.url).ready()
    again.until(f"{SCENE}.pin?.type === 'link'")
    assert again.page.evaluate(f"{SCENE}.pin.link.column") == window.page.evaluate(f"{SCENE}.pin.link.column")


def test_everything_by_keyboard_alone(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **{"whole.head": "mean"}, **PAIR)).ready()
    trace = shown.trace("walkthrough", **PAIR)
    _tab_to_the_picture(window)
    keys = window.page.keyboard
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        keys.press(key)
    window.until("document.querySelector('.whole-card .exact')")
    cell = window.page.locator(f"{STAGE} [role=gridcell][aria-selected=true]").inner_text()
    piece = trace.tokens.source_pieces[window.page.evaluate(f"{SCENE}.hover.row")].replace("▁", "·")
    assert "self-attention" in cell
    assert piece in cell
    keys.press("l")
    window.until(f"{SCENE}.hover.type === 'link'")
    window.until("document.querySelector('.whole-card .exact')")
    link = window.page.evaluate(f"{SCENE}.hover.link")
    mean = trace[f"encoder.{link['layer']}.self_attention.weights"].astype(np.float64).mean(axis=0)
    assert mean[link["row"], link["column"]] == pytest.approx(mean[link["row"]].max(), abs=1 / 255)
    assert _exact(window) == pytest.approx(mean[link["row"], link["column"]], rel=1e-6)
    for key, more in (("+", True), ("-", False)):
        zoom = window.page.evaluate(f"{SCENE}.zoom")
        keys.press(key)
        window.until(f"{SCENE}.zoom {'>' if more else '<'} {zoom}")
    keys.press("0")
    for key in (",", ","):
        keys.press(key)
    assert window.page.evaluate(f"{SCENE}.last - {SCENE}.moment") == 2
    keys.press(".")
    keys.press("p")
    window.until(f"!{SCENE}.isPlaying && {SCENE}.moment === {SCENE}.last")
    keys.press("Enter")
    window.until("document.querySelector('.chapter').dataset.view === 'links'")
    window.ready()
    window.page.locator(".whole-back").focus()
    keys.press("Enter")
    window.until("document.querySelector('.chapter').dataset.view === 'translate'")
    window.ready()


@pytest.mark.parametrize(("width", "scheme", "language"), [(360, "dark", "en"), (1440, "dark", "zh")])
def test_the_picture_on_every_screen(shown: Shown, open_page: OpenPage, width: int, scheme: str, language: str) -> None:
    window = open_page(shown.link("walkthrough", lang=language, source=TIRED), width=width, color_scheme=scheme).ready()
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    ratio: list[float] = window.page.evaluate(
        "(() => { const canvas = document.querySelector('.whole-stage canvas');"
        " return [canvas.width, canvas.getBoundingClientRect().width * devicePixelRatio]; })()"
    )
    assert ratio[0] == pytest.approx(ratio[1], abs=1.5)
    _point(window, type="cell", stack="encoder", block="encoder.2.self_attention", row=3)
    box = window.page.evaluate("document.querySelector('.whole-card').getBoundingClientRect().toJSON()")
    assert box["left"] >= 0
    assert box["right"] <= width
    assert window.accessibility_problems() == []
    window.screenshot(f"whole-{width}-{scheme}-{language}")


# The sentences below the picture, by the moment at which each was seen.
SEEN_WHILE_IT_PLAYS = """() => new Promise((done) => {
    const scene = __inspect.whole;
    const seen = {};
    const look = () => {
        (seen[scene.moment] ??= []).push(document.querySelector("[data-figure=whole] > .says").innerText);
        scene.isPlaying ? requestAnimationFrame(look) : done(seen);
    };
    scene.speed = 4;
    scene.play();
    look();
})"""


def _says(window: Window) -> str:
    return str(window.page.inner_text("[data-figure=whole] > .says"))


def test_the_sentence_below_follows_the_step_that_is_shown(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED), reduced_motion="no-preference").ready()
    pieces = [piece.replace("▁", "·") for piece in window.page.evaluate("__inspect.trace.tokens.predicted_pieces")]
    shares = 100 * np.exp(window.page.evaluate("__inspect.trace.predictions.target_log_probability"))
    assert "“il”" in _says(window) or "“·il”" in _says(window), "at rest, the step that is kept"
    for moment in (0, 3, 6):
        window.page.evaluate(f"{SCENE}.goTo({moment})")
        window.until("document.querySelector('[data-figure=whole] > .says').innerText.includes('Nothing is written')")
    words = [step for step, piece in enumerate(pieces) if piece.strip("·").isalpha()]
    for step in (words[0], words[3], words[-1]):
        window.page.evaluate(f"{SCENE}.goTo({6 + step + 1})")
        window.until(f"document.querySelector('[data-figure=whole] > .says').innerText.includes('“{pieces[step]}”')")
        assert f"{shares[step]:.3g}" in _says(window)
    kept = {"type": "piece", "stack": "decoder", "row": words[2]}
    window.page.evaluate(f"(kept) => {{ {SCENE}.goTo({SCENE}.last); {SCENE}.choose(kept); }}", kept)
    window.until(f"document.querySelector('[data-figure=whole] > .says').innerText.includes('“{pieces[words[2]]}”')")
    seen: dict[str, list[str]] = window.page.evaluate(SEEN_WHILE_IT_PLAYS)
    played = [step for step in words[:-1] if str(7 + step) in seen]
    assert played, "some steps were seen while it played"
    for step in played:
        assert any(f"“{pieces[step]}”" in says for says in seen[str(7 + step)])


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (800, 600), (360, 740)])
def test_the_card_is_never_cut_off(shown: Shown, open_page: OpenPage, width: int, height: int) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED), width=width, height=height).ready()
    sources, targets = window.page.evaluate("[__inspect.trace.tokens.source_pieces, __inspect.trace.tokens.fed_pieces]")
    marks: list[dict[str, object]] = []
    for stack, rows in (("encoder", len(sources)), ("decoder", len(targets))):
        for row in (0, rows - 1):
            marks += [
                {"type": "cell", "stack": stack, "block": f"{stack}.{n}.self_attention", "row": row} for n in (0, 5)
            ]
            marks += [{"type": "piece", "stack": stack, "row": row}]
    marks += [{"type": "output", "stack": "decoder", "row": row} for row in (0, len(targets) - 1)]
    for mark in marks:
        y = _place(window, **mark)[1]
        window.page.evaluate(f"scrollBy(0, {y} - innerHeight / 2)")
        window.page.mouse.move(2, 2)
        window.until("!document.querySelector('.whole-card')")
        window.page.mouse.move(*window.page.evaluate(PLACE, mark))
        window.until("document.querySelector('.whole-card')?.style.top")
        box = window.page.evaluate("document.querySelector('.whole-card').getBoundingClientRect().toJSON()")
        assert box["left"] >= 0, mark
        assert box["right"] <= width, mark
        assert box["top"] >= 0, mark
        assert box["bottom"] <= height, mark


def test_labels_are_painted_over_the_lines(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED)).ready()
    painted = """(prepare) => new Promise((done) => {
        const scene = __inspect.whole;
        const context = scene.layers.over.getContext("2d");
        const calls = [];
        for (const name of ["bezierCurveTo", "fillText"]) {
            const own = CanvasRenderingContext2D.prototype[name];
            context[name] = function (...given) {
                calls.push(name === "fillText" ? given[0] : name);
                own.apply(this, given);
            };
        }
        const link = {...scene.strong.find(({kind}) => kind === "cross")};
        const chosen = prepare === "link" ? {type: "link", row: 13, link} : {type: "piece", row: 12};
        scene.choose({stack: "decoder", ...chosen});
        scene.spoil("over");
        requestAnimationFrame(() => setTimeout(() => done(calls), 100));
    })"""
    for prepare in ("row", "link"):
        calls: list[str] = window.page.evaluate(painted, prepare)
        assert "bezierCurveTo" in calls
        last = len(calls) - 1 - calls[::-1].index("bezierCurveTo")
        labels = window.page.evaluate("__inspect.trace.tokens.fed_pieces.map((piece) => piece.replaceAll('▁', ''))")
        assert set(filter(str.isalpha, labels)) <= {call.strip("·") for call in calls[last:]}


def test_the_head_that_is_drawn_is_the_head_that_opens(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **{"whole.head": 2}, **PAIR)).ready()
    link = {"kind": "cross", "layer": 3, "row": 1, "column": 2, "weight": 0.5}
    window.page.evaluate(f"(link) => {SCENE}.open({{type: 'link', stack: 'decoder', row: 1, link}})", link)
    window.until("document.querySelector('.chapter').dataset.view === 'links'")
    assert window.ready().page.evaluate("__inspect.state().heads") == [2]
    window = open_page(shown.link("walkthrough", **{"whole.head": "mean"}, **PAIR)).ready()
    window.page.evaluate(f"(link) => {SCENE}.open({{type: 'link', stack: 'decoder', row: 1, link}})", link)
    window.until("document.querySelector('.chapter').dataset.view === 'links'")
    weights = shown.trace("walkthrough", **PAIR)["decoder.3.cross_attention.weights"][:, 1, 2]
    assert window.ready().page.evaluate("__inspect.state().heads") == [int(weights.argmax())], "though none was loaded"


def test_the_exported_picture_has_no_buttons_and_the_menu_has_the_whole_page(
    shown: Shown, open_page: OpenPage, tmp_path: Path
) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    menu = "[data-figure=whole] .menu"
    files = {}
    for item in ("SVG", "Whole page (HTML)"):
        window.page.click(f"{menu} > button")
        with window.page.expect_download() as waiting:
            window.page.click(f"{menu} .menu-items button:has-text('{item}')")
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        files[item] = path.read_text(encoding="utf-8")
    assert files["SVG"].count("<image") == 4
    texts = ElementTree.fromstring(files["SVG"]).iter("{http://www.w3.org/2000/svg}text")
    assert [one.text for one in texts] == [], "no button, no slider, no help"
    assert 'data-mode="file"' in files["Whole page (HTML)"]
    assert PAIR["target"] in files["Whole page (HTML)"]
