"""What office programs write that a translator would complain about if it cut sentences, or went without a word."""

from __future__ import annotations

import pytest
from lxml import etree
from tests.unit.documents.zipped.archives import docx, members_of, odf, pptx, xlsx
from tests.unit.documents.zipped.samples import a_run, boxed, cells, p
from tests.unit.documents.zipped.samples_word import BOLD, field, paragraph, run
from tests.unit.documents.zipped.test_round_trip import shouted, upper
from tests.unit.documents.zipped.test_segments import shown

from pellucid.documents.naming import format_named, read_document
from pellucid.documents.segments import Document


def word(*inside: str) -> Document:
    return read_document(docx(paragraph(*inside)), format_named("docx"))


def looked(text: str, look: str) -> str:
    return run(text, f"<w:rPr>{look}</w:rPr>")


@pytest.mark.parametrize(
    "look",
    [
        '<w:spacing w:val="-3"/>',
        '<w:w w:val="98"/>',
        '<w:kern w:val="28"/>',
        '<w:szCs w:val="20"/><w:bCs/>',
        '<w:lang w:val="fr-FR"/><w:noProof/>',
    ],
)
def test_what_is_hardly_seen_does_not_cut_a_sentence(look: str) -> None:
    assert [shown(one.parts) for one in word(run("A ho"), looked("use he", look), run("re.")).segments] == [
        "A house here."
    ]


@pytest.mark.parametrize("look", ['<w:spacing w:val="60"/>', '<w:w w:val="150"/>', "<w:szCs w:val='20'/><w:rtl/>"])
def test_what_is_seen_is_a_code(look: str) -> None:
    (segment,) = word(run("A "), looked("house", look), run(" here.")).segments
    assert shown(segment.parts) == "A <1>house</1> here."


def test_revisions_cut_no_word() -> None:
    runs = [
        f'<w:r w:rsidR="00{at:02}"><w:t xml:space="preserve">{text}</w:t></w:r>' for at, text in enumerate("A wo rd")
    ]
    assert [one.text for one in word(*runs).segments] == ["A wo rd"]


def test_text_that_stands_only_in_alternatives_is_reported() -> None:
    inside = f"<mc:AlternateContent><mc:Choice Requires='x'>{run('Words')}</mc:Choice></mc:AlternateContent>"
    for place in (inside, f"<w:r>{inside}</w:r>"):
        document = word(run("Before "), place, run(" after"))
        assert [shown(one.parts) for one in document.segments] == ["Before <1/> after"]
        assert document.notes == ("1 alternative text left as it is",)


def test_what_a_form_and_a_caption_have_between_words_is_a_code() -> None:
    document = word(run("Figure "), field("SEQ Figure", run("2")), run(": a map"))
    assert [shown(one.parts) for one in document.segments] == ["Figure <1/>: a map"]


def test_texts_of_drawings_have_no_attributes() -> None:
    document = read_document(pptx(boxed(a_run("A "), a_run("b ", '<a:rPr b="1"/>'), a_run("c"))), format_named("pptx"))
    written = document.merge([upper(one.parts) for one in document.segments])
    slide = members_of(written)["ppt/slides/slide1.xml"]
    assert b"<a:t>A </a:t>" in slide
    assert b"xml:space" not in slide


def test_the_page_of_an_entry_of_contents_is_no_text() -> None:
    link = '<text:a xlink:href="#x">The first part<text:tab/>3</text:a>'
    document = read_document(odf("text", p(link) + p(link.replace("3", "three"))), format_named("odt"))
    assert [shown(one.parts) for one in document.segments[:2]] == ["The first part", "The first part<1/>three"]
    written = members_of(document.merge([("Un",), None, None]))["content.xml"].decode()
    assert '<text:a xlink:href="#x">Un<text:tab/>3</text:a>' in written


def test_the_words_of_fields_of_open_documents_are_reported() -> None:
    field = '<text:bookmark-ref text:ref-name="x">the second part</text:bookmark-ref>'
    document = read_document(odf("text", p(f"See {field} now")), format_named("odt"))
    assert [shown(one.parts) for one in document.segments[:1]] == ["See <1/> now"]
    assert document.notes == ("1 field result left as it is",)


def test_messages_that_excel_shows_while_typing_are_reported() -> None:
    more = "<dataValidations><dataValidation prompt='Choose' sqref='A1'/><dataValidation sqref='B1'/></dataValidations>"
    document = read_document(xlsx("<si><t>A cell</t></si>", cells(0), after=more), format_named("xlsx"))
    assert "1 input message left as it is" in document.notes


def test_a_code_that_is_a_break_needs_no_space_beside_it() -> None:
    link = f'<w:hyperlink w:anchor="x">{run("One ")}<w:r><w:br/></w:r>{run("two", BOLD)}</w:hyperlink>'
    (segment,) = word(run("See "), link).segments
    assert [one.is_space for one in segment.codes if one.kind == "standalone"] == [True]


def test_prefixes_that_other_libraries_register_are_not_written() -> None:
    # lxml gives an element that is taken out of its document a registered prefix, if there is one, or else ns0.
    uri = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    etree.register_namespace("s", uri)  # as openpyxl does
    rich = "<si><r><t>a</t></r><r><rPr><b/></rPr><x/><t>b</t></r></si>"
    written = shouted(read_document(xlsx(rich, ""), format_named("xlsx")))
    assert b"s:" not in members_of(written)["xl/sharedStrings.xml"].replace(uri.encode(), b"")
