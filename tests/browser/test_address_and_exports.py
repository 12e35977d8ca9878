"""An address opens the same picture, back goes back, and what is taken away holds what was shown."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pellucid.page.single_file import view_names

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

PAIR = {"source": "The animal was tired.", "target": "Il dort."}
SVG = "{http://www.w3.org/2000/svg}"
LARGEST_LOAD_BYTES = 150_000
THIRTY = (
    "The animal didn't cross the street because it was too tired and the house of the woman was too small for the dog, "
    "the cat and the bird."
)


def _text(window: Window) -> str:
    return str(window.page.inner_text("main"))


def test_a_link_opens_the_same_picture(shown: Shown, open_page: OpenPage) -> None:
    """Chosen with the mouse on one page; the address alone brings it back on another."""
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    page = window.page
    page.click("nav.chapters button >> nth=7")
    window.ready()
    page.click(".choice[aria-label] button:has-text('2') >> nth=0")
    page.click(".choice.heads button >> nth=1")
    page.click(".choice.heads button >> nth=4")
    page.click(".unit[role=button] >> nth=3")
    window.ready()
    state = page.evaluate("__inspect.state()")
    assert (state["view"], state["layer"], state["heads"], state["query"]) == ("links", 2, [1, 4], 3)
    other = open_page(page.url).ready()
    assert other.page.evaluate("__inspect.state()") == state
    assert _text(other) == _text(window)
    lines = "[...document.querySelectorAll('.links line')].map((line) => line.outerHTML).join()"
    assert other.page.evaluate(lines) == page.evaluate(lines) != ""


@pytest.mark.parametrize(
    "state",
    [
        {"model": "learned", "view": "matrices", "kind": "cross", "layer": 1, "heads": 2, "query": 3, "key": 5},
        {"model": "pre", "view": "decoder", "layer": 2, "step": 4, "lang": "zh"},
        {"model": "walkthrough", "view": "targets", "targets.step": 2, "targets.sentence": 1},
        {"model": "pre", "view": "feed_forward", "kind": "cross", "layer": 2, "query": 3, "feed_forward.unit": 5},
        {"model": "walkthrough", "view": "residual", "residual.block": "decoder.4.cross_attention"},
    ],
)
def test_an_address_says_all_of_a_picture(shown: Shown, open_page: OpenPage, state: dict[str, object]) -> None:
    window = open_page(shown.link(**state, **PAIR)).ready()  # type: ignore[arg-type]
    kept = window.page.evaluate("__inspect.state()")
    for name, value in (state | PAIR).items():
        assert kept[name] == (
            [value] if name == "heads" else value if isinstance(value, int) and "." not in name else str(value)
        )
    assert _text(open_page(window.page.url).ready()) == _text(window)


def test_back_goes_back(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    page = window.page
    first = _text(window)
    page.click("nav.chapters button >> nth=8")
    window.ready()
    page.fill("form.sentence input", "I am a student.")
    page.press("form.sentence input", "Enter")
    window.until("__inspect.trace?.source === 'I am a student.'")
    window.ready()
    page.go_back()
    window.until("(source) => __inspect.trace?.source === source", PAIR["source"])
    assert window.ready().page.get_attribute(".chapter", "data-view") == "atlas"
    assert page.input_value("form.sentence input") == PAIR["source"]
    page.go_back()
    window.until("document.querySelector('.chapter')?.dataset.view === 'translate'")
    assert _text(window.ready()) == first
    page.go_forward()
    window.until("document.querySelector('.chapter')?.dataset.view === 'atlas'")
    window.ready()


def _download(window: Window, figure: str, kind: str, folder: Path) -> bytes:
    download = window.save(figure, kind)
    assert download.suggested_filename == f"pellucid-{figure}.{kind.lower()}"
    path = folder / download.suggested_filename
    download.save_as(path)
    return path.read_bytes()


def test_pictures_are_taken_away(shown: Shown, open_page: OpenPage, tmp_path: Path) -> None:
    """SVG is XML with the labels as text and the provenance; PNG is twice as large, and not blank."""
    images = pytest.importorskip("PIL.Image", reason="no Pillow; it comes with matplotlib, in the extra named test")
    trace = shown.trace("walkthrough", PAIR["source"], PAIR["target"])
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    for view, figure in (
        ("links", "links"),
        ("decoder", "decoder-cross"),
        ("feed_forward", "feed-forward"),
        ("stack", "stack"),
        ("atlas", "atlas-encoder"),
    ):
        window.go(model="walkthrough", view=view, kind="cross", step=2, **PAIR)
        root = ElementTree.fromstring(_download(window, figure, "SVG", tmp_path))
        provenance: dict[str, Any] = json.loads(root.findtext(f"{SVG}metadata") or "")
        assert provenance == window.page.evaluate("__inspect.trace.provenance")
        assert len(provenance["weights_sha256"]) == 64
        texts = " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
        if figure in {"links", "decoder-cross"}:
            for piece in trace.tokens.source_pieces:
                assert piece.strip("▁") in texts, figure
        assert root.findtext(f"{SVG}title")
        if figure != "links":
            assert figure == "stack" or root.findall(f".//{SVG}image"), "canvases become images"
        picture = images.open(io.BytesIO(_download(window, figure, "PNG", tmp_path)))
        assert picture.size == (2 * int(root.get("width", 0)), 2 * int(root.get("height", 0)))
        colours = picture.convert("RGB").getcolors(1 << 24)
        assert len(colours) > 20, "it is not blank"
        assert max(count for count, _ in colours) < 0.995 * picture.size[0] * picture.size[1]


def test_every_picture_can_be_written(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    seen = set()
    for view in view_names():
        window.go(model="walkthrough", view=view, **PAIR)
        for name, text in window.page.evaluate(
            "import('pellucid/pictures/export').then(({svgOf}) => "
            "[...document.querySelectorAll('.figure')].map((figure) => [figure.dataset.figure, "
            "svgOf(figure.querySelector('.picture'), {title: 'x', provenance: {a: '<&>'}})]))"
        ):
            root = ElementTree.fromstring(text)
            assert json.loads(root.findtext(f"{SVG}metadata") or "") == {"a": "<&>"}
            seen.add(name)
    assert len(seen) >= 30, seen


@pytest.mark.parametrize(("state", "pieces"), [({"source": THIRTY, "target": THIRTY}, 30), ({}, 12)])
def test_a_page_load_moves_little(shown: Shown, open_page: OpenPage, state: dict[str, str], pieces: int) -> None:
    """Everything that a first visit asks for, over the wire: thirty pieces, or the two sentences of the story."""
    window = open_page(shown.link("walkthrough", **state), may_fail=True)
    assert window.ready().page.evaluate("__inspect.trace.tokens.source_pieces.length") >= pieces
    sizes = [(request.sizes()["responseBodySize"], request.url.removeprefix(shown.address)) for request in window.asked]
    total = sum(size for size, _ in sizes)
    assert len(sizes) > 30
    assert total <= LARGEST_LOAD_BYTES, sorted(sizes)[-8:]
    print(f"{len(sizes)} answers, {total:,} bytes")
