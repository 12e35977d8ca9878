"""A translated document says so: where it stated the source language, it states the target language. No other place."""

from __future__ import annotations

import re

import pytest
from tests.unit.documents.reading import changed, identity, opened, shown
from tests.unit.documents.zipped.archives import OFFICE, W, docx, epub, members_of, odf, pptx, zipped
from tests.unit.documents.zipped.samples import boxed
from tests.unit.documents.zipped.samples_word import paragraph, run

from pellucid.documents.languages import located
from pellucid.documents.limits import Reading
from pellucid.documents.naming import format_named, read_document

FR_EN = {"source_language": "fr", "target_language": "en"}
FR_AR = {"source_language": "fr", "target_language": "ar"}
PAGE = """<html lang="fr-CA" xml:lang=fr><head><title lang=fr>Un</title></head><body class=a>
<p>Deux <a href=x hreflang="fr" lang='FR'>trois</a> <i lang="de">Angst</i> et <span lang="">quatre</span></p>
<blockquote lang="en"><p>Not <b>French</b></p></blockquote><p lang="es" translate=no>No</p></body></html>"""


def rewritten(kind: str, data: bytes, languages: dict[str, str]) -> bytes:
    document = read_document(data, format_named(kind), Reading("a file", **languages))
    assert document.merge([one.parts for one in document.segments]) == data
    assert document.merge([None for _ in document.segments]) == data
    return document.merge(
        [tuple(part.upper() if isinstance(part, str) else part for part in one.parts) for one in document.segments]
    )


def test_a_page_says_its_new_language_and_passages_in_others_stay() -> None:
    document = opened("html", PAGE, **FR_EN)
    assert shown(document) == ["Un", "Deux (1trois1) [2] et (3quatre3)"]
    assert document.notes == ("3 foreign passages left as they are",)
    assert identity(document) == PAGE.encode()
    wanted = PAGE.replace('"fr-CA"', '"en"').replace("lang=fr", "lang=en").replace("lang='FR'", "lang='en'")
    for word in ("Un", "Deux", "trois", " et ", "quatre"):
        wanted = wanted.replace(f"{word}", word.upper())
    assert changed(document) == wanted


def test_a_page_without_a_language_and_one_in_another_are_translated_whole() -> None:
    for root in ("", " lang=de"):
        document = opened("html", f"<html{root}><p>Un <i lang=de>deux</i></p></html>", **FR_EN)
        assert (shown(document), document.notes) == (["Un (1deux1)"], ())
        assert f"<html{root}>" in changed(document)
    assert "lang=fr" in changed(opened("html", "<html lang=fr>Un</html>", source_language="fr"))


@pytest.mark.parametrize(
    ("page", "languages", "wanted"),
    [
        ('<html lang="fr"><p dir=ltr>un', FR_AR, '<html dir="rtl" lang="ar"><p dir=ltr>UN'),
        ('<html lang="fr" dir="ltr"><p lang=fr dir=ltr>un', FR_AR, '<html lang="ar" dir="rtl"><p lang=ar dir=rtl>UN'),
        (
            '<html lang="he" dir="rtl">un',
            {"source_language": "he", "target_language": "en"},
            '<html lang="en" dir="ltr">UN',
        ),
    ],
)
def test_the_direction_of_writing_goes_with_the_language(page: str, languages: dict[str, str], wanted: str) -> None:
    assert changed(opened("html", page, **languages)) == wanted


def test_a_book_says_it_on_every_page_and_in_its_list() -> None:
    members = members_of(epub("<p>Un</p><p lang='en'>Not this</p>", "<p xml:lang='fr'>Deux</p>", "<p>12</p>"))
    package = members["My book/package.opf"].replace(b"<dc:language>en<", b"<dc:language> fr-FR <")
    data = zipped({**members, "My book/package.opf": package}, stored=("mimetype",))
    written = members_of(rewritten("epub", data, FR_EN))
    assert written["My book/package.opf"] == package.replace(b"fr-FR", b"en")
    assert b"<p>UN</p><p lang='en'>Not this</p>" in written["My book/text/page 1.xhtml"]
    assert b"<p xml:lang='en'>DEUX</p>" in written["My book/text/page 2.xhtml"]
    same = members_of(rewritten("epub", data, {"source_language": "de", "target_language": "en"}))
    assert same["My book/package.opf"] == package


