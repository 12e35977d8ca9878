"""OpenDocument texts, spreadsheets and presentations (OASIS OpenDocument 1.3, part 3): ``.odt``, ``.ods`` and ``.odp``.

Spans and links nest, so they are pairs as they are; spans whose styles differ only in the numbers that editors give to
revisions are no codes. White space is elements here: ``text:s`` is a row of spaces. Read ``epub.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from pellucid.documents.archives import Archive
from pellucid.documents.limits import Reading
from pellucid.documents.safe_xml import parsed_xml
from pellucid.documents.segments import Document, has_letters
from pellucid.documents.zipped.inline import (
    Atom,
    Break,
    Format,
    Node,
    Pair,
    Place,
    PopShell,
    PushShell,
    Step,
    Text,
    carry_out,
)
from pellucid.documents.zipped.package import Left, Passage, ZippedDocument, opened
from pellucid.documents.zipped.relabelling import relabel_open
from pellucid.documents.zipped.runs import append_text, atom_of, plain_passage
from pellucid.documents.zipped.stretches import stretches_of
from pellucid.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read"]

_ODF: Final = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
_TEXT: Final = _ODF % "text"
_TABLE: Final = _ODF % "table"
_OFFICE: Final = _ODF % "office"
_STYLE: Final = _ODF % "style"
_MANIFEST: Final = _ODF % "manifest"
_PARAGRAPHS: Final = (f"{_TEXT}p", f"{_TEXT}h")
_DESCRIPTIONS: Final = tuple(f"{_ODF % 'svg-compatible'}{name}" for name in ("title", "desc"))
_AROUND: Final = frozenset({f"{_TEXT}span", f"{_TEXT}a", f"{_TEXT}meta"})
_FORGOTTEN: Final = frozenset({f"{_TEXT}soft-page-break"})
_BREAKS: Final = frozenset({f"{_TEXT}tab", f"{_TEXT}line-break"})
_RANGES: Final = ("bookmark", "reference-mark", "toc-mark", "user-index-mark", "alphabetical-index-mark")
_UNSEEN: Final = frozenset({*_RANGES, "change", "annotation"})
"""With or without ``-start`` and ``-end``; readers see nothing of them within the sentence."""
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_WHITE: Final = re.compile(r" +|[\t\n]|[^ \t\n]+")
_ELEMENTS: Final = {"\t": "tab", "\n": "line-break"}
_MOST_SPACES: Final = 1_000
_MEDIA_TYPE: Final = "application/vnd.oasis.opendocument."
_MANIFEST_FILE: Final = "META-INF/manifest.xml"


def read(data: bytes, reading: Reading) -> Document:
    """Read an OpenDocument file; ``documents.naming`` has the terms."""
    archive = opened(data, reading)
    members = archive.members
    kind = members.get("mimetype", b"").decode("ascii", "replace").strip()
    if "content.xml" not in members or (kind and not kind.startswith(_MEDIA_TYPE)):
        raise DocumentError(f"{reading.name}: is no OpenDocument file; give its true ending, or state the format")
    _refuse_encrypted(archive, reading)
    left = Left()
    left["embedded object"] += sum(name.endswith("/content.xml") for name in members)
    signed = ["its digital signature is no longer valid once a text changed"] if _SIGNATURES in members else []
    readers = {name: _passages for name in ("content.xml", "styles.xml") if name in members}
    return ZippedDocument(
        data,
        archive,
        readers,
        reading,
        left=left,
        relabel=relabel_open,
        labelled=[name for name in ("styles.xml",) if name in members],
        notes=signed,
    )


_SIGNATURES: Final = "META-INF/documentsignatures.xml"


def _refuse_encrypted(archive: Archive, reading: Reading) -> None:
    if _MANIFEST_FILE in archive.members:
        root = parsed_xml(archive.members[_MANIFEST_FILE], reading, member=_MANIFEST_FILE).getroot()
        if any(True for _ in root.iter(f"{_MANIFEST}encryption-data")):
            raise DocumentError(f"{reading.name}: is protected with a password; save it without one")


def _passages(root: _Element, left: Left) -> Iterator[Passage]:
    invisible = frozenset(_invisible_styles(root))
    for number, element in enumerate(root.iter(*_PARAGRAPHS), 1):
        if _is_text(element, left):
            nodes = list(_Inside(invisible, left).nodes_of(element))
            yield Passage(stretches_of(nodes), partial(_rewrite, element), f"paragraph {number}")
    for element in root.iter(*_DESCRIPTIONS):
        yield plain_passage(element, "description of a picture")


def _is_text(paragraph: _Element, left: Left) -> bool:
    """Return whether a paragraph is text, not deleted, and not what a cell shows of a number or a formula."""
    cell: _Element | None = None
    is_remark = False
    for one in paragraph.iterancestors():
        if one.tag == f"{_TEXT}tracked-changes":
            left["tracked deletion"] += 1
            return False
        is_remark = is_remark or one.tag == f"{_OFFICE}annotation"
        if one.tag == f"{_TABLE}table-cell" and cell is None and not is_remark:
            cell = one
    if cell is None:
        return True
    return cell.get(f"{_TABLE}formula") is None and cell.get(f"{_OFFICE}value-type", "string") == "string"


def _invisible_styles(root: _Element) -> Iterator[str]:
    """Yield the names of styles of text that state nothing but the number of a revision."""
    for style in root.iter(f"{_STYLE}style"):
        if style.get(f"{_STYLE}family") == "text" and style.get(f"{_STYLE}parent-style-name") is None:
            stated = [name for one in style.iter() for name in one.attrib if one is not style]
            if all(name.endswith("}rsid") or name.endswith("}paragraph-rsid") for name in stated):
                yield style.get(f"{_STYLE}name", "")


class _Inside:
    """Reads what a paragraph holds; white space counts across its spans."""

    def __init__(self, invisible: frozenset[str], left: Left) -> None:
        self._invisible, self._left = invisible, left
        self._is_after_space = True

    def nodes_of(self, parent: _Element) -> Iterator[Node]:
        yield from self._text(parent.text)
        for child in parent:
            yield from self._node(child)
            yield from self._text(child.tail)

    def _text(self, raw: str | None) -> Iterator[Text]:
        text = _SPACES.sub(" ", raw or "")
        if self._is_after_space:
            text = text.removeprefix(" ")
        if text:
            self._is_after_space = text.endswith(" ")
            yield Text(text)

    def _node(self, child: _Element) -> Iterator[Node]:
        if child.tag in _AROUND:
            inside = tuple(self.nodes_of(child))
            if child.tag == f"{_TEXT}span" and child.get(f"{_TEXT}style-name") in self._invisible:
                yield from inside
                return
            key = (child.tag, tuple(sorted(child.attrib.items()))) if child.tag == f"{_TEXT}span" else None
            yield Pair((PushShell(child),), (PopShell(),), inside, key=key, shown=f"<{_local(child)}>")
        elif child.tag == f"{_TEXT}s":
            self._is_after_space = False
            count = child.get(f"{_TEXT}c", "1")
            yield Text(" " * (min(int(count), _MOST_SPACES) if count.isdecimal() else 1))
        elif child.tag in _BREAKS:
            self._is_after_space = False
            yield Break((Place(child),))
        elif child.tag not in _FORGOTTEN:
            yield self._atom(child)

    def _atom(self, child: _Element) -> Atom:
        if not isinstance(child.tag, str):
            return atom_of(child)
        name = _local(child)
        is_visible = name.removesuffix("-start").removesuffix("-end") not in _UNSEEN
        self._is_after_space = self._is_after_space and not is_visible
        self._left["ruby text"] += name == "ruby"
        self._left["field result"] += child.tag.startswith(_TEXT) and has_letters(child.text or "")
        kind, _, end = name.rpartition("-start" if name.endswith("-start") else "-end")
        number = child.get(f"{_TEXT}name") or child.get(f"{_TEXT}id")
        is_range = kind in _RANGES and not end and number is not None
        return Atom(
            (Place(child),),
            f"<{name}>",
            opens=(kind, number) if is_range and name.endswith("-start") else None,
            closes=(kind, number) if is_range and name.endswith("-end") else None,
            is_visible=is_visible,
        )


def _local(element: _Element) -> str:
    name: str = element.tag.rpartition("}")[2]
    return name


def _rewrite(paragraph: _Element, steps: Iterable[Step]) -> None:
    for child in list(paragraph):
        paragraph.remove(child)
    paragraph.text = None
    carry_out(steps, paragraph, _Writer().write)
    cell = paragraph.getparent()
    if cell is not None:
        # The value of a cell, where it is stated beside the paragraph, would be the old text.
        cell.attrib.pop(f"{_OFFICE}string-value", None)


class _Writer:
    """Writes text with white space as elements; it counts across spans."""

    def __init__(self) -> None:
        self._is_after_space = True

    def write(self, parent: _Element, text: str, format: Format) -> None:
        words: list[str] = []

        def element(name: str, count: int = 0) -> None:
            from lxml import etree

            append_text(parent, "".join(words))
            words.clear()
            etree.SubElement(parent, f"{_TEXT}{name}", {f"{_TEXT}c": str(count)} if count else None)

        for piece in _WHITE.findall(text):
            if piece in _ELEMENTS:
                element(_ELEMENTS[piece])
            elif not piece.startswith(" "):
                words.append(piece)
            else:
                words += [] if self._is_after_space else [" "]
                if count := len(piece) - (not self._is_after_space):
                    element("s", count)
            self._is_after_space = piece.startswith(" ")
        append_text(parent, "".join(words))
