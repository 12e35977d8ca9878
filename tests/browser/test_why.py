"""Why this word: parts and their sum, the lens, heads and links; by mouse, by keyboard, and in the single file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pytest

import pellucid
from pellucid.analysis.alignment import links_of_trace
from pellucid.page.answers import plain
from pellucid.translation.alignment.choosing import error_rate

from .conftest import OpenPage
from .models import Shown
from .windows import Window

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.slow

SOURCE, TARGET = "The animal was tired.", "Il dort."
PAIR = {"source": SOURCE, "target": TARGET}
STEP = 1
SECTIONS = ("parts", "lens", "heads", "links", "methods")
PARTS = ".why-parts small"


def opened(shown: Shown, open_page: OpenPage, model: str = "walkthrough", **state: Any) -> Window:
    link = shown.link(model, **({"view": "why", "step": STEP} | PAIR | state))
    return open_page(link).ready()


def numbers(window: Window) -> list[float]:
    texts = window.page.locator(PARTS).all_inner_texts()
    return [float(text.replace("−", "-")) for text in texts]


def test_nothing_of_it_comes_before_it_is_opened(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", **PAIR)).ready()
    before = list(window.requests)
    assert not [address for address in before if "why" in address and ".css?" not in address]
    window.page.click("nav.chapters button >> nth=-1")
    window.ready()
    late = [address.removeprefix(shown.address) for address in window.requests[len(before) :]]
    assert any("texts/why/en.json" in address for address in late)
    assert any("views/why/parts.js" in address for address in late)
    asked = [address for address in late if address.startswith("api/traces")]
    assert ["why?method=alti_logit" in address for address in asked] == [True], "the other sections wait"


def test_the_parts_are_those_of_python_and_add_up(shown: Shown, open_page: OpenPage) -> None:
    window = opened(shown, open_page)
    page = window.page
    trace = shown.trace("walkthrough", SOURCE, TARGET)
    page.click(".chapter .chips button >> nth=2")
    window.until("() => __inspect.state().step === 2")
    window.ready()
    for name, query in (("alti_logit", {}), ("value_zeroing", {"step": 2})):
        page.click(f".why-controls button >> nth={('alti_logit', '', '', 'value_zeroing').index(name)}")
        window.ready()
        found = trace.attribute(method=name, **query)
        row = found.row(2)
        parts = np.concatenate([found.source[row], found.target[row, :3]])
        np.testing.assert_allclose(numbers(window), parts, rtol=6e-3, atol=1e-4)
        assert page.locator(".why-sum.differs").count() == 0
        assert page.locator(".why-sum.agrees").count() == (name == "alti_logit")
    page.click(".tools button >> nth=1")  # added again, term by term
    page.wait_for_selector(".recomputed .agrees")


def test_another_piece_is_compared_by_the_keyboard(shown: Shown, open_page: OpenPage) -> None:
    window = opened(shown, open_page)
    page = window.page
    trace = shown.trace("walkthrough", SOURCE, TARGET)
    page.focus(".edit-choices > button >> nth=2")
    page.keyboard.press("Enter")
    window.until("() => document.querySelector('[data-figure=why] h3')?.textContent.includes('and not')")
    other = int(page.evaluate("__inspect.state()['why.id']"))
    assert other in page.evaluate("(step) => __inspect.trace.predictions.top_ids[step]", STEP)
    found = window.page.evaluate(
        "(path) => __inspect.get(path)", f"api/traces/{window.trace_id}/why?method=alti_logit&step=1&against_id={other}"
    )
    logits = trace["logits"][STEP]
    assert found["score"][0] == pytest.approx(logits[trace.tokens.predicted_ids[STEP]] - logits[other], abs=1e-4)
    page.fill(".why-controls + .edit-choices input", "elle")
    page.keyboard.press("Enter")
    window.until("() => document.querySelector('[data-figure=why] h3')?.textContent.includes('elle')")
    window.ready()
    assert page.locator(".why-sum.agrees").count() == 1


def test_a_wrong_number_is_noticed(shown: Shown, open_page: OpenPage) -> None:
    def planted(route: Route) -> None:
        answer = route.fetch()
        table = answer.json()
        table["source"][STEP if len(table["steps"]) > 1 else 0][1] += 0.25
        route.fulfill(response=answer, body=json.dumps(table))

    def last(route: Route) -> None:
        answer = route.fetch()
        table = answer.json()
        table["log_probability"][-1] -= 0.01
        route.fulfill(response=answer, body=json.dumps(table))

    link = shown.link("walkthrough", view="why", step=STEP, **PAIR)
    window = open_page(link, routes={"**/why?*": planted, "**/lens?*": last}).ready()
    assert window.page.locator(".why-sum.differs").count() == 1
    window.page.click(".chapter .choice >> nth=0 >> button >> nth=1")
    window.page.wait_for_selector("[data-figure=lens] .why-sum.differs")


@pytest.mark.parametrize("model", ["walkthrough", "pre"])
def test_the_lens_ends_at_the_output(shown: Shown, open_page: OpenPage, model: str) -> None:
    window = opened(shown, open_page, model, **{"why.show": "lens"})
    page = window.page
    trace = shown.trace(model, SOURCE, TARGET)
    ranks = trace.lens().target_rank[:, STEP]
    shown_ranks = page.locator(".why-lens td:nth-of-type(2)").all_inner_texts()
    assert list(map(int, shown_ranks)) == ranks.tolist()
    assert page.locator(".why-sum.agrees").count() == 1
    assert ("common scale" in page.inner_text(".caption")) == (model == "walkthrough")


def test_the_lens_of_another_step_by_keyboard(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="why", step=0, **PAIR), width=360, color_scheme="dark").ready()
    window.page.focus("button:has-text('what each layer would say')")
    window.page.keyboard.press("Enter")
    window.until("document.querySelector('[data-figure=lens] tbody tr')")
    window.page.focus(f".chapter .chips button >> nth={STEP}")
    window.page.keyboard.press("Enter")
    window.until("(step) => __inspect.state().step === step", STEP)
    window.ready()
    trace = shown.trace("walkthrough", SOURCE, TARGET)
    assert trace.predictions is not None
    last = window.page.locator("[data-figure=lens] tbody tr").last.locator("td").last.inner_text()
    assert last == f"{100 * np.exp(trace.predictions.target_log_probability[STEP]):#.3g} %"
    assert window.page.locator(".why-sum.agrees").count() == 1


def test_a_head_is_shown_with_its_effect(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", view="links", kind="cross", layer=1, step=STEP, **PAIR)).ready()
    page = window.page
    page.click("button:has-text('Which heads matter')")
    window.until("() => document.querySelector('.chapter')?.dataset.view === 'why'")
    page.wait_for_selector("[data-figure=head-effects-cross] [role=grid]")
    window.ready()
    page.focus("[data-figure=head-effects-cross] [role=grid]")
    for key in ("Control+Home", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    window.until("() => __inspect.state().heads.join() === '1' && __inspect.state().layer === 0")
    window.ready()
    effects = shown.trace("walkthrough", SOURCE, TARGET).head_effects()
    config = page.evaluate("__inspect.trace.config")
    first = (config["num_encoder_layers"] + config["num_decoder_layers"]) * config["num_heads"]
    says = page.inner_text("[data-figure=why-head] .says").replace("−", "-")
    assert float(says.rsplit("changes by ", 1)[1].rstrip(".")) == pytest.approx(effects[first + 1, STEP], rel=2e-3)
    page.click("[data-figure=why-head] button:has-text('Open this head')")
    window.until("() => document.querySelector('.chapter')?.dataset.view === 'links'")


def test_known_links_judge_the_drawn_ones(shown: Shown, open_page: OpenPage) -> None:
    window = opened(shown, open_page, **{"why.show": "links"})
    page = window.page
    found = links_of_trace(shown.trace("walkthrough", SOURCE, TARGET))
    page.click("button:has-text('ALTI+')")
    window.ready()
    assert page.locator(".links.why-links line").count() == len(found.contributions or ())
    gold = [(0, 0), (1, 0), (3, 1)]
    field = ".why-gold input"
    page.fill(field, " ".join(f"{j}-{i}" for i, j in gold))
    page.click(".why-gold .choice button >> nth=1")  # the translation first
    page.focus(field)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-figure=error-rates]")
    window.ready()
    precision, recall, rate = error_rate([found.contributions or ()], [gold])
    says = page.inner_text("[data-figure=word-links] .says")
    common = round(precision * len(found.contributions or ()))
    assert f"{common} of {len(gold)} known links" in says
    assert recall == common / len(gold)
    assert f"rate {rate:.4g} =" in says
    assert page.locator(".links.why-links line.missed").count() == len(gold) - common
    page.focus("[data-figure=error-rates] [role=grid]")
    for key in ("Control+Home", "Enter"):
        page.keyboard.press(key)
    window.until("() => __inspect.state()['why.by'] === 'head'")
    window.ready()
    own = found.heads["writes"][0][0]
    assert page.locator(".links.why-links line:not(.missed)").count() == len(own)
    page.fill(field, "0-9")
    page.keyboard.press("Enter")
    page.wait_for_selector(".problem:has-text('0-9')")


@pytest.mark.parametrize(
    ("width", "scheme", "lang", "sections"), [(360, "dark", "zh", SECTIONS), (1440, "light", "en", ("links", "parts"))]
)
def test_everybody_can_read_it(
    shown: Shown, open_page: OpenPage, width: int, scheme: str, lang: str, sections: tuple[str, ...]
) -> None:
    state = {"view": "why", "step": STEP, "lang": lang, "why.gold": "0-0 1-0", "model": "walkthrough"} | PAIR
    window = open_page(f"{shown.address}#{urlencode(state)}", width=width, color_scheme=scheme).ready()
    for section in sections:
        window.go(**{**state, "why.show": section})
        assert "⟦" not in window.page.inner_text("body")
        assert window.page.evaluate("document.documentElement.scrollWidth") <= width, section
        assert window.accessibility_problems() == [], section
    if lang == "zh":  # the words of the view come in the language that is chosen later, too
        window.page.select_option(".page-tools select >> nth=-1", "en")
        window.until("() => document.querySelector('.chapter .choice-label').textContent === 'Show'")


def test_a_refusal_is_in_the_language_of_the_page(shown: Shown, open_page: OpenPage) -> None:
    piece = shown.trace("walkthrough", SOURCE, TARGET).tokens.predicted_pieces[STEP]
    link = shown.link("walkthrough", view="why", step=STEP, lang="zh", **{"why.against": piece}, **PAIR)
    window = open_page(link, may_fail=True)  # the browser notes the refused request
    window.until("() => document.querySelector('.chapter .problem')?.textContent.includes('这正是这一步')")


def test_the_file_has_what_needs_no_model(tmp_path: Path, open_page: OpenPage, walkthrough: Path) -> None:
    trace = pellucid.trace(pellucid.load(walkthrough, engine="torch", threads=1), SOURCE, target=TARGET)
    trace.to_html(tmp_path / "page.html", view="why", weights="none")
    window = open_page((tmp_path / "page.html").as_uri(), offline=True).ready()
    page = window.page
    assert page.locator(".why-sum.agrees").count() == 1
    assert page.locator(".why-controls button").count() == 2
    assert "pellucid serve" in page.inner_text(".chapter")
    assert page.is_disabled(".edit-choices > button >> nth=1")
    for section in SECTIONS[1:]:
        window.go(view="why", **{"why.show": section})
        assert page.locator(".problem").count() == 0, section
    expected = plain(trace.attribute(method="alti").source)
    found = page.evaluate("(id) => __inspect.get(`api/traces/${id}/why?method=alti`)", window.trace_id)
    assert found["source"] == expected


def test_it_begins_in_doubt_and_names_the_head_that_matters_most(shown: Shown, open_page: OpenPage) -> None:
    tired = "The animal didn't cross the street because it was too tired."
    window = open_page(shown.link("walkthrough", source=tired, view="why", **{"why.show": "heads"})).ready()
    page = window.page
    trace = shown.trace("walkthrough", tired, page.evaluate("__inspect.trace.text"))
    assert trace.predictions is not None
    step = int(trace.predictions.target_log_probability.argmin())
    assert page.get_attribute(f".chapter .chips button >> nth={step}", "aria-pressed") == "true"
    before = trace.predictions.target_log_probability[step]
    after = before + trace.head_effects()[:, step]
    most = int(np.abs(after - before).argmax())
    page.wait_for_selector(".why-most p")
    said = page.locator(".why-most p").all_inner_texts()
    assert f"from {100 * np.exp(before):#.3g} % to {100 * np.exp(after[most]):#.3g} %" in said[0]
    rows = [trace[site][:, step].max() for site in trace.sites if re.fullmatch(r"decoder\..*attention\.weights", site)]
    assert f"({max(rows):.3g}," in said[1]
    page.click(".why-most button")
    window.until("() => __inspect.trace?.provenance.edits.length === 1")
    window.ready()
    page.wait_for_selector(".edit-bar .edit-after")
    assert f"{100 * np.exp(after[most]):#.3g} %" in page.inner_text(".edit-bar [role=status]:not(.waiting)")


def test_the_known_links_of_the_story_are_one_click_away(shown: Shown, open_page: OpenPage) -> None:
    tired = "The animal didn't cross the street because it was too tired."
    window = open_page(shown.link("walkthrough", source=tired, view="why", **{"why.show": "links"})).ready()
    window.page.click("button:has-text('known for this sentence')")
    window.page.wait_for_selector("[data-figure=error-rates]")
    assert "single heads" in window.page.inner_text("[data-figure=error-rates] .says")
    assert window.page.input_value(".why-gold input").startswith("0-0 1-0")