STYLES = (
    f'<w:styles xmlns:w="{W}"><w:docDefaults><w:rPrDefault><w:rPr><w:lang w:val="fr-FR" w:eastAsia="en-US" '
    'w:bidi="ar-SA"/></w:rPr></w:rPrDefault></w:docDefaults></w:styles>'
)


def word(*more: str) -> bytes:
    look = '<w:rPr><w:lang w:val="fr-FR"/></w:rPr>'
    data = docx(paragraph(run("Un", look), run(" deux", '<w:rPr><w:lang w:val="de-DE"/></w:rPr>')))
    members = members_of(data)
    kinds = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="{OFFICE}wordprocessingml.{name}+xml"/>' for name in more
    )
    listed = members["[Content_Types].xml"].replace(b"</Types>", f"{kinds}</Types>".encode())
    return zipped(members | {"[Content_Types].xml": listed} | {f"word/{name}.xml": STYLES for name in more})


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("en", 'w:val="en-US" w:eastAsia="en-US" w:bidi="ar-SA"'),
        ("ja", 'w:val="fr-FR" w:eastAsia="ja-JP" w:bidi="ar-SA"'),
        ("he", 'w:val="fr-FR" w:eastAsia="en-US" w:bidi="he-IL"'),
    ],
)
def test_word_checks_the_spelling_of_the_new_language(target: str, wanted: str) -> None:
    languages = {"source_language": "fr", "target_language": target}
    written = members_of(rewritten("docx", word("styles"), languages))
    assert f"<w:lang {wanted}/>" in written["word/styles.xml"].decode()
    if target == "en":
        assert '<w:lang w:val="en-US"/>' in written["word/document.xml"].decode()
    assert members_of(rewritten("docx", word("styles"), {}))["word/styles.xml"] == STYLES.encode()


def test_styles_that_are_damaged_do_not_stop_a_translation() -> None:
    members = members_of(word("styles")) | {"word/styles.xml": b"<w:styles"}
    written = members_of(rewritten("docx", zipped(members), FR_EN))
    assert written["word/styles.xml"] == b"<w:styles"
    assert b"UN DEUX" in written["word/document.xml"]


def test_powerpoint_and_open_documents() -> None:
    slide = boxed(
        '<a:r><a:rPr lang="fr-FR"/><a:t>Un</a:t></a:r>', '<a:r><a:rPr lang="de-DE" b="1"/><a:t> zwei</a:t></a:r>'
    )
    written = members_of(rewritten("pptx", pptx(slide), FR_EN))["ppt/slides/slide1.xml"].decode()
    assert re.findall(r'lang="([\w-]+)"', written) == ["en-US", "de-DE", "en-US"]
    style = (
        '<style:default-style><style:text-properties fo:language="fr" fo:country="FR" style:language-asian="zh" '
        'style:country-asian="CN"/></style:default-style>'
    )
    written = members_of(rewritten("odt", odf("text", "<text:p>Un</text:p>", styles=style), FR_EN))["content.xml"]
    assert b'fo:language="en" fo:country="US" style:language-asian="zh"' in written
    assert "A HEADER" in members_of(rewritten("odt", odf("text", "<text:p>Un</text:p>"), FR_EN))["styles.xml"].decode()


@pytest.mark.parametrize(
    ("code", "wanted"), [("en", "en-US"), ("pt-BR", "pt-BR"), ("zh-Hant", "zh-TW"), ("ar", "ar-SA"), ("xx", "xx")]
)
def test_office_wants_a_region(code: str, wanted: str) -> None:
    assert located(code) == wanted
