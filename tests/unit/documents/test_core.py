"""The form that all documents have: what a merge keeps and refuses, archives and XML of strangers."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.documents.archives import read_archive
from pellucid.documents.limits import Limits, Reading
from pellucid.documents.naming import FORMATS, format_named, format_of, read_document
from pellucid.documents.safe_xml import parsed_xml
from pellucid.documents.segments import Code, CodeKind, Parts, is_balanced, merged_text, problem_with
from pellucid.errors import DocumentError, DocumentTooLargeError

A, END_A = Code(CodeKind.OPENING, 1), Code(CodeKind.CLOSING, 1)
B, END_B = Code(CodeKind.OPENING, 2), Code(CodeKind.CLOSING, 2)
X = Code(CodeKind.STANDALONE, 3)


@pytest.mark.parametrize(
    ("parts", "is_so"),
    [((A, B, END_B, END_A), True), ((A, END_A, X, B, END_B), True), ((A, B, END_A, END_B), False), ((END_A, A), False)],
)
def test_pairs_enclose_each_other_or_stand_apart(parts: Parts, is_so: bool) -> None:
    assert is_balanced(parts) is is_so


def test_lost_added_and_crossing_codes_are_problems() -> None:
    source = (A, "x", END_A, X)
    assert not problem_with(source, (X, A, END_A, "y"))
    assert "lacks" in problem_with(source, (A, END_A))
    assert "too often" in problem_with(source, (A, END_A, X, X))
    assert "cross" in problem_with((A, B, END_B, END_A), (A, B, END_A, END_B))


def test_text_never_follows_text() -> None:
    assert merged_text(("a", "", "b", A, "", END_A, "c")) == ("ab", A, END_A, "c")


def test_every_format_can_be_named_and_is_there_once() -> None:
    for one in FORMATS:
        assert format_named(one.name.upper()) is one
        assert all(format_of(f"a{suffix.upper()}") is one for suffix in one.suffixes)
        assert one.media_types == () or format_of("a", f"{one.media_types[0]}; charset=utf-8") is one
    suffixes = [suffix for one in FORMATS for suffix in one.suffixes]
    assert len(suffixes) == len(set(suffixes))
    with pytest.raises(DocumentError, match="known endings"):
        format_of("picture.png")
    with pytest.raises(DocumentError, match="is unknown"):
        format_named("png")


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_plain_text_comes_back_byte_for_byte(text: str, encoding: str) -> None:
    data = text.removeprefix("\ufeff").encode(encoding)
    document = read_document(data, format_named("txt"))
    assert document.merge([segment.parts for segment in document.segments]) == data


def test_a_translation_stands_where_its_segment_stood() -> None:
    document = read_document(b"  Hello  world\r\n\r\n* a list\tof two\n", format_named("txt"))
    assert document.merge([(segment.text.upper(),) for segment in document.segments]) == (
        b"  HELLO  WORLD\r\n\r\n* A LIST\tOF TWO\n"
    )
    with pytest.raises(DocumentError, match="give one for each"):
        document.merge([])


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"caf\xe9", b"a\0b"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        read_document(data, format_named("txt"))


def test_text_in_another_encoding_is_said_to_look_like_it() -> None:
    with pytest.raises(DocumentError, match="is not valid utf-8: byte 3; the text looks like WINDOWS-1252"):
        read_document(b"caf\xe9", format_named("txt"))


def test_limits_hold() -> None:
    text = format_named("txt")
    for limits in (Limits(file_bytes=3), Limits(segments=1), Limits(segment_characters=1)):
        with pytest.raises(DocumentTooLargeError, match="limit"):
            read_document(b"ab\ncd\n", text, Reading("a.txt", limits=limits))


def packed(members: dict[str, bytes], **options: object) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def test_an_archive_keeps_its_order_and_what_is_not_changed() -> None:
    members = {"mimetype": b"application/x", "b.xml": b"<b/>" * 100, "a.xml": b"<a/>"}
    archive = read_archive(packed(members), Reading())
    again = read_archive(archive.packed({"a.xml": b"<c/>"}), Reading())
    assert list(again.members) == list(members)
    assert again.members == {**members, "a.xml": b"<c/>"}
    assert [one.compress_type for one in again.infos] == [one.compress_type for one in archive.infos]


def test_bombs_and_names_that_lead_out_are_refused() -> None:
    with pytest.raises(DocumentTooLargeError, match="times its size"):
        read_archive(packed({"a": bytes(20_000_000)}), Reading())
    with pytest.raises(DocumentTooLargeError, match="members"):
        read_archive(packed({f"{n}": b"" for n in range(2_001)}), Reading())
    for name in ("../a", "/a", "a/../../b", "c:\\a", "a\\..\\..\\b"):
        with pytest.raises(DocumentError, match="leads out"):
            read_archive(packed({name: b""}), Reading())
    with pytest.raises(DocumentError, match="no ZIP"):
        read_archive(b"PK\3\4 no archive", Reading())


def test_an_archive_that_lies_about_its_sizes_unpacks_no_further() -> None:
    data = packed({"a": bytes(5_000_000)})
    lying = data.replace((5_000_000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    with pytest.raises(DocumentError):
        read_archive(lying, Reading(limits=Limits(archive_bytes=1 << 20)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-7"])
def test_entities_are_refused_in_any_encoding(encoding: str) -> None:
    declared = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    )
    with pytest.raises(DocumentError, match=r"declares entities|well-formed"):
        parsed_xml(declared.encode(encoding), Reading("a.docx"), member="word/document.xml")


def test_xml_keeps_comments_and_is_not_too_deep() -> None:
    assert parsed_xml(b"<a><!--b--></a>", Reading()).getroot()[0].text == "b"
    with pytest.raises(DocumentError, match="well-formed"):
        parsed_xml(b"<a>" * 5_000 + b"</a>" * 5_000, Reading())
