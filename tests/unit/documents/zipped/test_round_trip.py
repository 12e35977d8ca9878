"""What comes back out of zipped documents: the same file, or the same file with other text in it."""

from __future__ import annotations

import io
import zipfile

import pytest
from tests.unit.documents.zipped.archives import members_of
from tests.unit.documents.zipped.reader_view import seen, seen_in
from tests.unit.documents.zipped.samples import SAMPLES

from pellucid.documents.naming import format_named, read_document
from pellucid.documents.segments import Document, Parts
from pellucid.documents.zipped import package


def opened(name: str) -> Document:
    return read_document(SAMPLES[name], format_named(name.partition(",")[0]))


def upper(parts: Parts) -> Parts:
    return tuple(part.upper() if isinstance(part, str) else part for part in parts)


def shouted(document: Document) -> bytes:
    return document.merge([upper(segment.parts) for segment in document.segments])


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_text_gives_the_same_file(name: str) -> None:
    document = opened(name)
    assert document.merge([segment.parts for segment in document.segments]) == SAMPLES[name]
    assert document.merge([None for _ in document.segments]) == SAMPLES[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_paragraphs_written_again_look_as_they_did(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole path of writing, without a change: what is skipped for speed is not skipped."""
    monkeypatch.setattr(package, "_is_new", lambda new, old: True)
    document = opened(name)
    written = document.merge([segment.parts for segment in document.segments])
    assert seen_in(written) == seen_in(SAMPLES[name])


@pytest.mark.parametrize("name", SAMPLES)
def test_other_text_changes_nothing_but_the_text(name: str) -> None:
    document = opened(name)
    written = shouted(document)
    # Seen in capitals, both are the same: every character has its look, and everything else its place.
    assert seen_in(written, str.upper) == seen_in(SAMPLES[name], str.upper)
    again = read_document(written, format_named(name.partition(",")[0]))
    assert [segment.parts for segment in again.segments] == [upper(segment.parts) for segment in document.segments]
    assert document.notes == again.notes or "phonetic" in name


@pytest.mark.parametrize("name", SAMPLES)
def test_members_without_changes_keep_their_bytes_and_all_keep_their_order(name: str) -> None:
    written = shouted(opened(name))
    before, after = members_of(SAMPLES[name]), members_of(written)
    assert list(after) == list(before)
    for member, data in before.items():
        assert after[member] == data or seen(after[member]) != seen(data), member
    with zipfile.ZipFile(io.BytesIO(SAMPLES[name])) as old, zipfile.ZipFile(io.BytesIO(written)) as new:
        for one, other in zip(old.infolist(), new.infolist(), strict=True):
            for field in ("filename", "date_time", "compress_type", "external_attr", "comment", "extra"):
                assert getattr(one, field) == getattr(other, field), field
        assert new.comment == old.comment


@pytest.mark.parametrize("name", SAMPLES)
def test_a_segment_begins_and_ends_with_text_and_has_letters(name: str) -> None:
    for segment in opened(name).segments:
        assert any(map(str.isalpha, segment.text)) or name.startswith("epub")
        for end in (segment.parts[0], segment.parts[-1]):
            assert isinstance(end, str) or end.kind != "standalone"


def test_a_document_can_be_written_more_than_once() -> None:
    document = opened("docx, text box in bold")
    assert shouted(document) == shouted(document)
