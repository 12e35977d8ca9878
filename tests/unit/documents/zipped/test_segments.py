"""What becomes a segment of a zipped document: whole sentences, few codes, and nothing that is not for translation."""

from __future__ import annotations

import random

import pytest
from tests.unit.documents.zipped.archives import docx, members_of, odf, zipped
from tests.unit.documents.zipped.samples import SAMPLES
from tests.unit.documents.zipped.samples_word import BOLD, paragraph, run
from tests.unit.documents.zipped.test_round_trip import opened, shouted

from pellucid.documents.naming import format_named, read_document
from pellucid.documents.segments import Code, CodeKind, Parts

MARKS = {CodeKind.OPENING: "<{}>", CodeKind.CLOSING: "</{}>", CodeKind.STANDALONE: "<{}/>"}


def shown(parts: Parts) -> str:
    return "".join(MARKS[one.kind].format(one.number) if isinstance(one, Code) else one for one in parts)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("docx, split run", ["A sentence in pieces."]),
        ("docx, proofing", ["A wrod here."]),
        ("docx, bold in pieces", ["A <1>bold</1> word."]),
        ("docx, all bold", ["All of it."]),
        ("docx, link", ["See <1>the page</1> for more."]),
        ("docx, link with a bold word", ["See <1>the <2>page</2></1>."]),
        ("docx, field link", ["See <1>the page</1> now."]),
        ("docx, field in a field", ["If <1/> then."]),
        ("docx, contents", ["The first part", "The second part"]),
        ("docx, tab and break", ["Name:", "the value", "Second line"]),
        ("docx, break in a link", ["One<1/>two"]),
        ("docx, bookmark", ["The <1>marked</1> word."]),
        ("docx, bookmark around", ["A title"]),
        ("docx, insertion", ["We <1>really </1>mean it."]),
        ("docx, deletion", ["We <1/>mean it."]),
        ("docx, moved text", ["Then <1>old place</1>"]),
        ("docx, formula", ["Where <1/> holds."]),
        ("docx, text box", ["Beside <1/> it.", "In the box.", "In the box."]),
        ("docx, table", ["One cell", "Another", "Inner cell"]),
        ("docx, empty", []),
        ("docx, no letters", []),
        ("docx, picture", ["A <1/> picture.", "A cat"]),
        ("docx, notes and comments", ["A sentence<1/> with a note", " The note.", "The end note.", "Really?"]),
        ("docx, commented words", ["The <1>words</1><2/> here", "Really?"]),
        ("pptx, split run", ["A title"]),
        ("pptx, link", ["See <1>this page</1> now"]),
        ("pptx, break", ["First line", "second line"]),
        ("pptx, layout", ["A title", "The name of the firm"]),
        ("pptx, diagram and chart", ["A title", "A step"]),
        ("pptx, pictures", ["A cat"]),
        ("xlsx, rich in pieces", ["Bold"]),
        ("xlsx, three looks", ["a <1>b</1><2> c</2>"]),
        ("xlsx, formulas", ["A cell"]),
        ("xlsx, table", ["A village"]),
        ("xlsx, escapes", ["First<1/>\nSecond"]),
        ("xlsx, thread", ["A cell", "Is it?"]),
        ("odt, revisions", ["A sentence in pieces."]),
        ("odt, neighbours", ["A <1>bold</1> word."]),
        ("odt, note", ["A sentence<1/> with a note.", "The note."]),
        ("odt, break in a span", ["First line", "<1>second line</1> more"]),
        ("odt, table", ["A cell"]),
        ("odt, tracked", ["We <1/>mean it."]),
        ("odt, spaces", ["A   wide gap"]),
        ("ods, cells", ["A cell", "A value", "A <1>bold</1> cell"]),
        ("ods, remark", ["Really?"]),
        ("odp, slide", ["A title", "Say this slowly"]),
    ],
)
def test_segments(name: str, wanted: list[str]) -> None:
    every = [shown(segment.parts) for segment in opened(name).segments]
    assert every == [*wanted, *(["A header of the page"] if name.startswith("od") else [])]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("docx, field with words", {"1 field result left as it is"}),
        ("docx, deletion", {"1 tracked deletion left as it is"}),
        ("docx, list to choose from", {"1 bound content control left as it is"}),
        ("docx, table", set()),
        ("pptx, diagram and chart", {"1 chart left as it is"}),
        ("xlsx, table", {"1 sheet name left as it is", "2 column names left as they are"}),
        ("xlsx, phonetic", {"1 sheet name left as it is", "1 phonetic guide not kept where the text changes"}),
        ("xlsx, print header", {"1 sheet name left as it is", "1 header and footer text left as it is"}),
        ("xlsx, formulas", {"1 sheet name left as it is", "1 formula result left as it is"}),
        ("odt, field", set()),
        ("odt, embedded", {"1 embedded object left as it is"}),
    ],
)
def test_what_is_left_is_said(name: str, wanted: set[str]) -> None:
    assert set(opened(name).notes) == wanted


