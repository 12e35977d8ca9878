"""Zipped documents of strangers: bombs, names that lead out, protection and damage are refused, and the reason said."""

from __future__ import annotations

import io
import random
import re
import warnings
import zipfile

import pytest
from tests.unit.documents.zipped.archives import epub, members_of, odf, xlsx, zipped
from tests.unit.documents.zipped.samples import SAMPLES

from pellucid.documents.limits import Limits, Reading
from pellucid.documents.naming import format_named, read_document
from pellucid.errors import DocumentError, DocumentTooLargeError

ONE_OF_EACH = {
    "docx": "docx, text box",
    "pptx": "pptx, notes",
    "xlsx": "xlsx, rich",
    "odt": "odt, note",
    "ods": "ods, cells",
    "odp": "odp, slide",
    "epub": "epub, nested",
}
MAIN = {
    "docx": "word/document.xml",
    "pptx": "ppt/slides/slide1.xml",
    "xlsx": "xl/sharedStrings.xml",
    "odt": "content.xml",
    "ods": "styles.xml",
    "odp": "content.xml",
    "epub": "My book/text/page 1.xhtml",
}
LIST = dict.fromkeys(("docx", "pptx", "xlsx"), "[Content_Types].xml") | {"epub": "META-INF/container.xml"}
KINDS = pytest.mark.parametrize("kind", ONE_OF_EACH)


def members(kind: str) -> dict[str, bytes]:
    return members_of(SAMPLES[ONE_OF_EACH[kind]])


def refused(data: bytes, kind: str, limits: Limits | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as raised:
        read_document(data, format_named(kind), Reading("my file", limits=limits or Limits()))
    assert str(raised.value).startswith("my file")
    return raised.value


@KINDS
def test_a_bomb_is_not_unpacked(kind: str) -> None:
    bomb = zipped(members(kind) | {MAIN[kind]: b" " * (30 << 20)})
    assert isinstance(refused(bomb, kind), DocumentTooLargeError)


@KINDS
def test_a_size_that_lies_does_not_help_a_bomb(kind: str) -> None:
    data = bytearray(zipped(members(kind) | {MAIN[kind]: b" " * (3 << 20)}))
    for found in re.finditer(rb"PK\x01\x02", bytes(data)):
        data[found.start() + 24 : found.start() + 28] = (1000).to_bytes(4, "little")
    refused(bytes(data), kind)


@KINDS
@pytest.mark.parametrize("where", [MAIN, LIST], ids=["text", "list of parts"])
def test_entities_are_not_declared(kind: str, where: dict[str, str]) -> None:
    member = where.get(kind, MAIN[kind])
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    text = re.sub(
        rb"^(<\?xml[^>]*\?>\s*)?(<!DOCTYPE[^>]*>)?", lambda found: (found[1] or b"") + bomb, members(kind)[member]
    )
    assert "entities" in str(refused(zipped(members(kind) | {member: text}), kind))
    file = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    assert "entities" in str(refused(zipped(members(kind) | {member: text.replace(bomb, file)}), kind))


@KINDS
@pytest.mark.parametrize(
    "name", ["../outside.xml", "/outside.xml", "a/../../outside.xml", "C:/outside.xml", "..\\outside"]
)
def test_names_do_not_lead_out_of_the_archive(kind: str, name: str) -> None:
    assert "leads out" in str(refused(zipped(members(kind) | {name: b""}), kind))


@KINDS
def test_names_are_there_once(kind: str) -> None:
    sink = io.BytesIO(SAMPLES[ONE_OF_EACH[kind]])
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(MAIN[kind], b"<other/>")
    assert "twice" in str(refused(sink.getvalue(), kind))


@KINDS
def test_encrypted_members_are_refused(kind: str) -> None:
    data = bytearray(SAMPLES[ONE_OF_EACH[kind]])
    for mark, place in ((rb"PK\x01\x02", 8), (rb"PK\x03\x04", 6)):
        for found in re.finditer(mark, bytes(data)):
            data[found.start() + place] |= 1
    assert "encrypted" in str(refused(bytes(data), kind))


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_files_with_a_password_say_so(kind: str) -> None:
    assert "password" in str(refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), kind))


def test_open_documents_with_a_password_say_so() -> None:
    protected = members("odt")["META-INF/manifest.xml"].replace(
        b'"text/xml"/>', b'"text/xml"><manifest:encryption-data/></manifest:file-entry>'
    )
    assert "password" in str(refused(odf("text", "", more={"META-INF/manifest.xml": protected}), "odt"))


@pytest.mark.parametrize(
    "more",
    [
        {"META-INF/license.lcpl": b"{}"},
        {
            "META-INF/encryption.xml": '<encryption><EncryptionMethod xmlns="http://www.w3.org/2001/04/xmlenc#" '
            'Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></encryption>'
        },
    ],
)
def test_protected_books_say_so(more: dict[str, str | bytes]) -> None:
    assert "protected" in str(refused(epub("<p>A page</p>", more=more), "epub"))


@KINDS
def test_other_documents_are_named_as_such(kind: str) -> None:
    other = "epub" if kind != "epub" else "docx"
    assert "its content is " in str(refused(SAMPLES[ONE_OF_EACH[other]], kind))
    for data in (b"", b"PK", b"%PDF-1.7", b"PK\x05\x06" + bytes(18)):
        refused(data, kind)


@KINDS
def test_xml_that_is_damaged_or_too_deep_is_refused(kind: str) -> None:
    if kind == "epub":  # its pages are cut, not parsed
        return
    for text in (b"<a>", b"", b"\xff\xfe<", b"<a>" * 5000 + b"</a>" * 5000, b"<a>\x00</a>"):
        assert "well-formed" in str(refused(zipped(members(kind) | {MAIN[kind]: text}), kind))


@KINDS
def test_damage_is_an_error_of_the_document_or_does_no_harm(kind: str) -> None:
    chance = random.Random(f"damage {kind}")
    whole = SAMPLES[ONE_OF_EACH[kind]]
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 40))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        try:
            document = read_document(bytes(data), format_named(kind))
            document.merge([("x", *segment.codes) for segment in document.segments])
        except DocumentError:
            pass


def test_limits_hold() -> None:
    many = xlsx("".join(f"<si><t>cell {number}</t></si>" for number in range(50)), "")
    assert isinstance(refused(many, "xlsx", Limits(segments=49)), DocumentTooLargeError)
    assert isinstance(refused(many, "xlsx", Limits(archive_members=3)), DocumentTooLargeError)
    assert isinstance(refused(many, "xlsx", Limits(file_bytes=100)), DocumentTooLargeError)
    assert "bytes of XML" in str(refused(many, "xlsx", Limits(xml_bytes=1_000)))
    assert isinstance(refused(SAMPLES["docx, link"], "docx", Limits(codes_in_segment=1)), DocumentTooLargeError)
