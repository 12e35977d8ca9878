"""Comments and processing instructions inside a text: the text around them is one, and they survive in every format."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.documents.reading import changed, identity, opened
from tests.unit.documents.zipped.archives import OFFICE, docx, epub, members_of, odf, pptx, xlsx
from tests.unit.documents.zipped.samples import a_run, boxed, cells
from tests.unit.documents.zipped.samples_word import paragraph

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.documents.naming import format_named, read_document
from pellucid.documents.segments import Code, CodeKind, Segment
from pellucid.documents.transfer.plain import plain_of, tagged
from pellucid.text.formats.tmx import read_tmx
from pellucid.text.formats.units import Request, Unit
from pellucid.text.formats.xliff import read_xliff

COMMENT, INSTRUCTION = "<!-- one -->", "<?two three?>"
NOTED = f"An ani{COMMENT}mal wa{INSTRUCTION}lks."
PLAIN = "An animal walks."
XLIFF = '<xliff version="1.2"><file source-language="en" target-language="fr"><body><trans-unit id="1"><source>{}' \
    "</source></trans-unit></body></file></xliff>"  # fmt: skip
XLIFF_2 = '<xliff version="2.0" srcLang="en" trgLang="fr"><file id="f"><unit id="1"><segment><source>{}</source>' \
    "</segment></unit></file></xliff>"  # fmt: skip
S_COMMENT = (
    '<comments xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><commentList><comment ref="B2">'
    "<text>{}</text></comment></commentList></comments>"
)
P_COMMENT = (
    '<p:cmLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"><p:cm><p:text>{}</p:text></p:cm>'
    "</p:cmLst>"
)

TEXTS: dict[str, Callable[[str], str | bytes]] = {
    "html": lambda text: f"<p>{text}</p>",
    "html, XML": lambda text: f'<?xml version="1.0"?><html><body><p>{text}</p></body></html>',
    "markdown": lambda text: f"{text}\n".replace(INSTRUCTION, COMMENT),
    "xliff": XLIFF.format,
    "xliff, version 2": XLIFF_2.format,
    "docx": lambda text: docx(paragraph(f"<w:r><w:t>{text}</w:t></w:r>")),
    "docx, run": lambda text: docx(paragraph(f"<w:r><w:t>{_between(text, '</w:t>', '<w:t>')}</w:t></w:r>")),
    "docx, paragraph": lambda text: docx(
        paragraph(f"<w:r><w:t>{_between(text, '</w:t></w:r>', '<w:r><w:t>')}</w:t></w:r>")
    ),
    "docx, link": lambda text: docx(
        paragraph(f'<w:hyperlink w:anchor="x"><w:r><w:t>{text}</w:t></w:r></w:hyperlink>')
    ),
    "pptx": lambda text: pptx(boxed(a_run(text))),
    "pptx, run": lambda text: pptx(boxed(a_run(_between(text, "</a:t>", "<a:t>")))),
    "pptx, comment": lambda text: pptx(
        boxed(a_run("12")), more={"ppt/c.xml": (f"{OFFICE}presentationml.comments+xml", P_COMMENT.format(text))}
    ),
    "xlsx": lambda text: xlsx(f"<si><t>{text}</t></si>", cells(0)),
    "xlsx, runs": lambda text: xlsx(f"<si><r><rPr><b/></rPr><t>{text}</t></r></si>", cells(0)),
    "xlsx, item": lambda text: xlsx(f"<si><r><t>{_between(text, '</t></r>', '<r><t>')}</t></r></si>", cells(0)),
    "xlsx, inline": lambda text: xlsx("", f"<row r='1'><c r='A1' t='inlineStr'><is><t>{text}</t></is></c></row>"),
    "xlsx, comment": lambda text: xlsx(
        "", "", more={"xl/c.xml": (f"{OFFICE}spreadsheetml.comments+xml", S_COMMENT.format(f"<t>{text}</t>"))}
    ),
    "odt": lambda text: odf("text", f"<text:p>{text}</text:p>"),
    "odt, span": lambda text: odf("text", f'<text:p><text:span text:style-name="T">{text}</text:span></text:p>'),
    "odt, picture": lambda text: odf("text", f"<text:p><draw:a><svg:title>{text}</svg:title></draw:a></text:p>"),
    "ods": lambda text: odf(
        "spreadsheet",
        '<table:table><table:table-row><table:table-cell office:value-type="string"><text:p>'
        f"{text}</text:p></table:table-cell></table:table-row></table:table>",
    ),
    "odp": lambda text: odf("presentation", f"<draw:page><draw:frame><text:p>{text}</text:p></draw:frame></draw:page>"),
    "epub": lambda text: epub(f"<p>{text}</p>"),
    "epub, contents": lambda text: epub("<p>12</p>", contents=text),
}  # fmt: skip


def _between(text: str, before: str, after: str) -> str:
    return re.sub("<[!?].*?>", lambda found: f"{before}{found[0]}{after}", text)


def noted(name: str) -> tuple[str, bytes]:
    made = TEXTS[name](NOTED)
    return name.partition(",")[0], made if isinstance(made, bytes) else made.encode()


def the_segment(name: str) -> Segment:
    kind, data = noted(name)
    found = [one for one in read_document(data, format_named(kind)).segments if one.text == PLAIN]
    assert found, [one.text for one in read_document(data, format_named(kind)).segments]
    return found[0]


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_on_both_sides_of_a_comment_is_one(name: str) -> None:
    segment = the_segment(name)
    assert len(segment.codes) == 2
    assert plain_of(segment).text == PLAIN
    # A model that reads tags sees them between words, never inside one.
    assert tagged(plain_of(segment)) == "An animal<x1/> walks<x2/>."


@pytest.mark.parametrize("name", TEXTS)
def test_comments_survive_a_translation(name: str) -> None:
    kind, data = noted(name)
    document = read_document(data, format_named(kind))
    assert kind == "xliff" or identity(document) == data
    assert document.merge([None for _ in document.segments]) == data
    written = document.merge(
        [
            tuple(part.swapcase() if isinstance(part, str) else part for part in segment.parts)
            for segment in document.segments
        ]
    )
    every = b"".join(members_of(written).values()) if data.startswith(b"PK") else written
    copies = 1 + (kind == "xliff") + name.startswith("epub, contents")  # in the source, too; in both tables
    marks = [COMMENT, COMMENT if kind == "markdown" else INSTRUCTION]
    assert all(every.count(mark.encode()) == copies * marks.count(mark) for mark in marks)
    again = read_document(written, format_named(kind))
    if kind != "xliff":  # a unit with a target is translated
        assert PLAIN.swapcase() in [one.text for one in again.segments]


def test_other_elements_in_a_text_survive_too() -> None:
    body = paragraph("<w:r><w:rPr><w:b/></w:rPr><w:t>An <w:x>odd</w:x> animal</w:t></w:r>")
    document = read_document(docx(body), format_named("docx"))
    (segment,) = document.segments
    written = members_of(document.merge([("Un ", *segment.codes, " animal")]))["word/document.xml"].decode()
    assert "<w:t><w:x>odd</w:x></w:t>" in written


@pytest.mark.parametrize(
    ("format", "text", "plain"),
    [
        ("html", "<p>An ani<wbr>mal <i>wa</b>lks</p>", "An animal walks"),
        ("html", "<p>An ani<a id=p7></a>mal<img src=x>here</p>", "An animal here"),
        ("vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nAn ani<00:01.500>mal\n", "An animal"),
        ("srt", "1\n00:00:01,000 --> 00:00:02,000\nAn {\\i1}ani{\\i0}mal\n", "An animal"),
        ("xliff", XLIFF.format('An ani<it id="1" pos="open">b</it>mal<x id="2"/>here'), "An animal here"),
    ],
)
def test_what_is_not_seen_does_not_cut_a_word(format: str, text: str, plain: str) -> None:
    (segment,) = opened(format, text).segments
    assert plain_of(segment).text == plain
    assert identity(opened(format, text)).decode() in (text, changed(opened(format, text), str))


@pytest.mark.parametrize(
    ("inside", "wanted"),
    [
        ('An ani<w:bookmarkStart w:id="0" w:name="_GoBack"/><w:bookmarkEnd w:id="0"/>mal', "An animal<x1/> x"),
        ('An ani<w:del w:id="1"><w:r><w:delText>x</w:delText></w:r></w:del>mal', "An animal<x1/> x"),
        ('An ani<w:commentRangeStart w:id="1"/>mal', "An animal<x1/> x"),
        ('An ani<w:r><w:commentReference w:id="1"/></w:r>mal', "An animal<x1/> x"),
        ('One<w:r><w:footnoteReference w:id="1"/></w:r>', "One<x1/> x"),
    ],
)
def test_marks_of_word_do_not_cut_a_word(inside: str, wanted: str) -> None:
    body = re.sub(r"(?<![^>])([A-Z][a-z ]+|mal)(?![^<])", r"<w:r><w:t>\1</w:t></w:r>", inside)
    (segment,) = read_document(docx(paragraph(f"{body}<w:r><w:t> x</w:t></w:r>")), format_named("docx")).segments
    assert tagged(plain_of(segment)) == wanted


def test_what_is_not_seen_stays_in_its_place_where_words_have_no_spaces() -> None:
    mark = Code(CodeKind.STANDALONE, 1, is_visible=False)
    assert plain_of(Segment(("你好", mark, "世界"))).inner == ("你好", mark, "世界")
    assert plain_of(Segment(("你好", mark, "世界"))).text == "你好世界"


@pytest.mark.parametrize("kind", ["tmx", "xliff"])
def test_training_data_are_read_across_comments(kind: str, tmp_path: Path) -> None:
    target = f"Un ani{COMMENT}mal mar{INSTRUCTION}che."
    memory = (
        f'<tmx version="1.4"><body><tu><tuv xml:lang="en"><seg>{NOTED}</seg></tuv>'
        f'<tuv xml:lang="fr"><seg>{target}</seg></tuv></tu></body></tmx>'
    )
    path = tmp_path / f"a.{kind}"
    unit = XLIFF.format(NOTED).replace("</source>", f"</source><target>{target}</target>")
    path.write_text(memory if kind == "tmx" else unit)
    corpus = CorpusConfig(files=(str(path),))
    (found,) = (read_tmx if kind == "tmx" else read_xliff)(path, Request(("en", "fr"), corpus, InvalidUtf8.STRICT))
    assert isinstance(found, Unit)
    assert (found.source, found.target) == (PLAIN, "Un animal marche.")
