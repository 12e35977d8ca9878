"""Markdown: only words change, and what changes is still the same page to another parser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.unit.documents.reading import changed, identity, opened, shown

PAGE = """---
layout: Not text
title: "The front"
---

# A *big* title #

Some **bold [link](http://a.b/c "t") text** and `code`
on two lines, [ref] and [other text][ref] & more\\* &copy;.

> A quote
> goes on <b>here</b> <http://auto.link>.

1. One ![a dog](dog.png)
2. [x] Two
   * Three _four_ snake_case_name {{ name }}

| A | b |
|---|---|
| **c** d | e \\| f |

```python
code = "stays"
```

    indented code

<div>
an html block
</div>

Title
=====

[ref]: http://example.com "Title"
"""


def test_segments_are_blocks_with_their_codes() -> None:
    assert shown(opened("markdown", PAGE)) == [
        "The front",
        "A (1big1) title",
        "Some (1bold (2link2) text1) and [3]\non two lines, (4ref4) and (5other text5) & more* ©.",
        "t",
        "A quote\ngoes on (1here1) [3].",
        "One [1]",
        "a dog",
        "[1] Two",
        "Three (1four1) snake_case_name [2]",
        "A",
        "b",
        "(1c1) d",
        "e | f",
        "\nan html block\n",
        "Title",
        "Title",
    ]


def test_only_words_change() -> None:
    document = opened("markdown", PAGE)
    assert identity(document) == PAGE.encode()
    found = changed(document)
    assert found == (
        PAGE.replace("A *big* title", "A *BIG* TITLE")
        .replace("The front", "THE FRONT").replace("an html block", "AN HTML BLOCK").replace('"Title"', '"TITLE"')
        .replace('Some **bold [link](http://a.b/c "t"', 'SOME **BOLD [LINK](http://a.b/c "T"')
        .replace(" text** and `code`\n", " TEXT** AND `code` ")
        .replace("on two lines, [ref] and [other text]", "ON TWO LINES, [REF][ref] AND [OTHER TEXT]")
        .replace("& more\\* &copy;", "& MORE\\* ©")
        .replace("A quote\n> goes on <b>here", "A QUOTE GOES ON <b>HERE")
        .replace("One ![a dog]", "ONE ![A DOG]").replace("[x] Two", "[x] TWO")
        .replace("Three _four_ snake_case_name", "THREE _FOUR_ SNAKE_CASE_NAME")
        .replace("| A | b |", "| A | B |").replace("**c** d | e \\| f", "**C** D | E \\| F")
        .replace("Title\n=", "TITLE\n=")
    )  # fmt: skip


def test_html_inside_a_text_is_pairs_and_codes() -> None:
    page = (
        "Press <kbd>Esc</kbd> for H<sub>2</sub>O, <a id='x'></a>an <i>odd <b>pair</i></b>, a<br>b <!-- c --> and\n"
        "<span translate='no'>Ann</span> *so <u>on* now</u>, <?php x ?><!-->\n"
    )
    document = opened("markdown", page)
    assert shown(document) == [
        "Press [1] for H(222)O, [4]an (6odd [7]pair6)[9], a[10]b [11] and\n[12] (13so [14]on13) now[15], [16][17]"
    ]
    assert document.segments[0].keeps_order
    assert identity(document) == page.encode()
    assert changed(document).startswith("PRESS <kbd>Esc</kbd> FOR H<sub>2</sub>O, <a id='x'></a>AN <i>ODD <b>PAIR</i>")
    assert changed(opened("markdown", "A [link](a<b>c(d(e)) 't').\n")) == "A [LINK](a<b>c(d(e)) 'T').\n"


DIALECTS = """::: tip Not for readers
Some text in a container
:::

!!! note "Not yet"
    What the note says

Term
: What it means

> [!WARNING]
> Take care now

# A title {#anchor .class}

The formula $a_1 + b$ and $$x^2$$ cost $5 and $6, {{ field }} {% tag %} :smile: at the end.

First line\x20\x20
second line\\
third *slanted\x20\x20
line*

[TOC]

1.50 | 12/05/2024

![An image](a.png 'Of a cat') and [it's](b "A \\"quoted\\" one") or [so](c (Round)).

[d]: e
  (On its own line)

<details class="x"><summary>More of it</summary>
<p>Hidden <b>text</b></p><pre>code</pre>
</details>

> <p>in a quotation</p>
"""


def test_what_dialects_add_stays() -> None:
    document = opened("markdown", DIALECTS)
    assert shown(document) == [
        "Some text in a container",
        "What the note says",
        "Term",
        "What it means",
        "Take care now",
        "A title [1]",
        "The formula [1] and [2] cost $5 and $6, [3] [4] [5] at the end.",
        "First line[1]second line[2]third (3slanted[4]line3)",
        "[1] and (2it's2) or (3so3).",
        "An image",
        "Of a cat",
        "Round",
        "On its own line",
        "More of it",
        "Hidden (1text1)",
    ]
    assert identity(document) == DIALECTS.encode()
    found = changed(document)
    assert found.lower() == DIALECTS.lower()
    for same in (
        '!!! note "Not yet"\n',
        "::: tip Not",
        "> [!WARNING]\n",
        "{#anchor .class}",
        "$a_1 + b$",
        "[TOC]",
        "</pre>",
    ):
        assert same in found


@pytest.mark.parametrize("words", ["- one", "1. one", "# one", "> one", "===", "+ one", " - one"])
@pytest.mark.parametrize("before", ["", "> ", "- > "])
def test_a_line_behind_a_break_begins_no_block(words: str, before: str) -> None:
    page = f"{before}word  \n{before.replace('-', ' ')}word\n"
    document = opened("markdown", page)
    (segment,) = document.segments
    written = document.merge([("word", *segment.codes, words)]).decode()
    assert structure(written) == structure(page)


@pytest.mark.parametrize("quotes", ['""', "''", "()"])
def test_titles_stay_titles(quotes: str) -> None:
    document = opened("markdown", f"[a](b {quotes[0]}old{quotes[1]})\n\n[c]: d\n\n[c]: d {quotes[0]}old{quotes[1]}\n")
    evil = "a\"b'c(d)e\\f &amp; <g>\nh"
    written = document.merge([None, (evil,), (evil,)]).decode()
    parser = MarkdownIt("commonmark")
    environment: dict[str, Any] = {}
    titles = [one.attrs.get("title") for token in parser.parse(written, environment) for one in token.children or ()]
    assert titles[0] == evil.replace("\n", " ")
    assert environment["duplicate_refs"][0]["title"] == evil.replace("\n", " ")


def test_front_matter_that_is_no_text_stays() -> None:
    page = (
        "---\nTitle: &a One title\nlang: fr\nmenu: {title: Two}\nsummary: >-\n  Three\n  four\ntags: [five]\n---\nSix\n"
    )
    document = opened("markdown", page)
    assert [one.text for one in document.segments] == ["One title", "Three four", "Six"]
    assert [one.place for one in document.segments] == ["line 2, Title", "line 6, summary", "line 10"]
    assert " ".join(changed(document).split()) == " ".join(
        page.replace("One title", "ONE TITLE")
        .replace("Three", "THREE")
        .replace("four", "FOUR")
        .replace("Six", "SIX")
        .split()
    )
    for odd in ("---\ntitle: [x\n---\nSix\n", "+++\ntitle = 'x'\n+++\nSix\n", "---\n---\nSix\n"):
        assert [one.text for one in opened("markdown", odd).segments] == ["Six"]


def test_what_a_footnote_begins_with_stays() -> None:
    page = "A dog.[^1]\n\n[^1]: The note.\n[^b]:   An *other*\n  line\n> [^c]: Quoted words\n> [^d]: and again\n"
    document = opened("markdown", page)
    assert [one.text for one in document.segments] == [
        "A dog.",
        "The note.",
        "An other\nline",
        "Quoted words",
        "and again",
    ]
    assert identity(document) == page.encode()
    assert changed(document) == page.upper().replace("OTHER*\n  LINE", "OTHER* LINE").replace("B]", "b]").replace(
        "C]", "c]"
    ).replace("D]", "d]")


def structure(text: str) -> list[Any]:
    """Return the kinds and attributes of all tokens, as markdown-it sees them, without text."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(text.partition("\n---\n")[2] or text):
        inline = []
        for one in token.children or ():
            attributes = {key: value for key, value in one.attrs.items() if key not in ("title", "alt")}
            inline.append((one.type, attributes, one.content * (one.type in ("code_inline", "html_inline"))))
        found.append((token.type, token.tag, [one for one in inline if one[0] not in ("text", "softbreak")]))
    return found


def test_the_structure_stays_whatever_the_words_become() -> None:
    document = opened("markdown", PAGE)
    for words in ("# *a* [b](c) `d` <i>e</i>", "1. x_ _y", "+ a | b ** c", "=== ", "&amp; \\ ![x](y)"):

        def among(text: str, words: str = words) -> str:
            return re.sub(r"\w.*\w|\w", lambda found: f"w {words} w", text, flags=re.DOTALL)

        assert structure(changed(document, among)) == structure(changed(document, lambda text: text))
        start = changed(opened("markdown", "word\n"), lambda text, words=words: words)
        assert structure(start) == structure("word")


WORDS = ["**", "``", "](a)", "![", "<b>", "</b>", "<!--", "&amp;", "~~"]
BLOCKS = ["# ", "> ", "- ", "1. ", "    ", "```\n", "---\n", "| a | b |\n|--|--|\n", "[r]: x\n", "\n\n", "\r\n"]
SCRAPS = st.sampled_from([*"*_`[]|\\\n\u00a0", *WORDS, *BLOCKS, "word ", "два слова "])


@given(st.lists(SCRAPS, max_size=30).map("".join))
def test_any_page_comes_back_byte_for_byte(page: str) -> None:
    assert identity(opened("markdown", page)) == page.encode()


@pytest.mark.parametrize("scrap", ["[", "*a ", "`" * 3 + " ", "![", "](", "<a ", "<!--", "\\", "_ _"])
def test_the_time_is_linear_on_adversarial_text(scrap: str) -> None:
    page = f"word {scrap * 1_500}"
    assert identity(opened("markdown", page)) == page.encode()
