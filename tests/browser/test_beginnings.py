"""What a chapter shows before its reader has chosen anything: the word of the story, at a layer that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.tracing.record import Trace

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")
OWN = "My neighbour bought strawberries."
PRESSED = {
    "attention": ".word-picker [aria-pressed=true]",
    "heads": ".word-picker [aria-pressed=true]",
    "links": ".unit[aria-pressed=true] text",
    "feed_forward": ".word-picker [aria-pressed=true]",
    "residual": ".chips [aria-pressed=true]",
    "embeddings": "[data-figure=pieces] [aria-pressed=true]",
}
ROWS = (
    "[...new Set([...document.querySelectorAll('.links line')]"
    ".map((line) => Math.round((line.y1.baseVal.value - 34) / 26)))]"
)
LAYER = ".controls [aria-label=Layer] [aria-pressed=true]"


def _traced(shown: Shown, window: Window) -> Trace:
    source, text = window.page.evaluate("[__inspect.trace.source, __inspect.trace.text]")
    return shown.trace("walkthrough", source, text)


def _most_certain(trace: Trace, kind: str, row: int) -> int:
    """Return the layer whose heads have the least entropy on average in a row."""
    doubts = []
    for layer in range(6):
        weights = trace[f"{kind.format(layer)}.weights"][:, row].astype(np.float64)
        doubts.append(-(weights * np.log(np.where(weights > 0, weights, 1))).sum(-1).mean())
    return int(np.argmin(doubts))


@pytest.mark.parametrize(
    ("source", "word", "step"), [(TIRED, "it", "il"), (WIDE, "it", "elle"), (OWN, "strawberries", "")]
)
def test_chapters_begin_at_the_word_that_the_story_is_about(
    shown: Shown, open_page: OpenPage, source: str, word: str, step: str
) -> None:
    """In a sentence without "it", that is the longest word, and the step of which the model was least sure."""
    window = open_page(shown.link("walkthrough", source=source)).ready()
    trace = _traced(shown, window)
    own = next(one for one in trace.tokens.source_words if one.text == word)
    piece = trace.tokens.source_pieces[own.start].replace("▁", "")
    for view, place in PRESSED.items():
        window.go(model="walkthrough", view=view, source=source)
        pressed = window.page.locator(place).all_text_contents()
        assert [text.strip(" ·0123456789") for text in pressed] == [piece], view
        if view == "links":
            assert window.page.evaluate(ROWS) == [own.start], "the lines of this word alone"
            assert window.page.inner_text(LAYER) == str(_most_certain(trace, "encoder.{}.self_attention", own.start))
    assert trace.predictions is not None
    least = int(trace.predictions.target_log_probability.argmin())
    wanted = trace.tokens.predicted_pieces.index(step) if step else least
    for view in ("decoder", "softmax", "why"):
        window.go(model="walkthrough", view=view, source=source)
        if view == "why":
            steps = window.page.locator(".chips >> nth=0").locator("button").all()
            assert [i for i, one in enumerate(steps) if one.get_attribute("aria-pressed") == "true"] == [wanted]
        else:
            assert window.page.inner_text("input[type=range] + output") == str(wanted), view
        if view == "decoder":
            layer = int(window.page.inner_text(LAYER))
            story = window.page.evaluate("__inspect.get('api/models/walkthrough').then((model) => model.story.writer)")
            assert layer == (story["layer"] if step else _most_certain(trace, "decoder.{}.cross_attention", wanted))


def test_the_lines_of_another_word_come_by_pointing_at_it_or_with_the_focus(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="links", source=TIRED)).ready()
    units = window.page.locator(".unit[role=button]")
    count = units.count()
    units.nth(1).hover()
    window.until(f"{ROWS}.join() === '1'")
    window.page.mouse.move(5, 5)
    window.until(f"{ROWS}.join() === '10'")
    units.nth(2).focus()
    window.until(f"{ROWS}.join() === '2'")
    window.page.keyboard.press("Tab")
    window.until(f"{ROWS}.join() === '3'")
    window.page.keyboard.press("Enter")
    window.until("__inspect.state().query === 3")
    units.nth(4).click()
    window.until("__inspect.state().query === 4")
    window.page.mouse.move(5, 5)
    window.page.locator("[type=checkbox]").first.focus()
    window.page.keyboard.press("Space")
    window.until(f"{ROWS}.length === {count}")
    assert window.page.evaluate("__inspect.state().query") is None
    window.page.keyboard.press("Space")
    window.until(f"{ROWS}.join() === '10'")
    assert window.accessibility_problems() == []


@pytest.mark.parametrize("key", ["Enter", "mouse"])
def test_the_steps_of_training_and_of_the_decoder_play_from_their_beginning(
    shown: Shown, open_page: OpenPage, key: str
) -> None:
    window = open_page(shown.link("walkthrough", view="targets", source=TIRED), width=360, height=740).ready()
    for view, name in (("targets", "targets.step"), ("decoder", "step")):
        window.go(model="walkthrough", view=view, source=TIRED)
        play = window.page.locator(".play button").first
        if key == "mouse":
            play.click()
        else:
            play.focus()
            window.page.keyboard.press(key)
        window.until(f"String(__inspect.state()[{name!r}]) === '0'")
        window.until(f"String(__inspect.state()[{name!r}]) === '1'")
        play.click()
        window.until("document.querySelector('.play [aria-pressed=false]')")


def test_pieces_in_the_prose_are_linked_to_the_picture(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="decoder", step=13, layer=5, source=TIRED)).ready()
    trace = _traced(shown, window)
    place = "[data-figure=decoder-cross] .says .said-piece"
    linked = window.page.locator(place).all_inner_texts()
    heads = trace["decoder.5.cross_attention.weights"][:, 13]
    # That of the mean over the heads, and that of the strongest single head.
    most, strongest = (trace.tokens.source_pieces[int(row.argmax())] for row in (heads.mean(0), heads.max(0)))
    assert [one.replace("·", "▁") for one in linked] == [one.replace("·", "▁") for one in (most, strongest)]
    window.page.hover(f"{place} >> nth=0")
    window.until("document.querySelector('.written .chips .chip.hovered')")
    marked = window.page.locator(".written .chips >> nth=0").locator(".chip.hovered")
    assert marked.all_inner_texts() == [most]
    window.page.mouse.move(5, 5)
    window.until("!document.querySelector('.chip.hovered')")
    window.go(model="walkthrough", view="attention", kind="cross", step=13, layer=5, heads=4, source=TIRED)
    window.page.wait_for_load_state("networkidle")  # what comes later is drawn anew, without the mouse over it
    window.page.hover("[data-figure=attention-scores] .says .said-piece >> nth=0")
    window.until("document.querySelectorAll('[data-figure=attention-scores] tr.hovered').length === 1")
    hovered = window.page.locator("[data-figure=attention-scores] tr.hovered")
    assert "animal" in hovered.inner_text()
