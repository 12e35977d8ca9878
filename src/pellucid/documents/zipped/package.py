"""A document in an archive: its members with text, their paragraphs, and the archive with other text in them.

Nothing is kept of a member between reading and writing but its bytes. Read ``runs.py`` next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from pellucid.documents.archives import Archive, read_archive
from pellucid.documents.limits import Reading
from pellucid.documents.safe_xml import parsed_xml
from pellucid.documents.segments import Document, Parts, Segment, notes_of
from pellucid.documents.zipped.inline import Step
from pellucid.documents.zipped.stretches import Stretch
from pellucid.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Left", "Passage", "PassageReader", "Relabel", "ZippedDocument", "opened"]

_DECLARATION: Final = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}\?>\s*")
_IS_UTF_8: Final = re.compile(rb"""^(?:(?!encoding).)*\?>|encoding\s*=\s*["']utf-8["']""", re.IGNORECASE | re.DOTALL)
_OLD_OFFICE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

Left = Counter[str]
"""How much of each kind is left as it is, by its noun in the singular."""


@dataclass(frozen=True)
class Passage:
    """A paragraph or a cell."""

    pieces: Sequence[tuple[Step, ...] | Stretch]
    write: Callable[[Iterable[Step]], None]
    """Replaces what it holds."""
    place: str

    @property
    def stretches(self) -> list[Stretch]:
        """What is translated of it."""
        return [piece for piece in self.pieces if isinstance(piece, Stretch)]

    def rewrite(self, translated: Sequence[Parts | None]) -> None:
        """Write it with other parts in its stretches."""
        numbers = count()
        steps: list[Step] = []
        for piece in self.pieces:
            steps += piece.steps_of(translated[next(numbers)]) if isinstance(piece, Stretch) else piece
        self.write(steps)


Relabel = Callable[["_Element", Reading], bool]
PassageReader = Callable[["_Element", Left], Iterable[Passage]]
"""Yields the passages of a member, from its root, and counts what it leaves."""


class ZippedDocument(Document):
    """A document in an archive.

    Args:
        data: the archive as it is.
        archive: unpacked.
        readers: of its members with text, in the order of reading.
        reading: how it is read.
        left: what stays, as far as it is known; the readers count more.
        relabel: says in the tree of a member that its text is in the target language; returns whether it did.
        labelled: members without text that state the language of the others.
        notes: what else is to be said.
    """

    def __init__(
        self,
        data: bytes,
        archive: Archive,
        readers: Mapping[str, PassageReader],
        reading: Reading,
        *,
        left: Left,
        relabel: Relabel = lambda root, reading: False,
        labelled: Sequence[str] = (),
        notes: Iterable[str] = (),
    ) -> None:
        segments: list[Segment] = []
        self._relabel, self._labelled = relabel, labelled
        self._data, self._archive, self._readers, self._reading = data, archive, readers, reading
        self._starts: dict[str, int] = {}
        for member in readers:
            self._starts[member] = len(segments)
            for passage in self._passages(member, left):
                segments += (Segment(one.parts, passage.place, one.keeps_order) for one in passage.stretches)
            reading.refuse_many(segments[self._starts[member] :])
        super().__init__(segments, [*notes_of(left), *notes])

    def _passages(self, member: str, left: Left) -> Iterator[Passage]:
        root = parsed_xml(self._archive.members[member], self._reading, member=member).getroot()
        yield from self._readers[member](root, left)

    def _written(self, translated: Sequence[Parts | None]) -> bytes:
        starts = [*self._starts.values(), len(self.segments)]
        changed: dict[str, bytes] = {}
        for member, start, end in zip(self._starts, starts, starts[1:], strict=False):
            if any(_is_new(translated[at], self.segments[at].parts) for at in range(start, end)):
                changed[member] = self._member(member, translated[start:end])
        if not changed:
            return self._data
        return self._archive.packed(changed | dict(self._relabelled(changed)))

    def _relabelled(self, changed: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for member in self._labelled:
            if member in changed:
                continue
            data = self._archive.members[member]
            try:
                tree = parsed_xml(data, self._reading, member=member)
            except DocumentError:  # it holds no text, so it stays as it is
                continue
            if self._relabel(tree.getroot(), self._reading):
                yield member, _serialised(tree, data)

    def _member(self, member: str, translated: Sequence[Parts | None]) -> bytes:
        data = self._archive.members[member]
        tree = parsed_xml(data, self._reading, member=member)
        start = 0
        # All passages are read before the first is written: writing one moves what another stands in.
        for passage in list(self._readers[member](tree.getroot(), Left())):
            stretches = passage.stretches
            parts = translated[start : start + len(stretches)]
            start += len(stretches)
            if any(_is_new(new, old.parts) for new, old in zip(parts, stretches, strict=True)):
                passage.rewrite(parts)
        self._relabel(tree.getroot(), self._reading)
        return _serialised(tree, data)


def _is_new(new: Parts | None, old: Parts) -> bool:
    return new is not None and new != old


def _serialised(tree: object, before: bytes) -> bytes:
    from lxml import etree

    declared = _DECLARATION.match(before)
    head = declared[0] if declared and _IS_UTF_8.search(declared[0]) else b""
    if not head and (declared or before[:2] in (b"\xff\xfe", b"\xfe\xff")):
        head = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    body: bytes = etree.tostring(tree, encoding="UTF-8", xml_declaration=False)
    return head + body


def opened(data: bytes, reading: Reading) -> Archive:
    """Unpack a document, and say what it is if it is no archive.

    Raises:
        DocumentError: it is protected with a password, of an old format, or no archive that can be read.
        DocumentTooLargeError: it exceeds a limit.
    """
    if data.startswith(_OLD_OFFICE):
        raise DocumentError(
            f"{reading.name}: is protected with a password, or of a format before 2007 (.doc, .ppt, .xls); save it "
            "without a password in the new format"
        )
    return read_archive(data, reading)
