"""HTML: nothing but the text changes, byte for byte, and new text never becomes markup."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.documents.reading import changed, identity, opened, shown

from pellucid.documents.markup.wholeness import without_end
from pellucid.errors import DocumentError

PAGE = """<!DOCTYPE html><html lang=en><head><title>A &amp; B</title><meta name=description content="Page about x">
<script>if (a<b) "<p>hi</p>"</script></head><body class=x><p>Hello <b>big <i>bad</i></b> world, see
<a href="x?a=1&b=2" title='the "best"'>here</a><br>and <code>foo()</code> there&nbsp;too.<!-- c -->
<p translate=no>No <b>no</b><p>Yes <img alt="a dog" src=a> <span></span> q</p>
<ul><li>one<li>two <em>three</em></ul><pre>pre <b>x</b></pre>
&lt;script&gt; a < b <b>bold</b> &eacute;t&eacute; مرحبا</body></html>"""


def test_segments_are_what_stands_between_borders() -> None:
    assert shown(opened("html", PAGE)) == [
        "A & B",
        "Page about x",
        "Hello (1big (2bad2)1) world, see\n(3here3)",
        'the "best"',
        "and [1] there\xa0too.",
        "Yes [1] [2] q",
        "a dog",
        "one",
        "two (1three1)",
        "\n<script> a < b (1bold1) été مرحبا",
    ]


def test_only_text_changes() -> None:
    document = opened("html", PAGE)
    assert identity(document) == PAGE.encode()
    found = changed(document)
    for same in ("<script>if (a<b)", "<code>foo()</code>", "<!-- c -->", "No <b>no</b>", "<pre>pre <b>x</b></pre>"):
        assert same in found
    assert """<a href="x?a=1&b=2" title='THE "BEST"'>HERE</a><br>AND""" in found
    assert "THERE&nbsp;TOO." in found
    assert '<img alt="A DOG" src=a>' in found
    assert "&lt;SCRIPT&gt; A &lt; B <b>BOLD</b>" in found


def test_new_text_never_becomes_markup() -> None:
    evil = "</p><script>x</script> \"onload='y' & &amp;"
    found = changed(opened("html", "<p title='t'>a <b>c</b></p><img alt=d>"), lambda text: evil)
    tags = TagsOf.of(found)
    assert tags == Counter({("p", (("title", evil),)): 1, ("b", ()): 1, ("img", (("alt", evil),)): 1})


def test_halves_of_pairs_that_stand_alone_keep_their_order() -> None:
    document = opened("html", "<p>a <b>b <i>c</b> d</i> e</p>")
    assert shown(document) == ["a (1b [2]c1) d[3] e"]
    assert document.segments[0].keeps_order
    # A pair that a border cuts has a half in each segment, at its end.
    assert shown(opened("html", "<b>one<br>two</b>")) == ["one", "two"]


@pytest.mark.parametrize("tag", ["code", "script", "style", "svg", "pre", "textarea", "iframe"])
def test_what_is_no_text_is_left_alone(tag: str) -> None:
    assert shown(opened("html", f"<p>a</p><{tag}>b <i title='x'>c</i></{tag}><p>d</p>")) == ["a", "d"]


def test_an_element_not_for_translation_ends_where_html_ends_it() -> None:
    page = "<ul translate=no><li>a</ul><p>b<p translate=no>c<p>d<p class='x notranslate'>e</p>"
    page += "<div><i translate=no>f</div>g"
    assert shown(opened("html", page)) == ["b", "d", "g"]


def test_the_stated_encoding_is_kept() -> None:
    page = '<meta charset="iso-8859-1"><p>caf\xe9</p>'.encode("latin-1")
    document = opened("html", page)
    assert identity(document) == page
    assert document.merge([("Ж é",)]) == '<meta charset="iso-8859-1"><p>&#1046; \xe9</p>'.encode("latin-1")


def test_references_are_those_of_html() -> None:
    page = "<p title='&copy=1 &copy &#233'>caf&eacute &copy2 &#233 &hearts x</p>"
    document = opened("html", page)
    assert [one.text for one in document.segments] == ["&copy=1 © é", "café ©2 é &hearts x"]
    assert identity(document) == page.encode()
    xml = opened("html", f'<?xml version="1.0"?>{page.replace("<p", "<p>&b; &eacute; &my-own; x</p><p")}')
    assert shown(xml)[0] == " é [1] x"
    assert "&b; É &my-own; X" in changed(xml)


def test_xhtml_has_cdata_and_tags_that_end_themselves() -> None:
    page = '<?xml version="1.0"?><html><title/><script/><p>a <![CDATA[b < c]]> d&#160;e</p></html>'
    document = opened("html", page)
    assert shown(document) == ["a b < c d\xa0e"]
    assert identity(document) == page.encode()
    with pytest.raises(DocumentError, match="entities"):
        opened("html", '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "b">]><p>&a;</p>')


class TagsOf(HTMLParser):
    """Counts tags and their attributes as the standard library reads them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: Counter[tuple[str, tuple[tuple[str, str | None], ...]]] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag, tuple(attrs)] += 1

    @classmethod
    def of(cls, text: str) -> Counter[tuple[str, tuple[tuple[str, str | None], ...]]]:
        parser = cls()
        parser.feed(text)
        parser.close()
        return parser.found


SCRAPS = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<i class='a'>",
        "</i>",
        "<br/>",
        "<!-- x -->",
        "<!doctype html>",
        "<code>",
        "</code>",
        "<script>",
        "</script>",
        "<svg/>\n    ",
        "<li translate=no>",
        "</li>",
        "<img alt='a b'>",
        "<a href=b title=c>",
        "</a>",
        "&amp;",
        "&lt;b&gt;",
        "&nbsp;",
        "&#x41;",
        "&unknown;",
        "& ",
        "<",
        "< 3",
        "\n    word ",
        "mot. Et ",
        "עברית ",
        "\r\n",
        "<![CDATA[x]]>",
        "<a title='no end",
        "</",
        "<?php x ?>",
        "<title>",
        "</title>\n    ",
        '<input value="go" type=submit>',
        "\u2028",
    ]
)


@given(st.lists(SCRAPS, max_size=25).map("".join))
def test_any_page_comes_back_byte_for_byte(page: str) -> None:
    for text in (page, f'<?xml version="1.0"?>{page}'):
        if without_end(text, is_xml=text != page):
            with pytest.raises(DocumentError, match="cut off"):
                opened("html", text)
        else:
            assert identity(opened("html", text)) == text.encode()


def test_tokens_take_linear_time_on_adversarial_text() -> None:
    # Counted, not timed: each would not end if the time were quadratic.
    for text in ("<" * 300_000, "<a " * 100_000, "<b>" * 100_000, "</i>" * 70_000, "<code>" * 60_000, "<!--" * 70_000):
        page = f"<p>word {text}"
        page += ">-->" if without_end(page, is_xml=False) else ""
        assert identity(opened("html", page)) == page.encode()


@pytest.mark.slow
def test_ten_megabytes_come_back() -> None:
    page = PAGE * (10_000_000 // len(PAGE.encode()))
    assert identity(opened("html", page)) == page.encode()
