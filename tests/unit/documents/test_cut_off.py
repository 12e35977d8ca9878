"""A document that was cut off is refused where its format shows it, and a note says where it may have been."""

from __future__ import annotations

import pytest
from tests.unit.documents.made import PIECES, built
from tests.unit.documents.reading import opened

from pellucid.errors import DocumentError

PAGE = "<!DOCTYPE html><html><body><p>A dog <b>runs</b>.</p><!-- a comment --><p>It rests.</p></body></html>\n"
XHTML = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><p>A dog.</p></body></html>\n'
SRT = "1\n00:00:01,000 --> 00:00:02,000\nA dog.\n\n2\n00:00:03,000 --> 00:00:04,000\nA cat.\n"
UNIT = '<trans-unit id="{0}"><source>A dog {0}</source><target/></trans-unit>'
XLIFF = (
    '<xliff version="1.2"><file source-language="en" target-language="fr"><body>'
    + "".join(UNIT.format(number) for number in range(3))
    + "</body></file></xliff>\n"
)
PO = 'msgid ""\nmsgstr ""\n"Language: fr\\n"\n\nmsgid "A dog"\nmsgstr ""\n\nmsgid "A cat"\nmsgstr ""\n'


@pytest.mark.parametrize(
    ("kind", "text", "after"),
    [
        ("xliff", XLIFF, "<target/>"),
        ("xliff", XLIFF, "A dog 2</so"),
        ("po", PO, 'msgid "A c'),
        ("po", PO, 'msgid "A cat"\n'),
        ("html", PAGE, "A dog <b"),
        ("html", PAGE, "<!-- a com"),
        ("html", XHTML, "</p>"),
        ("html", XHTML, "A do"),
        ("srt", SRT, "\n00:00:03"),
        ("srt", SRT, "\n00:00:03,000 --"),
        ("srt", SRT, "\n00:00:03,000 --> 00:0"),
        ("vtt", f"WEBVTT\n\n{SRT}".replace(",", "."), "\n00:00:03.000 --> 00:0"),
        ("json", '{"a": "A dog", "b": "A cat"}', '"A c'),
        ("yaml", 'a: "A dog"\nb: "A cat"\n', '"A c'),
    ],
)  # fmt: skip
def test_a_document_that_was_cut_off_is_refused(kind: str, text: str, after: str) -> None:
    opened(kind, text)
    with pytest.raises(DocumentError):
        opened(kind, text[: text.index(after) + len(after)])


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx", "odt", "ods", "odp", "epub"])
def test_an_archive_that_was_cut_off_is_refused(kind: str) -> None:
    data = built(kind, [*PIECES[kind]][:2])
    data = data if isinstance(data, bytes) else data.encode()
    for part in (0.3, 0.7, 0.97):
        with pytest.raises(DocumentError):
            opened(kind, data[: int(len(data) * part)])


def test_what_may_have_been_cut_off_is_said() -> None:
    page = opened("html", PAGE[: PAGE.index("</p><!--")])
    assert any("</html>" in note for note in page.notes)
    assert not opened("html", PAGE).notes
    assert not opened("html", "<p>A dog.").notes
    subtitles = opened("srt", SRT[: SRT.index("2\n00:00:03") + 2])
    assert any("last cue" in note for note in subtitles.notes)
    assert not opened("srt", SRT).notes


@pytest.mark.parametrize("text", ["3\n00:00:05,000 --> 00:00:06,000\n", "3\n00:00:05,000 --> 00:00:06,000\n42\n"])
def test_a_cue_without_words_is_whole(text: str) -> None:
    assert not opened("srt", f"{SRT}\n{text}").notes
