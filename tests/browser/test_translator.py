"""The page for translators: it shows what the service answers, and sends nothing else, nowhere else."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request as Asked
from urllib.request import urlopen

import pytest

from .conftest import OpenPage
from .models import Shown
from .test_reach import UNREACHABLE
from .windows import Window

pytestmark = pytest.mark.slow

FIRST, SECOND, THIRD = "I am a student.", "The animal was tired.", "We are going home tomorrow."
TEXT = f"{FIRST} {SECOND}\n\n{THIRD}"
DONE = "document.querySelector('.state').textContent.includes('3')"
WORDS = ".written [data-word]"


def is_aborted(problem: str) -> bool:
    """Return whether a problem is what the browser says when a newer text aborts the request for the older one."""
    return problem.startswith("failed: ") and problem.endswith("/v1/translate")


def ask(shown: Shown, path: str, body: Mapping[str, object]) -> Any:
    """Ask the service without the page."""
    request = Asked(f"{shown.address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=600) as answer:
        return json.load(answer)


def translated(shown: Shown, text: str, **more: object) -> Any:
    found = ask(shown, "v1/translate", {"text": text, "source": "en", "target": "fr", "tokens": True} | more)
    return found["translations"][0]


def open_translator(open_page: OpenPage, shown: Shown, text: str = "", **more: Any) -> Window:
    window = open_page(f"{shown.address}translator", **more)
    window.until("document.querySelector('.source textarea')")
    if text:
        window.page.fill(".source textarea", text)
    return window


def written(window: Window) -> str:
    """Return the translation as it stands on the page."""
    return str(window.page.evaluate("[...document.querySelectorAll('.written p')].map((p) => p.innerText).join('\\n')"))


def lit(window: Window) -> list[str]:
    found: list[str] = window.page.evaluate(
        "[...document.querySelectorAll('.panes [data-lit]')].map((one) => one.innerText.trim())"
    )
    return found


def is_fit(window: Window, width: int) -> None:
    assert window.accessibility_problems() == []
    assert window.page.evaluate("document.documentElement.scrollWidth") <= width
    assert window.page.evaluate(UNREACHABLE, width) == []


def test_two_panes_a_word_a_choice_and_the_inside(shown: Shown, open_page: OpenPage) -> None:
    window = open_page(shown.link("walkthrough", source=FIRST)).ready()
    window.page.click("a[href*='translator']")
    window.until("document.querySelector('.source textarea')")
    window.page.fill(".source textarea", TEXT)
    window.until(DONE)
    answer = [translated(shown, line) for line in TEXT.split("\n")]
    assert written(window) == "\n".join(one["text"] for one in answer)

    # Each word has the probability of its pieces, so that all of them with the end are the whole sentence's.
    best = answer[2]["sentences"][0]["alternatives"][0]
    words_of = (
        "([text, tokens]) => import('pellucid/translator/words').then(({wordsOf}) => wordsOf(text, tokens, 'fr'))"
    )
    parts = window.page.evaluate(words_of, [best["text"], best["tokens"]])
    assert "".join(part["text"] for part in parts) == best["text"]
    sums = [math.log(part["probability"]) for part in parts if part["probability"] is not None]
    assert math.isclose(sum(sums) + best["tokens"][-1]["log_probability"], best["log_probability"], abs_tol=1e-6)
    # What was kept has no pieces, and the words beside it have theirs.
    kept = window.page.evaluate(words_of, ["{price} %s " + best["text"], best["tokens"]])
    assert [one["probability"] for one in kept if one["probability"] is not None] == pytest.approx(
        [math.exp(one) for one in sums]
    )

    # A sentence lights up with its partner, under the pointer and under the caret.
    window.page.hover(".written [data-sentence='1'] [data-word]")
    assert lit(window) == [SECOND, answer[0]["sentences"][1]["text"]]
    window.page.focus(".source textarea")
    window.page.keyboard.press("Control+Home")
    assert lit(window) == [FIRST, answer[0]["sentences"][0]["text"]]
    is_fit(window, 1440)
    window.screenshot("translator-1440-light")

    # By keyboard alone: to a word, into its sentence, to another word, and back.
    sentence = answer[2]["sentences"][0]["text"]
    window.page.focus(f"{WORDS}[tabindex='0']")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        window.page.keyboard.press(key)
    window.until("document.querySelectorAll('.words li').length > 1")
    word = window.page.evaluate("document.querySelector('.written .word.open').textContent")
    before = sentence[: sentence.index(word, 1)]
    asked = {"text": THIRD, "source": "en", "target": "fr", "prefix": before, "count": 5}
    expected = ask(shown, "v1/complete", asked)["words"]
    assert window.page.locator(".words li > span").all_inner_texts() == [one["text"] for one in expected]
    is_fit(window, 1440)
    other = next(one for one in expected if one["word"] != word)
    window.until("document.activeElement.closest('.words')")
    window.page.click(f".words li:nth-child({expected.index(other) + 1}) button")
    window.until("document.querySelector('.written .changed')")
    chosen = window.page.inner_text(".written .changed")
    assert chosen.startswith(before + other["rest"])
    assert written(window) == "\n".join([*(one["text"] for one in answer[:2]), chosen])

    # The same sentence, with what was chosen, on the page that shows the inside; no request has it in its address.
    address = window.page.get_attribute(".panel a", "href")
    assert parse_qs(urlsplit(address).fragment) == {
        "model": ["walkthrough"], "source": [THIRD], "target": [chosen], "lang": ["en"]
    }  # fmt: skip
    window.page.click(".panel .hint button")
    window.until("!document.querySelector('.written .changed')")
    window.page.keyboard.press("Escape")
    window.until("document.activeElement.matches('.written [data-word]') && !document.querySelector('.panel')")
    window.page.goto(f"{shown.address}{address}")
    window.ready()
    assert window.page.evaluate("[__inspect.trace.source, __inspect.trace.text]") == [THIRD, chosen]
    assert not [one for one in window.requests if "student" in one or "going" in one]
    window.problems[:] = [one for one in window.problems if not is_aborted(one)]


def test_terms_signs_files_and_chinese_on_a_telephone(shown: Shown, open_page: OpenPage) -> None:
    window = open_translator(open_page, shown, TEXT, width=360, height=740, color_scheme="dark", locale="zh-CN")
    window.until(DONE)
    assert window.page.evaluate("document.documentElement.lang") == "zh"
    is_fit(window, 360)
    window.screenshot("translator-360-dark")

    window.page.click("details.box summary")
    window.page.fill("textarea.terms", "student = \nstudent = élève | élèves")
    assert "1" in window.page.inner_text("details.box .problem")
    assert window.page.is_disabled("details.box button")
    window.page.fill("textarea.terms", "student = élève | élèves")
    window.page.click("details.box button")
    terms = [{"source": "student", "target": ["élève", "élèves"]}]
    expected = [translated(shown, line, glossary=terms)["text"] for line in TEXT.split("\n")]
    assert "élève" in expected[0]
    window.until("document.querySelector('.written').innerText.includes('élève')")
    window.until(DONE)
    assert written(window) == "\n".join(expected)

    # What is wrong with a sentence is said, with its evidence.
    window.page.fill(".source textarea", "I have 17 and 23 and 4711 zebras.")
    window.until("document.querySelector('.state').textContent.includes('1')")
    (flagged,) = translated(shown, "I have 17 and 23 and 4711 zebras.", glossary=terms)["sentences"]
    assert "numbers" in flagged["flags"]
    window.page.click(".flagged-list button")
    assert "4711" in window.page.inner_text(".panel .signs") or "4711" not in flagged["evidence"]["numbers"]
    window.page.click(".panel button[aria-expanded]:has(+ a)")
    window.until("document.querySelector('.panel [role=status] > p.hint')")
    is_fit(window, 360)
    window.screenshot("translator-panel-360-dark", whole=False)

    # A document comes back as one, with a report.
    window.page.click(".panel .close")
    page = f"<p>{FIRST} <b>{SECOND}</b></p><p>I am a student.</p>".encode()
    window.page.set_input_files("input[type=file]", {"name": "a.html", "mimeType": "text/html", "buffer": page})
    window.until("document.querySelector('.job a[download]')")
    with window.page.expect_download() as download:
        window.page.click(".job a[download]")
    assert download.value.suggested_filename == "a.fr.html"
    content = download.value.path().read_text(encoding="utf-8")
    assert content.startswith("<p>")
    assert "élève" in content  # the terms of the page are for its files, too
    assert content.count("<b>") == content.count("</b>") == 1
    assert window.page.inner_text(".job .report p")
    is_fit(window, 360)
    window.page.set_input_files("input[type=file]", {"name": "b.xyz", "mimeType": "x/y", "buffer": b"\x00"})
    window.until("document.querySelector('.job .problem')")
    assert ".docx" in window.page.inner_text(".job .problem")
    assert [one for one in window.problems if "400" not in one and not is_aborted(one)] == []
    window.problems.clear()


def test_a_server_that_is_full_wants_a_key_and_collects_corrections(shown: Shown, open_page: OpenPage) -> None:
    """The answers of such a server come in the place of this one's, and the page does as they say."""
    sent: list[Any] = []
    times: list[float] = []
    done = "document.querySelector('.state')?.textContent.startsWith('2 sentences')"
    is_full = True
    is_held = False

    def settings(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"keyRequired": True, "suggestions": True})

    def translate(route: Any) -> None:
        nonlocal is_full
        sent.append(route.request)
        times.append(time.monotonic())
        if route.request.headers.get("authorization") != "Bearer s3cret":
            return route.fulfill(status=403, json={"error": "the key is not valid on this server"})
        if is_full:
            is_full = False
            return route.fulfill(status=503, json={"error": "the queue is full"}, headers={"Retry-After": "2"})
        unit = {"source": f"{FIRST[:-1]}!", "target": "Je suis étudiante !"}
        wish = json.loads(route.request.post_data) | {"memory": [unit]}
        return None if is_held else route.continue_(post_data=json.dumps(wish))

    def correct(route: Any) -> None:
        sent.append(route.request)
        route.fulfill(status=201, json={"id": "1", "state": "pending"})

    routes = {"**/frontend/settings": settings, "**/v1/translate": translate, "**/v1/corrections": correct}
    window = open_translator(open_page, shown, FIRST, routes=routes, may_fail=True)
    assert sent == []
    for key in ("wrong", "s3cret"):
        window.page.fill(".key input", key)
        window.page.click(".key button")
        if key == "wrong":
            window.until("document.querySelector('.state[role=alert]')?.innerText.includes('not valid')")
    window.until("document.querySelector('.state')?.innerText.includes('next try')")
    window.page.fill(".source textarea", f"{FIRST} {SECOND}")
    window.until(done)
    assert times[-1] - times[-2] >= 2, "it waits as long as the server says, whatever is typed"
    assert json.loads(sent[-1].post_data)["text"] == [f"{FIRST} {SECOND}"]

    # A newer text ends the request for the older one.
    is_held, count = True, len(sent)
    window.page.fill(".source textarea", f"{FIRST} {SECOND} {THIRD}")
    window.until("document.querySelector('.state').textContent.startsWith('Translating')")
    window.until_here(lambda: len(sent) > count)
    is_held = False
    window.page.fill(".source textarea", f"{FIRST} {SECOND}")
    window.until_here(lambda: any(one.startswith("failed: ") for one in window.problems))
    window.until(done)

    (first, _) = translated(shown, f"{FIRST} {SECOND}")["sentences"]
    window.page.click(".written [data-word]")
    window.screenshot("translator-matches-1440-light", whole=False)
    window.page.click(".panel .matches button")
    assert written(window).startswith("Je suis étudiante ! ")
    window.page.click(".panel button[aria-expanded]")
    window.page.fill(".correcting textarea", "Moi, étudiant.")
    window.page.click(".correcting button:last-of-type")
    window.until("document.querySelector('.correcting').innerText.includes('Sent')")
    assert json.loads(sent[-1].post_data) == {
        "text": FIRST, "correction": "Moi, étudiant.", "translation": first["text"], "source": "en", "target": "fr"
    }  # fmt: skip
    assert written(window).startswith("Moi, étudiant. ")
    assert "s3cret" not in window.page.url + "".join(window.requests)
    window.page.reload()
    window.until(done)
    assert window.page.input_value(".source textarea") == f"{FIRST} {SECOND}", "it stays in the tab"
    assert all("503" in one or "403" in one or "failed: " in one for one in window.problems), window.problems