@pytest.mark.parametrize(
    ("name", "member", "texts"),
    [
        ("docx, deletion", "word/document.xml", ["never "]),
        ("docx, field link", "word/document.xml", [' HYPERLINK "http://example.org" ']),
        ("docx, formula", "word/document.xml", ["E=mc"]),
        ("docx, list to choose from", "word/document.xml", ["Yes"]),
        ("pptx, layout", "ppt/slideLayouts/slideLayout1.xml", ["Click to edit"]),
        ("xlsx, table", "xl/sharedStrings.xml", ["City", "Number of\npeople"]),
        ("xlsx, formulas", "xl/worksheets/sheet1.xml", ['<f>A1&amp;" more"</f>', "<v>A cell more</v>"]),
        ("odt, table", "content.xml", ["3 pieces"]),
        ("odt, tracked", "content.xml", ["Deleted words."]),
        ("ods, cells", "content.xml", ["12.50 EUR", "A result"]),
        ("epub, code", "My book/text/page 1.xhtml", ["f(x)", "x = 1", "var a = 'b';"]),
    ],
)
def test_what_is_not_for_translation_stays(name: str, member: str, texts: list[str]) -> None:
    written = members_of(shouted(opened(name)))[member].decode()
    assert all(text in written for text in texts)


def test_ranges_that_cross_keep_their_order() -> None:
    assert [one.keeps_order for one in opened("docx, two bookmarks that cross").segments] == [True]
    assert [one.keeps_order for one in opened("docx, bookmark").segments] == [False]


def test_codes_may_come_in_another_order() -> None:
    document = opened("docx, three looks")
    (segment,) = document.segments
    a, end_a, b, end_b, c, end_c = segment.codes
    written = document.merge([(b, "second", end_b, " ", a, "first", end_a, " ", c, "third", end_c)])
    body = members_of(written)["word/document.xml"].decode()
    order = [body.index(text) for text in ("<w:i/>", ">second<", "<w:b/>", ">first<", ">third<")]
    assert order == sorted(order)


def test_a_nested_code_may_stand_alone_and_one_that_stood_alone_be_nested() -> None:
    document = read_document(
        docx(
            paragraph(
                run("a "), f'<w:hyperlink w:anchor="x">{run("link")}</w:hyperlink>', run(" b "), run("bold", BOLD)
            )
        ),
        format_named("docx"),
    )
    (segment,) = document.segments
    link, end_link, bold, end_bold = segment.codes
    written = members_of(document.merge([(bold, "fat ", link, "in", end_link, end_bold)]))["word/document.xml"].decode()
    bold_link = f'<w:hyperlink w:anchor="x"><w:r>{BOLD}<w:t>in</w:t></w:r></w:hyperlink>'
    assert f'<w:r>{BOLD}<w:t xml:space="preserve">fat </w:t></w:r>{bold_link}' in written


def test_characters_that_xml_cannot_hold_do_not_break_the_file() -> None:
    document = opened("docx, one run")
    written = document.merge([("a\x00b\x0bc\ufffe",)])
    assert "a\ufffdb\ufffdc\ufffd" in members_of(written)["word/document.xml"].decode()


def test_white_space_of_open_documents_is_elements() -> None:
    document = read_document(odf("text", "<text:p>One\n   two<text:s text:c='2'/> x</text:p>"), format_named("odt"))
    assert document.segments[0].text == "One two   x"
    written = members_of(document.merge([("  a   b\tc ",), None]))["content.xml"].decode()
    assert '<text:p><text:s text:c="2"/>a <text:s text:c="2"/>b<text:tab/>c </text:p>' in written


def test_encodings_of_members_are_read_and_declarations_stay() -> None:
    members = members_of(SAMPLES["docx, one run"])
    body = members["word/document.xml"].decode()
    utf_16 = body.replace("UTF-8", "UTF-16").encode("utf-16")
    document = read_document(zipped(members | {"word/document.xml": utf_16}), format_named("docx"))
    written = members_of(shouted(document))["word/document.xml"]
    assert b"A PLAIN SENTENCE." in written
    assert written.startswith(b'<?xml version="1.0" encoding="UTF-8"')
    kept = members_of(shouted(opened("docx, one run")))["word/document.xml"]
    assert kept.startswith(body.partition("<w:")[0].encode())


def test_names_of_parts_come_from_the_list_of_contents() -> None:
    members = {
        name.replace("document", "Inhalt"): data.replace(b"word/document.xml", b"WORD/Inhalt.xml")
        for name, data in members_of(SAMPLES["docx, one run"]).items()
    }
    assert read_document(zipped(members), format_named("docx")).segments[0].text == "A plain sentence."


@pytest.mark.slow
def test_ten_megabytes() -> None:
    chance = random.Random("ten megabytes")
    body = "".join(
        paragraph(
            run("Some words. " * 40),
            run("More words. " * 90, BOLD),
            run("".join(f" {chance.random()}" for _ in range(9))),
        )
        for _ in range(6_000)
    )
    data = docx(body)
    assert len(members_of(data)["word/document.xml"]) > 10_000_000
    document = read_document(data, format_named("docx"))
    assert len(document.segments) == 6_000
    assert document.merge([segment.parts for segment in document.segments]) == data
    again = read_document(shouted(document), format_named("docx"))
    assert [one.text for one in again.segments] == [one.text.upper() for one in document.segments]
