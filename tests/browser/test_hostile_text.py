"""Text that could break a page comes through unchanged: the box, the chips, tables, CSV and exported files."""

from __future__ import annotations

import csv
import json
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from .conftest import OpenPage
from .models import Shown
from .windows import Window

if TYPE_CHECKING:
    from playwright.sync_api import Route

pytestmark = pytest.mark.slow

# Written as escapes where an editor would turn them round or hide them.
SENTENCES = {
    "script": "a </script><script>alert(1)</script> b",
    "comment": "<!-- a --> ]]> &lt; &amp; {{x}} ${y}",
    "bidi": "a \u202eb\u202c \u2067c\u2069 \u0645\u0631\u062d\u0628\u0627",
    "emoji": "a \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7",
    "combining": "Zo\u0308e\u0301\u0323 a\u0300\u0301\u0302\u0303",
    "separators": "a\u2028b\u2029c",
    "quotes": "\"a\", 'b' `c` \\ =1+1",
}
# Pieces that a tokenizer may have; a word of several characters must not be cut inside one of them.
PAIR_OF_PEOPLE = "\U0001f469\u200d\U0001f467"
PIECES = [
    "\u2581</script>", "<!--", "\u202e\u2581ab", "\u2581\u0645\u0631\u062d\u0628\u0627",
    "\u2581" + PAIR_OF_PEOPLE * 9,
    "e\u0301", "\u2028", "\u2581\"'`,", "\x01\x1f", "\u2581=1+1", "=1+1", "-", "{{x}}", "</s>",
]  # fmt: skip


def _rows(window: Window, figure: str, folder: Path) -> list[list[str]]:
    window.save(figure, "CSV").save_as(folder / "table.csv")
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def _nothing_ran(window: Window) -> None:
    assert window.page.locator("body script").count() == window.page.locator("body > script").count()
    assert window.page.locator("main script, main img").count() == 0


@pytest.mark.parametrize("name", SENTENCES)
def test_a_hostile_sentence_comes_through(shown: Shown, open_page: OpenPage, name: str, tmp_path: Path) -> None:
    sentence = SENTENCES[name]
    trace = shown.trace("pre", sentence, "b")
    window = open_page(shown.link("pre", source="a")).ready()
    box = window.page.locator("form.sentence input")
    box.fill(sentence)
    box.press("Enter")
    window.until("(wanted) => __inspect.trace?.source === wanted", trace.source)
    assert box.input_value() == sentence
    window.go(model="pre", source=sentence, target="b", view="embeddings")
    pieces = list(trace.tokens.source_pieces)
    assert window.page.evaluate("__inspect.trace.tokens.source_pieces") == pieces
    assert [row[1] for row in _rows(window, "pieces", tmp_path)] == pieces
    data = bytes(int(piece[3:5], 16) for piece in pieces if piece.startswith("<0x"))
    read = unicodedata.normalize("NFC", trace.source)  # the one change that the tokenizer makes to a text
    assert " ".join(data.decode().split()) == " ".join(read.split()), "the bytes are the sentence"
    _nothing_ran(window)
    response = window.page.request.get(f"{shown.address}export/{window.trace_id}.html")
    (tmp_path / "page.html").write_bytes(response.body())
    file = open_page((tmp_path / "page.html").as_uri(), offline=True).ready()
    assert file.page.input_value("form.sentence input") == sentence
    assert file.page.evaluate("__inspect.trace.tokens.source_pieces") == pieces
    assert file.page.evaluate("__inspect.trace.source") == trace.source


def test_hostile_pieces_come_through(shown: Shown, open_page: OpenPage, tmp_path: Path) -> None:
    """A vocabulary may hold anything; here the server's answer is given such pieces."""

    def with_pieces(route: Route) -> None:
        answer = route.fetch()
        manifest = json.loads(answer.body())
        manifest["tokens"]["source_pieces"] = PIECES
        manifest["tokens"]["source_words"] = [
            {"text": piece, "start": i, "end": i + 1} for i, piece in enumerate(PIECES)
        ]
        manifest["source"] = "".join(PIECES)
        route.fulfill(status=answer.status, content_type="application/json", body=json.dumps(manifest))

    state = {"model": "pre", "source": "x" * (len(PIECES) - 1), "target": "b"}
    window = open_page(shown.link(view="health", **state), routes={"**/api/traces": with_pieces}).ready()
    window.go(view="embeddings", **state)
    # A spreadsheet would compute what begins like a formula.
    written = [f"'{piece}" if piece[0] in "=-" else piece for piece in PIECES]
    assert [row[1] for row in _rows(window, "pieces", tmp_path)] == written
    told = [piece.replace("\u2581", " ").strip(" \u2028") or "␣" for piece in PIECES]
    chips = window.page.evaluate(
        "[...document.querySelectorAll('[data-figure=pieces] .chip bdi')].map((b) => b.textContent)"
    )
    assert chips == told
    assert all(window.page.evaluate("[...document.querySelectorAll('.chip bdi')].map((b) => b.dir === 'auto')"))
    for view in ("translate", "stack", "attention", "matrices", "heads", "links", "decoder", "health"):
        window.go(view=view, kind="encoder", **state)
        _nothing_ran(window)
        for text in window.page.evaluate(
            "import('pellucid/pictures/export').then(({svgOf}) => [...document.querySelectorAll('.picture')]"
            ".map((picture) => svgOf(picture, {title: 'x', provenance: {}})))"
        ):
            ElementTree.fromstring(text)
        window.save("", "PNG")
    labels = window.page.evaluate(
        "(pair) => import('pellucid/tokens').then(({cut}) => [cut(pair.repeat(9), 4), cut('abcd', 4),"
        " cut('abcde', 4)])",
        PAIR_OF_PEOPLE,
    )
    assert labels == [PAIR_OF_PEOPLE * 3 + "…", "abcd", "abc…"]
