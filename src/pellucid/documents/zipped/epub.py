"""Electronic books (EPUB 2 and 3): the pages in their order, and the tables of contents.

A page is XHTML, which ``markup`` cuts: what is no text stays byte for byte. Books that are protected are refused.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pellucid.documents.archives import Archive
from pellucid.documents.languages import restated
from pellucid.documents.limits import Reading
from pellucid.documents.markup.rules import XHTML, rules_for_xml
from pellucid.documents.markup.segmenting import markup_of
from pellucid.documents.markup.tokens import TokenKind, tokens_of
from pellucid.documents.safe_xml import parsed_xml, refuse_declarations
from pellucid.documents.segments import Document, Parts, notes_of
from pellucid.documents.spans import Decoded, Label, Place, SpanDocument, decoded
from pellucid.documents.zipped.package import Left, opened
from pellucid.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read"]

_PACKAGE: Final = "application/oebps-package+xml"
_PAGE: Final = "application/xhtml+xml"
_CONTENTS: Final = "application/x-dtbncx+xml"
_LEFT: Final = {
    "image/svg+xml": "SVG drawing",
    "application/x-dtbook+xml": "DTBook page",
    "application/smil+xml": "overlay",
}
_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_LICENCE: Final = "META-INF/license.lcpl"
_FONTS: Final = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Only fonts are hidden so; their bytes are kept."""
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


def read(data: bytes, reading: Reading) -> Document:
    """Read a book; ``documents.naming`` has the terms."""
    archive = opened(data, reading)
    if _CONTAINER not in archive.members:
        raise DocumentError(f"{reading.name}: is no EPUB book: it has no {_CONTAINER}; give its true ending")
    _refuse_protected(archive, reading)
    left = Left()
    pages: list[tuple[str, SpanDocument]] = []
    lists: list[tuple[str, SpanDocument]] = []
    is_in_source = False
    for member, kind in _texts(archive, reading, left):
        content = archive.members[member]
        if kind == _PACKAGE:
            lists.append((member, _list_of_pages(content, member, reading)))
            is_in_source = lists[-1][1].states_language
        else:
            pages.append((member, _page(content, kind, member, reading, left, is_in_source=is_in_source)))
    notes = ["the title and the metadata of the book left as they are", *notes_of(left)]
    return _Book(data, archive, pages, lists, notes)


class _Book(Document):
    """A book: a document for each page, and one for each list of pages, which states the language of the book."""

    def __init__(
        self,
        data: bytes,
        archive: Archive,
        pages: Sequence[tuple[str, SpanDocument]],
        lists: Sequence[tuple[str, SpanDocument]],
        notes: Sequence[str],
    ) -> None:
        self._data, self._archive, self._pages, self._lists = data, archive, pages, lists
        super().__init__(
            [
                replace(segment, place=f"{member}, {segment.place}")
                for member, page in pages
                for segment in page.segments
            ],
            [*notes, *(f"{member}: {note}" for member, page in pages for note in page.notes)],
        )

    def _written(self, translated: Sequence[Parts | None]) -> bytes:
        changed: dict[str, bytes] = {}
        start = 0
        for member, page in self._pages:
            end = start + len(page.segments)
            written = page.merge(translated[start:end])
            if written != self._archive.members[member]:
                changed[member] = written
            start = end
        if not changed:
            return self._data
        return self._archive.packed(changed | {member: page.relabelled() for member, page in self._lists})


def _refuse_protected(archive: Archive, reading: Reading) -> None:
    methods = []
    if _ENCRYPTION in archive.members:
        root = parsed_xml(archive.members[_ENCRYPTION], reading, member=_ENCRYPTION).getroot()
        methods = [one.get("Algorithm", "") for one in root.iter("{*}EncryptionMethod")]
    if _LICENCE in archive.members or any(method not in _FONTS for method in methods):
        raise DocumentError(
            f"{reading.name}: is protected (DRM), so that its pages cannot be read; ask its publisher for a copy "
            "without protection"
        )


def _texts(archive: Archive, reading: Reading, left: Left) -> Iterator[tuple[str, str]]:
    """Yield the members with text and their kinds, in the order of reading."""
    container = parsed_xml(archive.members[_CONTAINER], reading, member=_CONTAINER).getroot()
    seen: set[str] = set()
    for rootfile in container.iter("{*}rootfile"):
        package = rootfile.get("full-path", "")
        if package not in archive.members:
            raise DocumentError(f"{reading.name}: lacks the list of its pages, {package[:80]!r}; save it again")
        root = parsed_xml(archive.members[package], reading, member=package).getroot()
        yield package, _PACKAGE
        for item in _in_order(root):
            member = posixpath.normpath(
                posixpath.join(posixpath.dirname(package), unquote(urlsplit(item.get("href", "")).path))
            )
            kind = item.get("media-type", "")
            if member in seen or member not in archive.members:
                continue
            seen.add(member)
            left[_LEFT.get(kind, "")] += 1
            if kind in (_PAGE, _CONTENTS):
                yield member, kind
    del left[""]


def _in_order(package: _Element) -> list[_Element]:
    """Return the items of a book, those of its spine first."""
    items = {
        item.get("id"): item
        for manifest in package.iterchildren("{*}manifest")
        for item in manifest.iterchildren("{*}item")
    }
    spine = [one.get("idref") for one in package.iter("{*}itemref")]
    return [items[name] for name in (*spine, *items) if name in items]


def _page(data: bytes, kind: str, member: str, reading: Reading, left: Left, *, is_in_source: bool) -> SpanDocument:
    file, own = _decoded(data, member, reading)
    rules = XHTML if kind == _PAGE else rules_for_xml(file.text, opaque=("docTitle", "docAuthor"))
    found = markup_of(file.text, rules, own, is_in_source=is_in_source)
    left.update(found.left)
    return SpanDocument(file, found.spans, own.name, labels=found.labels, errors="xmlcharrefreplace")


def _list_of_pages(data: bytes, member: str, reading: Reading) -> SpanDocument:
    """Return the list of the pages of a book, of which only the language changes."""
    file, own = _decoded(data, member, reading)
    labels: list[Label] = []
    for one, after in pairwise(tokens_of(file.text, is_xml=True)):
        if one.name.rpartition(":")[2] == "language" and after.kind is TokenKind.TEXT:
            stated = file.text[after.start : after.end]
            if new := restated(stated.strip(), own):
                labels.append(Label(Place(after.start, after.end), stated.replace(stated.strip(), new)))
    return SpanDocument(file, [], own.name, labels=labels)


def _decoded(data: bytes, member: str, reading: Reading) -> tuple[Decoded, Reading]:
    own = replace(reading, name=f"{reading.name}, {member}")
    refuse_declarations(data, own.name)
    stated = _DECLARED.search(data[:1024])
    return decoded(data, own, stated=stated[1].decode("ascii") if stated else ""), own
