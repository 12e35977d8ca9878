"""A file whose content is plainly of another format than its name says is refused with the name of its format."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from tests.unit.text.formats.memories import tmx, tu, xliff_1

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.documents.limits import Reading
from pellucid.documents.naming import format_of, read_document
from pellucid.errors import DataError, DocumentError
from pellucid.text.corpus import read_lines
from pellucid.text.formats.content import kind_of
from pellucid.text.formats.reading import FilesReader


def archive(*names: str, first: str = "") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as opened:
        if first:
            opened.writestr("mimetype", first)
        for name in names:
            opened.writestr(name, "x")
    return held.getvalue()


CONTENTS = {
    "tmx": tmx(tu(("de", "Hund"), ("en", "dog"))).encode(),
    "xliff": xliff_1("").encode(),
    "po": b'msgid ""\nmsgstr ""\n"Language: de\\n"\n\nmsgid "a"\nmsgstr "b"\n',
    "jsonl": b'{"source": "Hund", "target": "dog"}\n',
    "parquet": b"PAR1...PAR1",
    "pdf": b"%PDF-1.7\n",
    "ole": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(20),
    "rtf": b"{\\rtf1 Hund}",
    "html": b"<!-- a -->\n<!doctype html>\n<p>Hund",
    "xml": b"<?xml version='1.0'?><a/>",
    "docx": archive("[Content_Types].xml", "word/document.xml"),
    "pptx": archive("[Content_Types].xml", "ppt/presentation.xml", "ppt/embeddings/a.xlsx"),
    "xlsx": archive("[Content_Types].xml", "xl/workbook.xml"),
    "odt": archive("content.xml", first="application/vnd.oasis.opendocument.text"),
    "ods": archive("content.xml", first="application/vnd.oasis.opendocument.spreadsheet"),
    "epub": archive("a.xhtml", first="application/epub+zip"),
    "zip": archive("a.txt"),
}
PLAIN = (
    b"", b"Hund\tdog\n", b"<b>Hund</b>\tdog\n", b"{name} ist da\n", b'"a","b"\n', b"msgid\n", b"# Title\n<p>a</p>\n",
    b"1\n00:00:01,000 --> 00:00:02,000\na\n", b"PK", b"a < b", b"{not json}\n", b'key: "value"\n',
)  # fmt: skip


def test_each_kind_is_known_and_text_has_none() -> None:
    for kind, content in CONTENTS.items():
        assert kind_of(content) == kind
        assert kind_of(content[:8192], rest=content) == kind
    assert kind_of(b"\xef\xbb\xbf" + CONTENTS["tmx"]) == kind_of(CONTENTS["tmx"].decode().encode("utf-16")) == "tmx"
    for content in PLAIN:
        assert kind_of(content) == "", content


def test_time_is_linear_in_a_prolog_without_an_end() -> None:
    for text in (b"<!--" * 2048, b"<?a " * 2048, b"<!DOCTYPE a [" * 600, b" " * 8192, b'msgid "' * 1000):
        assert kind_of(text) in ("", "html")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".po", ".xlf", ".tmx", ".parquet"])
@pytest.mark.parametrize("kind", ["tmx", "xliff", "po", "jsonl", "parquet", "pdf", "html", "ole"])
def test_a_corpus_says_what_its_file_is(tmp_path: Path, ending: str, kind: str) -> None:
    path = tmp_path / f"memory{ending}"
    path.write_bytes(CONTENTS[kind])
    corpus = CorpusConfig(files=(str(path),))
    reader = FilesReader(corpus, languages=("de", "en"), invalid_utf8=InvalidUtf8.STRICT)
    own = {"tmx": ".tmx", "xliff": ".xlf", "po": ".po", "jsonl": ".jsonl", "parquet": ".parquet"}.get(kind)
    if own == ending:
        return
    with pytest.raises(DataError, match="and its content is") as error:
        list(reader.read())
    assert own is None or (f"rename it to memory{own}" in str(error.value) and f"format = {kind!r}" in str(error.value))


@pytest.mark.parametrize("kind", ["tmx", "xliff", "parquet", "pdf", "rtf", "ole"])
def test_lines_are_not_read_from_another_format(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "text.de"
    path.write_bytes(CONTENTS[kind])
    with pytest.raises(DataError, match=r"its content is .*, not lines of text"):
        list(read_lines(path, invalid_utf8=InvalidUtf8.STRICT))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("docx", "a.txt"), ("docx", "a.xlsx"), ("pdf", "a.docx"), ("rtf", "a.txt"),
        ("odt", "a.docx"), ("html", "a.xlf"), ("html", "a.docx"), ("xliff", "a.html"), ("po", "a.json"),
        ("epub", "a.odt"), ("tmx", "a.md"), ("xlsx", "a.srt"), ("html", "a.txt"),
    ],
)  # fmt: skip
def test_a_document_says_what_it_is(kind: str, name: str) -> None:
    with pytest.raises(DocumentError, match=f"{name}: is to be read as .*, and its content is"):
        read_document(CONTENTS[kind], format_of(name), Reading(name))
