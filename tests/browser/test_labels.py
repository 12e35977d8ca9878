"""Label truth: a decoder row says what it was fed and what it predicts, in order; the first was fed the start."""

from __future__ import annotations

import pytest

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

SOURCE, TARGET = "The animal was tired.", "Il dort."
START, END = "<s>", "</s>"


def _label(piece: str) -> str:
    """Return a piece as the page writes it: a point for a space before it, brackets for a byte."""
    if piece.startswith("<0x"):
        return f"⟨{piece[3:5]}⟩"
    if piece == "▁":
        return "␣"
    return piece.replace("▁", "·", 1).replace("▁", " ")


def _word(piece: str) -> str:
    return _label(piece).removeprefix("·")


def _from_above(window: Window, selector: str) -> list[str]:
    """Return the texts of an SVG from the uppermost down."""
    found: list[str] = window.page.evaluate(
        "(selector) => [...document.querySelectorAll(selector)]"
        ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)"
        ".map((text) => text.textContent)",
        selector,
    )
    return found


@pytest.mark.parametrize("model", ["walkthrough", "pre"])
def test_decoder_rows_carry_both_labels_in_order(shown: Shown, open_page: OpenPage, model: str) -> None:
    tokens = shown.trace(model, SOURCE, TARGET).tokens
    fed, predicted = list(tokens.fed_pieces), list(tokens.predicted_pieces)
    assert fed[1:] == predicted[:-1], "what was predicted is fed next"
    assert (fed[0], predicted[-1]) == (START, END)
    pair = {"model": model, "source": SOURCE, "target": TARGET}
    window = open_page(shown.link(**pair)).ready()

    window.go(view="matrices", kind="decoder", **pair)
    mask = "[data-figure=matrices-scores] .block:has(.label.predicts) .label"
    assert _from_above(window, f"{mask}.fed") == [_label(piece) for piece in fed]
    assert _from_above(window, f"{mask}.predicts") == [f"→ {_label(piece)}" for piece in predicted]

    window.go(view="links", kind="cross", **{"links.all": 1}, **pair)
    rows = _from_above(window, "[data-figure=links] .unit[role=button] text")
    assert rows == [f"{_label(a)}→ {_label(b)}" for a, b in zip(fed, predicted, strict=True)]
    columns = _from_above(window, "[data-figure=links] .unit.target text")
    assert columns == [_label(piece) for piece in tokens.source_pieces]

    for kind in ("decoder", "cross"):
        window.go(view="attention", kind=kind, **pair)
        chips = window.page.locator(".word-picker .chip").all_text_contents()
        assert chips == [f"{_word(a)}→ {_word(b)}" for a, b in zip(fed, predicted, strict=True)]

    window.go(view="attention", kind="encoder", **pair)
    assert window.page.locator(".word-picker .chip").all_text_contents() == [_word(p) for p in tokens.source_pieces]


@pytest.mark.parametrize("model", ["walkthrough", "pre"])
def test_every_step_of_the_decoder_tells_what_it_read_and_wrote(shown: Shown, open_page: OpenPage, model: str) -> None:
    tokens = shown.trace(model, SOURCE, TARGET).tokens
    pair = {"model": model, "source": SOURCE, "target": TARGET}
    window = open_page(shown.link(view="decoder", **pair)).ready()
    for step, (fed, predicted) in enumerate(zip(tokens.fed_pieces, tokens.predicted_pieces, strict=True)):
        window.go(view="decoder", step=step, **pair)
        assert window.page.locator(".writes bdi").inner_text() == _label(predicted)
        written = window.page.locator(".written .chips >> nth=1").locator(".chip").all_text_contents()
        assert written == [_word(piece) for piece in tokens.fed_pieces[: step + 1]], "nothing of later steps"
        assert written[-1] == _word(fed)
        says = window.page.locator("[data-figure=decoder-cross] .says").inner_text()
        assert _label(fed) in says
        assert _label(predicted) in says


def test_printed_numbers(shown: Shown, open_page: OpenPage) -> None:
    """A share that is not all never reads as all; one minus for the eye, ASCII for programs."""
    window = open_page(shown.link("walkthrough", source=SOURCE, target=TARGET)).ready()
    found = window.page.evaluate(
        "import('pellucid/numbers').then(({exact, percent, plain, short}) => [percent(1), percent(0.99996), percent(0),"
        " percent(1e-9), percent(-0.5), short(0.999999), short(-1e-6), exact(-0.5), plain(exact(-0.5))])"
    )
    assert found[:2] == ["100 %", "> 99.9 %"]
    assert found[2] == "0 %"
    assert float(found[3].replace("\u2212", "-").removesuffix(" %")) > 0
    assert found[4:] == ["\u221250.0 %", "0.999999", "\u22121.000e\u22126", "\u22120.5", "-0.5"]
