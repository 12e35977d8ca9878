"""What a reader who knows no Transformer meets: the story first, honest words, nothing that is cut, hidden or dead."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from pellucid.page.single_file import view_names
from pellucid.translation.flags import FLAGS

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")
PAIR = {"source": "The animal was tired.", "target": "Il dort."}
INPUT = "form.sentence input"
BOX = "(selector) => { const box = document.querySelector(selector).getBoundingClientRect(); return box.toJSON(); }"


def _box(window: Window, selector: str) -> dict[str, float]:
    found: dict[str, float] = window.page.evaluate(BOX, selector)
    return found


def test_the_page_opens_with_the_story(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough")).ready()
    rows = window.page.locator(".pair > button")
    marks = [row.locator("mark").all_inner_texts() for row in rows.all()]
    assert marks == [["tired", "il", "fatigué"], ["wide", "elle", "large"]]
    assert _box(window, ".pair")["bottom"] <= 900, "without scrolling"
    assert _box(window, ".pair")["bottom"] <= _box(window, ".editing")["top"], "the story first, then something to do"
    text = window.page.inner_text("main")
    assert re.search(r"\bnats?\b|\bln\b|log-probability", text) is None, "no first fact for specialists"
    rows.nth(1).click()
    window.until("(source) => __inspect.trace?.source === source", WIDE)
    window.ready()
    assert "elle" in window.page.inner_text(".translation")
    assert rows.nth(1).get_attribute("aria-pressed") == "true"
    sent = sum(request.method == "POST" for request in window.asked)
    rows.nth(0).click()
    window.until("(source) => __inspect.trace?.source === source", TIRED)
    assert sum(request.method == "POST" for request in window.asked) == sent, "both are known by now"
    assert window.accessibility_problems() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_black_box_is_black_and_opens(shown: Shown, open_page: OpenPage, scheme: str) -> None:
    window = open_page(shown.link("walkthrough"), color_scheme=scheme).ready()
    colour = window.page.evaluate("getComputedStyle(document.querySelector('.black-box .box')).backgroundColor")
    assert max(map(int, re.findall(r"\d+", colour))) < 60
    window.page.locator(".black-box .chips >> nth=0").locator("button").nth(1).click()
    window.until("document.querySelector('.chapter').dataset.view === 'embeddings'")
    assert window.page.evaluate("__inspect.state()['embeddings.position']") == "1"
    window.go(model="walkthrough", view="translate")
    window.page.click(".black-box .box")
    window.until("document.querySelector('.chapter').dataset.view === 'stack'")


def test_pictures_begin_above_the_fold_and_prose_is_folded(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED)).ready()
    for view in view_names():
        window.go(model="walkthrough", view=view, source=TIRED)
        assert _box(window, ".picture")["top"] < 600, view
        assert not window.page.locator(".lede > p").is_visible(), view
        window.page.click(".lede summary")
        assert window.page.locator(".lede > p").is_visible(), view
    window.go(model="walkthrough", view="stack", source=TIRED)
    assert _box(window, ".stack")["bottom"] <= 900, "six layers stand in one window"


def test_what_is_said_of_a_thing_is_where_the_reader_looks(shown: Shown, open_page: OpenPage) -> None:
    """At the foot of a tall picture nobody sees it; then it stands at the foot of the window."""
    window = open_page(shown.link("walkthrough", view="stack", **PAIR), width=700).ready()
    for block in ("encoder.5.feed_forward", "decoder.0.self_attention"):
        window.page.evaluate(f"document.querySelector('[aria-label^=\"{block}\"]').scrollIntoView({{block: 'center'}})")
        window.page.hover(f'[aria-label^="{block}"]')
        window.until("document.querySelector('.matrix-says output').innerText.includes('changes its input')")
        said = _box(window, ".matrix-says output")
        assert 0 <= said["top"] < said["bottom"] <= 900, block
    # Wherever the window ends, pointing settles: the words are in one of two places, and do not go to and fro.
    window.go(model="walkthrough", view="decoder", layer=1, step=2, **PAIR)
    grid = window.page.locator("[data-figure=decoder-cross] [role=grid]")
    grid.focus()
    bottom = round(_box(window, "[data-figure=decoder-cross] .matrix-says")["bottom"])
    for height in range(max(bottom - 40, 200), bottom + 12, 4):
        window.page.set_viewport_size({"width": 700, "height": height})
        grid.press("ArrowDown" if height % 8 else "ArrowUp")
        assert window.page.locator("[data-figure=decoder-cross] .exact").is_visible()


def _notes(window: Window) -> str:
    return window.page.inner_text(".doubts") if window.page.locator(".doubts").count() else ""


def test_an_honest_line_stands_beside_a_translation(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED)).ready()
    assert _notes(window) == "", "the sentences of the walkthrough raise nothing"
    window.page.fill(INPUT, "The blorf is a gribbit of snurf.")  # no text that trains a model has these words
    window.page.press(INPUT, "Enter")
    window.until("__inspect.trace?.source.includes('blorf')")
    said = _notes(window.ready())
    assert "“blorf” “gribbit” “snurf”" in said
    health: list[dict[str, Any]] = window.page.evaluate("__inspect.trace.health")
    doubt = next(sign for sign in health if sign["name"] == "entropy")
    steps = window.page.evaluate("__inspect.trace.tokens.predicted_pieces.length")
    assert (f"{len(doubt['target'])} of {steps}" in said) == doubt["is_raised"]
    precision = doubt["worth"]["precision"]
    assert f"{round(100 * precision)} % of translations with this sign were {doubt['worth']['kind']}" in said
    assert "another model" not in said, "the walkthrough model has its own measurement"
    window.page.click(".doubts button")
    window.until("document.querySelector('.chapter').dataset.view === 'health'")
    raised = window.ready().page.locator(".signs .raised b").all_inner_texts()
    assert any("New words" in text for text in raised)
    unknown = window.page.locator(".signs li", has_text="Unknown pieces").inner_text()
    assert "does not mean that it knows the words" in unknown


def test_every_flag_has_words_and_its_evidence_is_in_the_language_of_the_page(
    shown: Shown, open_page: OpenPage
) -> None:
    source, target = "I have 17 dogs and 3 cats.", "J'ai des chiens et des chats."
    window = open_page(shown.link("walkthrough", source=source, target=target, lang="zh")).ready()
    assert "缺少：17, 3" in _notes(window)
    evidence = {
        "low_confidence": "mean probability of a piece 0.22",
        "capitals": "19 pieces, 5 in small letters",
        "length": "1 piece in the source, 11 in the translation",
        "numbers": "missing: 17; only in the translation: 3",
        "omission": "2 sentences in the source, 1 in the translation",
        "addition": "1 clause in the source, 2 in the translation",
        "ending": "the source ends with 'tired.', the translation with 'fatigué'",
        "repetition": "'le jardin' 2 times in a row",
        "unknown": "1 piece of the source",
        "copy": "all of it",
    }
    found = window.page.evaluate(
        "([flags, evidence]) => import('pellucid/sentence').then(({flagsOf}) => flagsOf({flags, evidence}))",
        [FLAGS, evidence],
    )
    assert {one["name"] for one in found} == set(FLAGS) - {
        "blank",
        "passed_through",
        "memory",
        "memory_match",
        "failed",
        "split",
        "fewer",
    }
    texts = {one["name"]: one["text"] for one in found}
    assert [text for text in texts.values() if "⟦" in text] == []
    for flag, told in evidence.items():
        assert told not in texts[flag], "a sentence of the server that the page cannot say in its own language"


def test_a_sentence_that_was_not_sent_is_not_beside_a_translation_as_if_it_were(
    shown: Shown, open_page: OpenPage
) -> None:
    window = open_page(shown.link("walkthrough", source="I am a student.")).ready()
    translation = window.page.inner_text(".translation")
    window.page.fill(INPUT, "He reads a book.")
    assert "still the translation of “I am a student.”" in window.page.inner_text("form.sentence")
    window.page.press(INPUT, "Escape")
    assert window.page.input_value(INPUT) == "I am a student."
    assert "still the translation" not in window.page.inner_text("form.sentence")
    window.page.fill(INPUT, "   ")
    window.page.press(INPUT, "Enter")
    assert "Type a sentence" in window.page.inner_text("form.sentence [role=alert]"), "not ignored in silence"
    assert window.page.inner_text(".translation") == translation


def test_refusals_are_said_in_the_language_of_the_page(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source="I am a student.", lang="zh"), may_fail=True).ready()
    for text in ("dog " * 600, "dog " * 1500, "...", "\u200b"):
        window.page.fill(INPUT, text)
        window.page.press(INPUT, "Enter")
        window.until("document.querySelector('.notice, form.sentence [role=alert]')")
        window.until("document.querySelector('main[aria-busy=false]')")
        told = window.page.inner_text(".notice, form.sentence [role=alert]")
        assert re.search(r"[a-zA-Z]{3}", told) is None, told
        assert window.page.locator("[data-figure]").count() > 0, "the chapters stay"


def test_the_title_follows_the_language(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    before = window.page.title()
    window.page.select_option(".page-tools select >> nth=-1", "zh")
    window.until("document.documentElement.lang === 'zh'")
    window.until("(before) => document.title !== before", before)
    assert re.search("[\u4e00-\u9fff]", window.page.title())


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_the_number_of_places_is_that_of_the_attention(shown: Shown, open_page: OpenPage, kind: str) -> None:
    tokens = shown.trace("walkthrough", PAIR["source"], PAIR["target"]).tokens
    places = len(tokens.fed_pieces) if kind == "decoder" else len(tokens.source_pieces)
    assert len(tokens.fed_pieces) != len(tokens.source_pieces)
    window = open_page(shown.link("walkthrough", view="heads", kind=kind, **PAIR)).ready()
    told = [window.page.inner_text("[data-figure=heads-attention] .says")]
    window.go(model="walkthrough", view="atlas", **PAIR)
    told.append(window.page.inner_text(f"[data-figure=atlas-{kind}] .says"))
    for text in told:
        assert f"ln {places} = {math.log(places):.3g}" in text
    hints = {"cross": "last encoder layer, layer 5", "decoder": "could copy the very piece", "encoder": ""}
    assert hints[kind] in window.page.inner_text(f"[data-figure=atlas-{kind}]")
    for view in ("attention", "matrices", "heads", "links"):
        window.go(model="walkthrough", view=view, kind=kind, **PAIR)
        assert (window.page.locator(".kind-hint").count() > 0) == (kind != "encoder"), view
        if kind != "encoder":
            assert hints[kind] in window.page.inner_text(".kind-hint"), view


def test_the_largest_term_of_a_sum_may_be_larger_than_the_sum_and_the_page_says_so(
    shown: Shown, open_page: OpenPage
) -> None:
    trace = shown.trace("walkthrough", TIRED, "Il dort.")
    context = trace["encoder.0.self_attention.context"][0]
    terms = trace["encoder.0.self_attention.weights"][0][:, :, None] * trace["encoder.0.self_attention.values"][0][None]
    is_over = abs(terms).max(axis=1) > abs(context)  # [row, dimension]
    row = next(row for row in range(len(context)) if is_over[row].any() and not is_over[row].all())
    window = open_page(shown.link("walkthrough", source=TIRED, target="Il dort.")).ready()
    for wanted in (True, False):
        at = int((is_over[row] == wanted).argmax())
        state = {"source": TIRED, "target": "Il dort.", "query": row, "attention.at": at}
        window.go(model="walkthrough", view="attention", **state)
        says = window.page.inner_text("[data-figure=attention-context] .says")
        assert ("larger than the sum" in says) == wanted


def test_chapter_14_shows_all_of_its_columns_and_losses(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="targets", **{"targets.step": 0})).ready()
    for figure in ("target-rows", "output-rows"):
        room = _box(window, f"[data-figure={figure}] .picture")["right"]
        labels = window.page.evaluate(
            "(figure) => [...document.querySelectorAll(`[data-figure=${figure}] .label`)]"
            ".map((label) => [label.textContent, label.getBoundingClientRect().right])",
            figure,
        )
        assert [text for text, right in labels if right > room + 1] == [], figure
        assert any(text == "all others" for text, _ in labels)
    widths = window.page.evaluate(
        "[...document.querySelectorAll('[data-figure=target-loss] .bars > div')]"
        ".map((row) => [parseFloat(row.querySelector('i').style.width), Number(row.lastElementChild.textContent)])"
    )
    assert len({loss for _, loss in widths}) > 5
    shares = {round(width / loss, 3) for width, loss in widths}
    assert max(shares) - min(shares) <= 0.1, "a bar is as long as its loss, however large"


def test_scores_and_floors_say_of_what_they_are(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="curves", **PAIR)).ready()
    size = window.page.evaluate("__inspect.get('api/models/walkthrough').then((model) => model.tokenizer.target_size)")
    sure, other = 0.9 + 0.1 / size, 0.1 / size
    floor = -sure * math.log(sure) - (size - 1) * other * math.log(other)
    caption = window.page.inner_text("[data-figure=curves] .caption")
    assert f"{floor:.3g}" in caption
    assert f"{-math.log(sure):.3g}" in caption
    window.go(model="walkthrough", view="curves", **{"curves.show": "quality"}, **PAIR)
    assert "same kind" in window.page.inner_text("[data-figure=curves] .says")
    assert "come in turns from two sources" in window.page.inner_text("[data-figure=curves] .caption")
    names = window.page.inner_text(".legend")
    assert all(f"BLEU on “{name}” alone" in names for name in ("grammar", "tatoeba"))
    ticks = window.page.evaluate(
        "[...document.querySelectorAll('.chart .tick')].map((one) => one.getAttribute('text-anchor'))"
    )
    assert min(ticks.count("end"), ticks.count("middle")) >= 2, "a scale needs two places"


def test_words_are_rows_of_numbers_and_a_repeated_piece_is_the_same_row(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="embeddings", source=TIRED)).ready()
    width = window.page.evaluate("__inspect.get('api/models/walkthrough').then((model) => model.config.d_model)")
    assert f"a row of {width} numbers that training filled in" in window.page.inner_text("[data-figure=pieces] .says")
    window.page.click("[data-figure=pieces] .examples button")
    window.until("(source) => __inspect.trace && __inspect.trace.source !== source", TIRED)
    window.ready()
    pieces: list[str] = window.page.evaluate("__inspect.trace.tokens.source_pieces")
    twice = [i for i, piece in enumerate(pieces) if piece == "▁the"]
    assert len(twice) > 1
    assert "▁The" in pieces
    assert f"positions {', '.join(map(str, twice))}" in window.page.inner_text("[data-figure=pieces] .says")


def test_words_hold_their_pieces_together_and_dead_chips_are_no_buttons(shown: Shown, open_page: OpenPage) -> None:
    source, target = "The neighbours' house", "Les maisons"
    window = open_page(shown.link("walkthrough", source=source, target=target)).ready()
    tokens = shown.trace("walkthrough", source, target).tokens
    last = len(tokens.fed_pieces) - 1
    words = 1 + sum(word.start < last for word in tokens.target_words)
    assert words < last + 1, "some word has several pieces"
    for view, place in (("decoder", ".written .chips >> nth=1"), ("residual", ".chips"), ("embeddings", ".chips")):
        state = {"residual.block": "decoder.0.self_attention", "embeddings.side": "target", "step": last}
        window.go(model="walkthrough", view=view, source=source, target=target, **state)
        assert window.page.locator(place).first.locator(".chip-word").count() == words, view
    for view in view_names():
        window.go(model="walkthrough", view=view, source=source, target=target)
        dead = window.page.evaluate(
            "[...document.querySelectorAll('.chips')].filter((list) => list.querySelector('button'))"
            ".map((list) => list.getAttribute('aria-label'))"
        )
        assert view not in {"health"} or "Sentence to translate" not in dead


def test_the_search_tells_what_a_dot_is(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="softmax", source=TIRED)).ready()
    window.page.fill("[type=search]", "elle")
    found = window.page.locator("[aria-label='Pieces found'] button").all_inner_texts()
    assert {"elle", "·elle"} <= set(found)
    assert "“·” is a space" in window.page.inner_text("[data-figure=softmax]")
    predictions = shown.trace("walkthrough", TIRED, window.page.evaluate("__inspect.trace.text")).predictions
    assert predictions is not None
    best, second = predictions.top_log_probabilities[predictions.target_log_probability.argmin()][:2]
    ratio = math.exp(best - second)
    told = window.page.inner_text("[data-figure=softmax] .says")
    found_ratio = re.search(r"is ([\d.]+) times as probable as the runner-up", told)
    assert found_ratio is not None
    assert float(found_ratio[1]) == pytest.approx(ratio, rel=0.01)


def test_the_weights_of_chapter_5_are_on_a_telephone(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="attention", source=TIRED), width=360, height=740).ready()
    right = window.page.evaluate(
        "Math.max(...[...document.querySelectorAll('.scores tbody td:nth-child(5)')]"
        ".map((cell) => cell.getBoundingClientRect().right))"
    )
    assert right <= 360


def test_the_tour_hides_nothing_that_it_is_about_and_gives_the_sentence_back(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source="I am a student."), width=360, height=740).ready()
    window.page.click(".page-tools button:last-of-type")
    stops = window.page.evaluate(
        "import('pellucid/tour_stops').then(({STOPS}) => STOPS.map(({name, subject}) => [name, subject ?? '']))"
    )
    seen = []
    for name, subject in stops:
        window.ready()
        window.page.wait_for_timeout(250)
        card = _box(window, ".tour")["top"]
        if subject == "top":
            assert _box(window, INPUT)["top"] >= 0, "the sentence stays in sight"
        elif subject:
            boxes = window.page.evaluate(
                "(subject) => [...document.querySelectorAll(subject)]"
                ".map((one) => one.getBoundingClientRect().toJSON())",
                subject,
            )
            assert boxes, name
            assert min(box["top"] for box in boxes) >= 0, name
            assert max(box["bottom"] for box in boxes) <= card + 1, name
            seen.append(name)
        if name != stops[-1][0]:
            window.page.click(".tour-buttons button >> nth=1")
    assert {"it", "decoder", "targets", "wide_links", "wide_adjective", "wide_methods"} <= set(seen)
    window.page.click(".tour-buttons button >> nth=2")
    window.until("__inspect.trace?.source === 'I am a student.'")
    assert window.ready().page.input_value(INPUT) == "I am a student."
    state = window.page.evaluate("__inspect.state()")
    assert not {name: value for name, value in state.items() if "." in name and value}, (
        "chapters 15 and 19 would stay at what the tour chose"
    )


def test_pictures_are_saved_from_one_menu_by_keyboard(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="links", **PAIR)).ready()
    menu = window.page.locator("[data-figure=links] .menu")
    assert menu.locator(".menu-items").count() == 0
    menu.locator("> button").focus()
    window.page.keyboard.press("Enter")
    items = menu.locator(".menu-items button").all_inner_texts()
    assert items == ["SVG", "PNG", "CSV", "Whole page (HTML)"]
    assert window.accessibility_problems() == []
    window.page.keyboard.press("Escape")
    assert menu.locator(".menu-items").count() == 0
    window.page.keyboard.press("Enter")
    window.page.keyboard.press("Tab")
    with window.page.expect_download() as download:
        window.page.keyboard.press("Enter")
    assert download.value.suggested_filename == "pellucid-links.svg"
    menu.locator("> button").click()
    window.page.click("h2")
    window.until("!document.querySelector('.menu-items')")
