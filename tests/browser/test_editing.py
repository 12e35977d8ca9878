"""Change something on the page, by mouse and by keyboard: the list, the translations and the pictures follow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.analysis.effect import edit_trace
from pellucid.tracing.editing.text import parse_edits

from .conftest import OpenPage
from .models import Shown
from .windows import Window

pytestmark = pytest.mark.slow

TIRED = "The animal didn't cross the street because it was too tired."
WIDE = TIRED.replace("tired", "wide")
HEAD = "decoder.4.cross_attention.head.4=zero"
UNIT = "encoder.2.feed_forward.unit.11=zero"


def _edits(window: Window) -> str:
    return str(window.page.evaluate("__inspect.state().edits"))


def _edited(window: Window, *texts: str) -> Window:
    """Wait until the trace on the page has these edits."""
    window.until("(edits) => __inspect.trace && __inspect.trace.provenance.edits.join(';') === edits", ";".join(texts))
    return window.ready()


def _expected(shown: Shown, text: str) -> pellucid.Trace:
    translator = pellucid.load(shown.folders["walkthrough"], threads=1)
    return pellucid.trace(translator, TIRED, edits=list(parse_edits(text)) if text else [])


def test_a_head_is_switched_off_and_on_with_the_mouse(shown: Shown, open_page: OpenPage) -> None:
    link = shown.link("walkthrough", source=TIRED, view="heads", kind="cross", layer=4, heads=4)
    window = open_page(link).ready()
    page = window.page
    page.click("details.editing > summary")
    page.click("[role=switch] >> nth=4")
    _edited(window, HEAD)
    assert page.get_attribute("[role=switch] >> nth=4", "aria-checked") == "false"
    shape, values = window.array("decoder.4.cross_attention.context")
    context = np.array(values).reshape(shape)
    assert not context[4].any()
    np.testing.assert_allclose(context, _expected(shown, HEAD)["decoder.4.cross_attention.context"], atol=1e-5)
    assert page.locator("[data-figure=attention-difference] canvas").count() == 3
    assert page.locator(".edit-list li").count() == 1
    page.click("[role=switch] >> nth=4")
    _edited(window)
    assert _edits(window) == ""
    assert page.locator(".edit-bar").count() == 0


def test_without_positions_nobody_knows_who_saw_whom(shown: Shown, open_page: OpenPage) -> None:
    link = shown.link("walkthrough", source="The dog saw the cat.", view="positions")
    window = open_page(link).ready()
    page = window.page
    assert window.page.evaluate("__inspect.trace.text") == "Le chien a vu le chat."
    page.click(".edit-choices button >> nth=0")
    _edited(window, "positions=zero")
    window.until("() => document.querySelector('.edit-before')")
    assert "Le chien a vu le chat." in page.inner_text(".edit-before")
    assert "Le chat a vu le chien." in page.inner_text(".edit-after"), "as for “The cat saw the dog.”"
    assert not np.array(window.array("source.position")[1]).any()
    page.click(".edit-choices button >> nth=0")
    _edited(window)


def test_a_cell_of_the_heads_that_matter_is_a_switch_for_the_keyboard(shown: Shown, open_page: OpenPage) -> None:
    link = shown.link("walkthrough", source=TIRED, view="links", kind="cross", layer=0, step=14)
    window = open_page(link).ready()
    page = window.page
    page.focus("details.editing > summary")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-figure=head-effects-cross] [role=grid]")
    window.ready()
    trace = _expected(shown, "")
    effects = trace.head_effects()
    row = page.evaluate(
        "async () => { const {shape, data} = await __inspect.get(`api/traces/${__inspect.trace.id}/head_effects`);"
        " return [shape, [...data]]; }"
    )
    np.testing.assert_allclose(np.array(row[1]).reshape(row[0]), effects, atol=1e-5)
    page.focus("[data-figure=head-effects-cross] [role=grid]")
    for key in ("Home", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    window.until("() => __inspect.trace?.provenance.edits.length === 1")
    assert _edits(window).startswith("decoder.")
    window.ready()
    page.focus(".edit-list li button")
    page.keyboard.press("Enter")
    _edited(window)


def test_a_piece_is_forced_by_a_click_and_another_one_typed(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED, view="decoder")).ready()
    page = window.page
    pieces = page.evaluate("__inspect.trace.tokens.predicted_pieces")
    step = pieces.index("il")
    page.click("details.editing > summary")
    page.click(f".edit-panel .chips button >> nth={step}")
    page.click(".edit-panel .edit-choices button:not([disabled]) >> nth=0")
    window.until("() => __inspect.trace?.provenance.edits.length === 1")
    window.ready()
    (edit,) = page.evaluate("__inspect.trace.provenance.edits")
    assert edit.startswith(f"step.{step}=")
    after = _expected(shown, edit)
    assert page.evaluate("__inspect.trace.text") == after.text
    page.wait_for_selector(".edit-bar .edit-after")
    assert str(step) in page.inner_text(".edit-bar [role=status]:not(.waiting)")
    assert page.locator(".edit-after mark").count() >= 1
    page.fill(".edit-typed input", "Elle")
    page.press(".edit-typed input", "Enter")
    window.until('() => __inspect.state().edits.includes("▁Elle")')
    window.until('() => __inspect.trace?.provenance.edits.join() === `step.${__inspect.state().step}="▁Elle"`')
    window.ready()
    page.go_back()  # "back" takes an edit back
    _edited(window, edit)
    page.fill(".edit-typed input", "elle")  # in the place of "il", which has no space before it
    page.press(".edit-typed input", "Enter")
    _edited(window, f'step.{step}="elle"')
    page.click(".edit-bar details summary")
    drawn = page.locator("[data-figure=effect-new] .step-changes small").all_inner_texts()
    forced = _expected(shown, f'step.{step}="elle"').predictions
    assert forced is not None
    assert float(drawn[step].replace("−", "-")) == pytest.approx(forced.target_log_probability[step], rel=0.05), (
        "the model is the same, so the bars are log-probabilities, not changes of nothing"
    )
    said = page.inner_text(".edit-bar [role=status]:not(.waiting)")
    assert f"elle has {_log(forced.target_log_probability[step])} " in said, "of this step, and no other sum"
    assert "without and with the edits: they change what is written, not the model" in said


def _log(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def test_the_list_says_of_what_each_log_probability_is(shown: Shown, open_page: OpenPage) -> None:
    """Of the whole translation before and after, in the model without the edits and with them; and of one step."""
    edits = ["decoder.5.cross_attention.head.4=zero", "decoder.4.cross_attention.head.5=zero", 'word.10="wide"']
    link = shown.link("walkthrough", source=TIRED, view="stack", edits=";".join(edits))
    window = open_page(link).ready()
    window.page.wait_for_selector(".edit-bar .edit-after")
    translator = pellucid.load(shown.folders["walkthrough"], threads=1)
    effect = edit_trace(pellucid.trace(translator, TIRED), edits)
    step = effect.divergence
    assert step is not None
    summary = window.page.inner_text(".edit-bar summary")
    rows = {"before": (effect.old_before, effect.old_after), "after": (effect.new_before, effect.new_after)}
    for name, (without, having) in rows.items():
        one, two = (f"{values.sum():.4g}".replace("-", "−") for values in (without, having))
        told = f"log-probability {one} in the model without the edits, {two} in the model with them"
        assert f"The whole translation {name} the edits, all its pieces added up: {told}" in summary
    said = window.page.inner_text(".edit-bar [role=status]:not(.waiting)")
    old, new = (one.tokens.predicted_pieces[step] for one in (effect.before, effect.after))
    numbers = [_log(values[step]) for pair in rows.values() for values in pair]
    assert f"{old} has the log-probability {numbers[0]} without the edits and {numbers[1]} with them" in said
    assert f"{new} has {numbers[2]} and {numbers[3]}" in said
    window.page.select_option(".page-tools select >> nth=-1", "zh")
    window.until("document.documentElement.lang === 'zh'")
    told = window.page.inner_text(".edit-bar")
    assert "没有改动的模型给出的对数概率是" in told
    assert "在这一步，开头相同时" in told


def test_a_piece_is_banned_a_word_changed_and_all_undone(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED, view="translate", editing=1, step=10)).ready()
    page = window.page
    piece = page.evaluate("__inspect.trace.tokens.predicted_pieces[10]")
    page.focus(".edit-typed >> nth=0 >> button[type=button]")
    page.keyboard.press("Enter")
    _edited(window, f'ban="{piece}"')
    assert piece not in page.evaluate("__inspect.trace.tokens.predicted_pieces")
    page.click(".edit-panel .edit-choices >> nth=1 >> button:has-text('tired')")
    page.fill(".edit-typed >> nth=1 >> input", "wide")
    page.press(".edit-typed >> nth=1 >> input", "Enter")
    window.until("() => __inspect.trace?.source.includes('wide')")
    window.ready()
    page.wait_for_selector(".edit-bar .edit-after")
    assert "tired" in page.inner_text(".edit-bar")
    page.click(".edit-list > button")
    _edited(window)
    assert page.evaluate("__inspect.trace.source") == TIRED


def test_a_head_is_patched_from_another_sentence_by_keyboard_on_a_telephone(shown: Shown, open_page: OpenPage) -> None:
    state = {"view": "links", "kind": "cross", "layer": 5, "heads": 4, "query": 13, "editing": 1}
    window = open_page(shown.link("walkthrough", source=TIRED, **state), width=360, height=740).ready()
    page = window.page
    page.focus(".edit-panel .choice button:has-text('as in another sentence')")
    page.keyboard.press("Enter")
    assert page.input_value(".edit-other input") == WIDE, "the other sentence of the story"
    page.focus(".edit-panel [type=checkbox]")
    page.keyboard.press("Space")
    page.focus("[role=switch] >> nth=4")
    page.keyboard.press("Enter")
    edit = f'decoder.5.cross_attention.head.4.row.13=from:"{WIDE}"'
    _edited(window, edit)
    shape, values = window.array("decoder.5.cross_attention.context")
    wanted = _expected(shown, edit)["decoder.5.cross_attention.context"]
    np.testing.assert_allclose(np.array(values).reshape(shape), wanted, atol=1e-5)
    assert page.evaluate("__inspect.state().query") == 13, "what is pinned stays"
    assert page.get_attribute("[role=switch] >> nth=4", "aria-checked") == "false"
    assert "row 13: as in" in page.inner_text(".edit-list")
    assert window.accessibility_problems() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("key", ["Enter", "mouse"])
def test_a_unit_of_a_feed_forward_network_is_switched_off(shown: Shown, open_page: OpenPage, key: str) -> None:
    state = {"view": "feed_forward", "kind": "encoder", "layer": 2, "query": 3, "feed_forward.unit": 11}
    window = open_page(shown.link("walkthrough", source=TIRED, **state), color_scheme="dark").ready()
    switch = window.page.locator(".unit-picker [role=switch]")
    assert switch.get_attribute("aria-checked") == "true"
    if key == "mouse":
        switch.click()
    else:
        switch.focus()
        window.page.keyboard.press(key)
    _edited(window, UNIT)
    shape, values = window.array("encoder.2.feed_forward.hidden")
    hidden = np.array(values).reshape(shape)
    assert not hidden[:, 11].any()
    np.testing.assert_allclose(hidden, _expected(shown, UNIT)["encoder.2.feed_forward.hidden"], atol=1e-5)
    assert window.page.evaluate("__inspect.state().query") == 3
    window.page.click("[data-figure=feed-forward-unit] .tools button:has-text('by hand')")
    window.until("document.querySelector('[data-figure=feed-forward-unit] .recomputed')")
    if window.page.locator("[data-figure=feed-forward-unit] .recomputed .differs").count():
        assert "The model has edits" in window.page.inner_text("[data-figure=feed-forward-unit] .recomputed")
    assert window.accessibility_problems() == []
    switch.focus()
    window.page.keyboard.press("Space")
    _edited(window)


@pytest.mark.parametrize(("width", "scheme", "lang"), [(360, "dark", "zh"), (1440, "light", "en")])
def test_edits_can_be_read_by_everybody(shown: Shown, open_page: OpenPage, width: int, scheme: str, lang: str) -> None:
    state = {"view": "heads", "kind": "cross", "layer": 4, "editing": 1, "edits": HEAD, "lang": lang}
    window = open_page(shown.link("walkthrough", source=TIRED, **state), width=width, color_scheme=scheme).ready()
    _edited(window, HEAD)
    window.page.click(".edit-bar summary")
    window.ready()
    assert window.accessibility_problems() == []
    assert "⟦" not in window.page.inner_text("body")
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width


def test_edits_that_cannot_be_applied_are_listed_with_the_reason(shown: Shown, open_page: OpenPage) -> None:
    wrong = ["decoder.9.feed_forward=zero", "word.50=drop", "nonsense"]
    link = shown.link("walkthrough", source=TIRED, lang="zh", view="stack", edits=";".join([*wrong, HEAD]))
    window = open_page(link, may_fail=True)
    _edited(window, HEAD)
    page = window.page
    refused = page.locator(".edit-list li.refused")
    assert refused.count() == len(wrong)
    for text in ("没有第 9 层", "第 50 个词", "nonsense"):
        assert text in " ".join(refused.all_inner_texts())
    assert "allowed" not in page.inner_text(".edit-list"), "the reasons are in the reader's language"
    assert page.locator("[data-figure=stack]").count() == 1
    page.click(".edit-list li:not(.refused) button")
    window.until("() => __inspect.trace?.provenance.edits.length === 0")
    window.ready()
    assert page.locator("[data-figure=stack]").count() == 1, "the model without edits, none of which can be applied"


WITHOUT_PICTURE = {"curves", "compare"}
"""The training knows nothing of edits, and the comparison is before and after by itself."""


def test_every_chapter_shows_before_after_and_the_difference(shown: Shown, open_page: OpenPage) -> None:
    edits = "encoder.3.self_attention.head.1=zero"
    window = open_page(shown.link("walkthrough", source=TIRED, edits=edits)).ready()
    page = window.page
    before = _expected(shown, "")["source.input"], _expected(shown, "").predictions
    assert before[1] is not None
    for view in page.evaluate("import('pellucid/views').then(({VIEWS}) => VIEWS.map(({name}) => name))"):
        window.go(view=view, source=TIRED, edits=edits)
        found = page.locator(".edit-change [data-figure]").count()
        assert (found > 0) != (view in WITHOUT_PICTURE), view
        assert "⟦" not in page.inner_text("main"), view
        assert view != "compare" or "before" in page.inner_text(".compare-texts")
    window.go(view="softmax", source=TIRED, edits=edits, step=13)
    after = page.inner_text(".edit-change")
    changes = page.locator(".edit-sheet td:nth-child(4)").all_inner_texts()
    unit = " percentage points"
    assert all(change == "–" or change.endswith(unit) for change in changes), "of shares"
    assert not [change for change in changes if "e" in change.removesuffix(unit) or "%" in change]
    page.click(".edit-bar .choice button >> nth=1")  # the chapter without the edits
    window.ready()
    top = before[1].top_log_probabilities[13][0]
    assert f"{100 * np.exp(top):.1f} %" in page.inner_text("[data-figure=softmax]")
    assert page.inner_text(".edit-change") == after, "the difference stays"


def test_a_forced_piece_changes_what_is_written_and_no_number_of_the_model(shown: Shown, open_page: OpenPage) -> None:
    """Nineteen zeros and "nothing changes here" stood under a translation that had just changed."""
    edits = 'step.13="elle"'
    window = open_page(shown.link("walkthrough", source=TIRED, view="decoder", edits=edits)).ready()
    window.until("document.querySelector('.edit-change .hint')")
    said = window.page.inner_text(".edit-change")
    assert "what is written or read, not the model" in said
    assert window.page.locator(".edit-change [data-figure]").count() == 0
    window.page.click(".next button >> nth=1")
    window.until("document.querySelector('[data-figure=lens]')")


def test_a_search_has_the_edits_and_can_be_changed(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=TIRED, view="search", edits=HEAD)).ready()
    page = window.page
    page.locator("input[name=beam_size]").fill("2")
    window.until("() => __inspect.state()['search.set']?.includes('beam_size=2')")
    window.ready()
    assert page.locator("main .problem").count() == 0
    translator = pellucid.load(shown.folders["walkthrough"], threads=1).with_settings(beam_size=2)
    wanted = pellucid.trace(translator, TIRED, edits=[HEAD])
    assert wanted.text in page.inner_text(".search-ends")


def test_the_single_file_shows_recorded_edits(shown: Shown, open_page: OpenPage, tmp_path: Path) -> None:
    trace = _expected(shown, HEAD)
    path = tmp_path / "edited.html"
    trace.to_html(path, view="heads", kind="cross", layer=4, heads=[4], weights="none")
    window = open_page(
        f"{path.as_uri()}#view=heads&kind=cross&layer=4&heads=4&editing=1", origin=path.as_uri(), offline=True
    ).ready()
    assert window.page.locator(".edit-list li").count() == 1
    assert window.page.locator("[data-figure=attention-difference] canvas").count() == 3
    assert window.page.locator("[data-figure^=head-effects]").count() == 3
    assert window.page.is_disabled("[role=switch] >> nth=0")
    assert "pellucid serve" in window.page.inner_text(".edit-bar")


def test_contradictions_and_words_that_are_no_piece_are_told(shown: Shown, open_page: OpenPage) -> None:
    edits = 'step.13="ellexyz";step.13="▁il";positions=zero;positions=half_split_t2t'
    window = open_page(shown.link("walkthrough", source=TIRED, edits=edits), may_fail=True).ready()
    window.page.wait_for_selector(".edit-bar .edit-after")
    assert window.page.locator(".edit-list li").count() == 4
    refused = window.page.locator(".edit-list li.refused").all_inner_texts()
    assert len(refused) == 2
    assert 'step.13="▁il" and step.13="ellexyz" cannot both act' in refused[0]
    assert "positions=half_split_t2t and positions=zero cannot both act" in refused[1]
    assert window.page.evaluate("__inspect.trace.provenance.edits") == ['step.13="ellexyz"', "positions=zero"]
    bar = window.page.inner_text(".edit-bar")
    assert "no piece of the vocabulary, so it is written with 4: elle" in bar
    assert "ellexyz" in window.page.inner_text(".edit-bar .edit-after")
