"""What a second reader found false or missing: words that are true of the picture beside them, and nothing cut."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")
ORDERED = "The dog saw the cat."
BYTES = {"source": "The animal paid 5 € today.", "target": "Il dort."}


def _says(window: Window, figure: str, part: str = "says") -> str:
    return str(window.page.inner_text(f"[data-figure={figure}] > .{part} >> nth=0"))


@pytest.mark.parametrize("index", [0, 4, 9])
def test_the_words_beside_the_rows_of_training_are_true_of_them(shown: Shown, open_page: OpenPage, index: int) -> None:
    """Before training the piece on top is the one that was just fed in: the words may not say that nothing shows."""
    window = open_page(shown.link("walkthrough", view="targets", **{"targets.step": index})).ready()
    probe, pair = window.page.evaluate(
        """async (index) => {
            const training = await __inspect.get("api/models/walkthrough/training");
            const probes = await __inspect.get(`api/models/walkthrough/probes/${training.steps[index]}`);
            return [probes[0], training.sentences[0]];
        }""",
        index,
    )
    ids, best = pair["target_ids"], [row[0] for row in probe["top_ids"]]
    right = sum(one == wanted for one, wanted in zip(best, ids, strict=True))
    echoed = [row for row in range(1, len(ids)) if best[row] == ids[row - 1] != ids[row]]
    said = _says(window, "output-rows")
    assert f"{right} of {len(ids)} positions have the right piece on top" in said
    assert ("just fed in" in said) == bool(echoed)
    if index == 0:
        assert len(echoed) == len(ids) - 1
        assert f"At {len(echoed)} of {len(ids)}" in said
    window.page.click(".lede summary")
    assert "little shows" not in window.page.inner_text(".lede")
    assert "Training teaches one thing" in window.page.inner_text(".lede summary")


def test_who_saw_whom_is_asked_without_positions(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="positions", source=TIRED)).ready()
    example = f".edit-choices button:text-is('{ORDERED}')"
    window.page.click(example)
    window.until("(source) => __inspect.trace?.source === source", ORDERED)
    assert window.page.evaluate("__inspect.trace.provenance.edits") == ["positions=zero"]
    assert "no positions" in _says(window.ready(), "positions")
    # An edit that the reader has chosen stays, and only this one.
    edits = "positions=half_split_t2t;ban=il"
    window.go(model="walkthrough", view="positions", source=TIRED, edits=edits)
    window.page.click(example)
    window.until("(source) => __inspect.trace?.source === source", ORDERED)
    assert window.page.evaluate("__inspect.trace.provenance.edits") == ["positions=half_split_t2t"]


def test_the_cards_of_the_story_show_the_model_without_edits(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED, edits='step.13="elle"')).ready()
    window.until("document.querySelectorAll('.pair mark').length === 6")
    cards = window.page.locator(".pair > button")
    assert [card.locator("mark").all_inner_texts() for card in cards.all()] == [
        ["tired", "il", "fatigué"],
        ["wide", "elle", "large"],
    ]
    assert "without your edits" in window.page.inner_text(".pair-more")
    assert [card.get_attribute("aria-pressed") for card in cards.all()] == ["false", "false"]
    cards.first.click()
    window.until("__inspect.trace?.provenance.edits.length === 0")
    assert "without your edits" not in window.ready().page.inner_text(".pair-more")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_shares_have_no_sign(shown: Shown, open_page: OpenPage, lang: str) -> None:
    state = {"view": "why", "source": TIRED, "target": "Il dort.", "step": 1, "lang": lang}
    window = open_page(shown.link("walkthrough", **state)).ready()
    signed = _says(window, "why", "caption")
    assert any("+" in text for text in window.page.locator(".why-parts small").all_inner_texts())
    window.go(model="walkthrough", **state, **{"why.method": "alti"})
    assert _says(window, "why", "caption") != signed
    assert re.search("signed|带符号", _says(window, "why", "caption")) is None
    shares = window.page.locator(".why-parts small").all_inner_texts()
    assert all(re.fullmatch(r"[\d.]+(e−\d+)?", share) for share in shares), shares


def test_a_search_counts_what_it_lists(shown: Shown, open_page: OpenPage) -> None:
    settings = "beam_size=12&length_penalty=average&alpha=1"
    state: dict[str, Any] = {"view": "search", "source": TIRED}
    window = open_page(shown.link("walkthrough", **state, **{"search.set": settings})).ready()
    window.page.wait_for_selector(".search-ends li")
    found = re.search(r"Complete translations among them: (\d+)", _says(window, "search"))
    assert found is not None
    assert window.page.locator(".search-ends li").count() == int(found[1]) > 10
    window.go(model="walkthrough", **state, **{"search.set": settings.replace("12", "1", 1)})
    window.until("document.querySelector('[data-figure=search] .says').innerText.includes('the most probable piece')")
    method = window.page.locator(".search-controls [aria-pressed=true]").first.inner_text()
    assert method.startswith("greedy")


@pytest.mark.parametrize("width", [1440, 360])
def test_a_draw_begins_at_its_beginning_and_its_numbers_are_whole(
    shown: Shown, open_page: OpenPage, width: int
) -> None:
    settings = "sampling=true&temperature=3&top_k=0&top_p=1&seed=2"
    state = {"view": "search", "source": TIRED, "search.set": settings}
    window = open_page(shown.link("walkthrough", **state), width=width).ready()
    window.page.wait_for_selector("[role=treeitem]")
    assert window.page.inner_text(".paging").split("of")[0].strip().endswith("steps 0 to 23")
    cut = "[...document.querySelectorAll('.search-node small')].filter((own) => own.scrollWidth > own.clientWidth + 1)"
    assert window.page.evaluate(f"{cut}.map((own) => own.textContent)") == []
    picked = window.page.locator("[role=treeitem][aria-selected=true]")
    assert (picked.count(), picked.get_attribute("aria-level")) == (1, "24"), "the last of the result that is drawn"
    window.page.click(".paging button >> nth=1")
    window.until("document.querySelector('.paging').innerText.includes('steps 24 to')")


def test_it_is_named_and_a_link_leads_to_where_the_pronoun_is_written(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="heads", source=TIRED)).ready()
    for source, noun in ((TIRED, "animal"), (WIDE, "street")):
        for view in ("heads", "links"):
            window.go(model="walkthrough", view=view, source=source)
            window.until("(source) => __inspect.trace?.source === source", source)
            said = window.ready().page.inner_text(".chapter")
            assert f"We know that “it” stands for the {noun}" in said
            assert "favours the right noun in 53 % of the test sentences; chance is 50 %" in said
    window.page.click("button:has-text('as it writes the pronoun')")
    window.until("__inspect.state().kind === 'cross'")
    window.until("document.querySelector('[data-figure=links] .says')?.innerText.includes('looks most at')")
    assert window.page.evaluate("__inspect.trace.tokens.predicted_pieces[__inspect.state().query]") == "elle"
    window.go(model="walkthrough", view="links", source="It was too tired.")
    assert "stands for" not in window.page.inner_text(".chapter")


def test_all_heads_lead_to_the_word_links_and_say_what_the_number_is(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="atlas", source=TIRED)).ready()
    assert "ln 16 = 2.77, where ln is the natural logarithm" in _says(window, "atlas-encoder")
    window.page.click("button:has-text('align words')")
    window.until("document.querySelector('[data-figure=word-links]')")


@pytest.mark.parametrize("view", ["translate", "links", "attention", "compare"])
def test_a_byte_is_explained_where_it_is_shown(shown: Shown, open_page: OpenPage, view: str) -> None:
    window = open_page(shown.link("walkthrough", view=view, **BYTES)).ready()
    window.until("document.querySelector('.figure').parentElement.innerText.includes('is a byte')")
    window.go(model="walkthrough", view=view, source="I am a student.", target="Il dort.")
    assert "is a byte" not in window.page.inner_text(".chapter")


def test_a_narrow_window_cuts_nothing(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="positions", source=TIRED), width=360, height=740).ready()
    inside = (
        "(selector) => [...document.querySelectorAll(selector)].every((own) => "
        "own.getBoundingClientRect().width > 0 && own.getBoundingClientRect().right <= 360)"
    )
    assert window.page.evaluate(inside, "[data-figure=positions] .matrix-says output")
    assert "= 0.1411" in window.page.inner_text("[data-figure=positions] .matrix-says output")
    window.go(model="walkthrough", view="atlas", source=TIRED)
    window.until(f"({inside})('.atlas canvas')")
    window.go(model="walkthrough", view="softmax", source=TIRED)
    assert window.page.evaluate(inside, "[data-figure=softmax] .bars .number")
    logits = window.page.locator("[data-figure=softmax] .bars > div .number:nth-child(2)").all_inner_texts()
    assert len(logits) >= 12
    assert all(logits)


def test_a_link_shows_the_temperature_of_its_sender(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="softmax", source=TIRED)).ready()
    slider = "[data-figure=softmax] input[type=range]"
    for _ in range(3):
        window.page.press(slider, "ArrowRight")
    window.until("__inspect.state()['softmax.temperature'] === '1.15'")
    text = window.ready().page.inner_text("[data-figure=softmax]")
    other = open_page(window.page.url).ready()
    assert other.page.inner_text("[data-figure=softmax]") == text
    assert "At temperature 1.15" in text
    for _ in range(3):
        window.page.press(slider, "ArrowLeft")
    window.until("!__inspect.state()['softmax.temperature']")
    window.go(model="walkthrough", view="softmax", source=TIRED, **{"softmax.temperature": "hot"})
    assert window.page.input_value(slider) == "1"


def test_an_apostrophe_in_a_sentence_can_be_read(shown: Shown, open_page: OpenPage) -> None:
    """Among quotation marks it was nothing but one more of them."""
    state = {"source": TIRED, "step": 13}
    window = open_page(shown.link("walkthrough", view="why", **state, **{"why.id": "none"})).ready()
    assert "(apostrophe)" in _says(window, "why")
    window.go(model="walkthrough", view="links", kind="cross", query=13, **state)
    assert "(apostrophe) → il" in _says(window, "links")
