"""What a third reader took for something else: the largest part, heads that move, lengths, and which apostrophe."""

from __future__ import annotations

import pytest

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")
ILL = "L'animal n'a pas traversé la rue parce qu'elle était trop fatigué."


def _says(window: Window, figure: str) -> str:
    return str(window.page.inner_text(f"[data-figure={figure}] > .says >> nth=0"))


def test_a_part_against_the_piece_is_as_large_as_one_for_it(shown: Shown, open_page: OpenPage) -> None:
    state = {"source": TIRED, "target": ILL, "why.against": "il"}
    window = open_page(shown.link("walkthrough", view="why", **state)).ready()
    window.until("document.querySelector('[data-figure=why] .why-parts')")
    texts = window.page.locator("[data-figure=why] small.number").all_inner_texts()
    parts = [float(text.replace("−", "-")) for text in texts]
    largest = max(parts, key=abs)
    assert largest < 0
    assert f"(−{-largest:.3g})" in _says(window, "why").split(", then")[0]


def test_lengths_and_moves_lead_to_what_matters(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="heads", source=TIRED)).ready()
    worth = "[data-figure=heads-shares] .hint"
    window.page.wait_for_selector(worth)
    assert "head 4 of cross-attention, layer 5" in window.page.inner_text(worth)
    window.go(model="walkthrough", view="compare", source=WIDE, **{"compare.source": TIRED})
    window.page.click("[data-figure=compare-heads] .hint button")
    window.page.wait_for_selector("[data-figure=head-effects-cross]")


def test_the_decoder_names_its_strongest_head_and_which_apostrophe(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="decoder", source=TIRED, layer=5)).ready()
    window.page.wait_for_selector("[data-figure=decoder-cross] .says")
    assert "head 4, 0.918 on “·animal”" in " ".join(_says(window, "decoder-cross").split())
    assert "position" in _says(window, "decoder-self"), "the translation has several apostrophes"


def test_the_word_links_of_the_story_show_a_number_for_every_head(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="atlas", source=TIRED)).ready()
    window.page.click(".controls > button")
    window.page.wait_for_selector("[data-figure=error-rates]")


@pytest.mark.parametrize(("source", "own", "other"), [(TIRED, "il", "elle"), (WIDE, "elle", "il")])
def test_why_opens_with_the_other_pronoun_of_the_story(
    shown: Shown, open_page: OpenPage, source: str, own: str, other: str
) -> None:
    window = open_page(shown.link("walkthrough", view="why", source=source)).ready()
    window.page.wait_for_selector("[data-figure=why] h3")
    assert f"“{own}” and not “{other}”" in window.page.inner_text("[data-figure=why] h3")
    window.page.click(".edit-choices > button >> nth=0")
    window.until("!document.querySelector('[data-figure=why] h3')?.innerText.includes('and not')")


def test_what_was_given_for_one_sentence_goes_with_it(shown: Shown, open_page: OpenPage) -> None:
    """An expected translation judged the next sentence too."""
    given = {"search.reference": ILL, "why.gold": "0-0"}
    window = open_page(shown.link("walkthrough", view="search", source=TIRED, **given)).ready()
    window.page.fill(".sentence input", WIDE)
    window.page.press(".sentence input", "Enter")
    window.until("(source) => __inspect.trace?.source === source", WIDE)
    assert not [name for name in given if window.page.evaluate("__inspect.state()").get(name)]


def test_the_knob_of_a_slider_reaches_both_ends(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="targets")).ready()
    style = "getComputedStyle(document.querySelector('.slider input[type=range]'))"
    assert window.page.evaluate(f"[{style}.paddingLeft, {style}.borderLeftWidth]") == ["0px", "0px"]


def test_tables_and_titles_are_whole_on_a_telephone(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="attention", source=TIRED), width=360, height=740).ready()
    cells = "[...document.querySelectorAll('.scores tbody td:is(:nth-child(4), :nth-child(5))')]"
    boxes = window.page.evaluate(
        f"{cells}.map((cell) => cell.getBoundingClientRect()).map((box) => [box.width, box.right])"
    )
    assert boxes
    assert all(width > 0 and right <= 330 for width, right in boxes), "exp and softmax"
    window.go(model="walkthrough", view="links", kind="cross", source=TIRED)
    window.page.wait_for_selector("svg.links .axis-title")
    assert (
        window.page.evaluate(
            """() => {
            const frame = document.querySelector("svg.links").getBoundingClientRect();
            return [...document.querySelectorAll("svg.links text")].filter((text) => {
                const {left, right} = text.getBoundingClientRect();
                return left < frame.left - 1 || right > frame.right + 1;
            }).map((text) => text.textContent);
        }"""
        )
        == []
    )


def test_a_label_of_two_pieces_is_whole(shown: Shown, open_page: OpenPage) -> None:
    state = {"source": TIRED, "compare.source": WIDE, "kind": "decoder"}
    window = open_page(shown.link("walkthrough", view="compare", **state)).ready()
    window.page.wait_for_selector("[data-figure=compare-attention] .label")
    labels = window.page.locator("[data-figure=compare-attention] .label").all_text_contents()
    assert "→ ·fatigué | ·large" in [label.strip() for label in labels]
