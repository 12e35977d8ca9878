"""Documents of every kind, made of everything in which readers err: as they are they come back, and so does other text.

What is compared is said in ``tests/fuzz/documents.py``: bytes, and what other programs see.
"""

from __future__ import annotations

import pytest
from tests.fuzz.documents import take
from tests.unit.documents.made import PIECES, built, made

from pellucid.documents.naming import FORMATS, format_named, read_document
from pellucid.errors import DocumentTooLargeError

KINDS = [one.name for one in FORMATS]
MARKUP = {"html", "markdown", "xliff", "docx", "pptx", "xlsx", "odt", "ods", "odp", "epub"}
XML = MARKUP - {"html", "markdown"}
PAGES = MARKUP - {"xliff"}
MUST_HAVE = {
    "nested tags": {*KINDS} - {"txt"},
    "comments": MARKUP | {"po", "yaml"},
    "entities": {*KINDS},
    "right to left": {*KINDS},
    "CDATA": XML,
    "footnotes": {"html", "markdown", "docx", "odt", "odp", "epub"},
    "tables": PAGES | {"txt", "json", "yaml"},
    "formulas": PAGES,
    "empty cells": PAGES | {"txt", "json", "yaml"},
}
FEW, MANY = 20, 200
MEGABYTES = 10_000_000


def test_every_kind_is_made_of_everything_that_it_can_hold() -> None:
    lacking = {(kind, name) for name, kinds in MUST_HAVE.items() for kind in kinds if name not in PIECES[kind]}
    assert not lacking


EACH = [(kind, name) for name, kinds in MUST_HAVE.items() for kind in sorted(kinds)]


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_each_alone_comes_back(kind: str, name: str) -> None:
    take(kind, built(kind, [PIECES[kind][name]]))


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_every_kind_come_back(kind: str) -> None:
    for number in range(FEW):
        take(kind, made(kind, number))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_hundred_files_of_every_kind_come_back(kind: str) -> None:
    files = [made(kind, number) for number in range(MANY)]
    assert len(set(files)) > MANY * 0.9
    for data in files:
        take(kind, data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_megabytes_of_every_kind_come_back(kind: str) -> None:
    data = _large(kind)
    if kind == "yaml":
        with pytest.raises(DocumentTooLargeError, match="limit of YAML"):
            read_document(data, format_named(kind))
        return
    document = read_document(data, format_named(kind))
    assert len(document.segments) > 1_000
    assert document.merge([None for _ in document.segments]) == data
    assert document.merge([one.parts for one in document.segments]) == data or kind in ("po", "xliff")


def _large(kind: str) -> bytes:
    """Return a document of ten megabytes of text that does not pack to nothing."""
    every = list(PIECES[kind].values())
    words = (f" {at * 2654435761 % (1 << 64):x}" for at in range(10**9))
    filler = [f"A sentence{''.join(next(words) for _ in range(50))}." for _ in range(200)]
    around = {
        "txt": "{}", "html": "<p>{}</p>", "markdown": "{}", "po": 'msgid "{}"\nmsgstr ""', "srt": "{}", "vtt": "{}",
        "xliff": "<source>{}</source>", "json": '"{}"', "yaml": "{}", "docx": "<w:p><w:r><w:t>{}</w:t></w:r></w:p>",
        "pptx": "<a:p><a:r><a:t>{}</a:t></a:r></a:p>", "xlsx": "<si><t>{}</t></si>", "odt": "<text:p>{}</text:p>",
        "odp": "<text:p>{}</text:p>", "epub": "<p>{}</p>",
        "ods": '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>',
    }[kind]  # fmt: skip
    paragraphs = [around.format(one) for one in filler]
    size = sum(map(len, paragraphs))
    pieces = [*every, *("" if kind in ("epub", "pptx") else one for one in paragraphs * (MEGABYTES // size + 1))]
    if kind in ("epub", "pptx"):  # a page or a slide each
        pieces = [*every, *("".join(paragraphs) for _ in range(MEGABYTES // size + 1))]
    return built(kind, pieces)
