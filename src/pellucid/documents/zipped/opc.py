"""The parts of a document of Microsoft Office, by what its list of contents says they are. Read ``docx.py`` next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pellucid.documents.archives import Archive
from pellucid.documents.limits import Reading
from pellucid.documents.safe_xml import parsed_xml
from pellucid.documents.zipped.package import Left, PassageReader, Relabel, ZippedDocument, opened
from pellucid.errors import DocumentError

__all__ = ["Kind", "Office", "office_of"]

_CONTENTS: Final = "[content_types].xml"
_SIGNATURE: Final = "package.digital-signature-xmlsignature+xml"
_LEFT: Final = {
    "drawingml.chart+xml": "chart",
    "ms-office.chartex+xml": "chart",
    "spreadsheetml.pivottable+xml": "pivot table",
    "wordprocessingml.document.glossary+xml": "building block list",
    "ms-office.vbaproject": "macro project",
}
"""Parts with text that are not translated."""


@dataclass(frozen=True)
class Kind:
    """A kind of document."""

    name: str
    """For messages: ``Word document``."""
    main: tuple[str, ...]
    """Endings of the type of its main part."""
    readers: Mapping[str, PassageReader]
    """By the ending of the type of a part; in the order of reading."""
    relabel: Relabel = lambda root, reading: False
    labelled: tuple[str, ...] = ()
    """Endings of the types of other parts that state the language of the text."""


@dataclass(frozen=True)
class Office:
    """An unpacked document."""

    data: bytes
    archive: Archive
    types: Mapping[str, str]
    """Of each member, in lower case."""

    def members(self, *endings: str) -> list[str]:
        """Return the members whose type ends so."""
        return [name for name, type_ in self.types.items() if type_.endswith(endings)]

    def document(
        self,
        kind: Kind,
        reading: Reading,
        left: Left,
        *,
        skipped: frozenset[str] = frozenset(),
        notes: Iterable[str] = (),
    ) -> ZippedDocument:
        """Return the document.

        Args:
            kind: what it is.
            reading: how it is read.
            left: counts what is known to stay.
            skipped: members without text.
            notes: what else is to be said.
        """
        readers = {
            member: read
            for ending, read in kind.readers.items()
            for member in self.members(ending.lower())
            if member not in skipped
        }
        for ending, noun in _LEFT.items():
            if found := self.members(ending):
                left[noun] += len(found)
        signed = ["its digital signature is no longer valid once a text changed"] if self.members(_SIGNATURE) else []
        return ZippedDocument(
            self.data,
            self.archive,
            readers,
            reading,
            left=left,
            relabel=kind.relabel,
            labelled=self.members(*(ending.lower() for ending in kind.labelled)) if kind.labelled else (),
            notes=[*signed, *notes],
        )


def office_of(data: bytes, kind: Kind, reading: Reading) -> Office:
    """Unpack a document and see what its parts are.

    Raises:
        DocumentError: it is no document of this kind, is damaged, encrypted, or refused.
        DocumentTooLargeError: it exceeds a limit.
    """
    archive = opened(data, reading)
    names = {_plain(name): name for name in archive.members}
    if _CONTENTS not in names:
        raise DocumentError(f"{reading.name}: is no {kind.name}: its archive has no list of contents; save it again")
    defaults: dict[str, str] = {}
    stated: dict[str, str] = {}
    for one in parsed_xml(archive.members[names[_CONTENTS]], reading, member=names[_CONTENTS]).getroot():
        type_ = (one.get("ContentType") or "").lower()
        if part := one.get("PartName"):
            stated[_plain(part)] = type_
        elif ending := one.get("Extension"):
            defaults[ending.lower()] = type_
    types = {name: stated.get(plain) or defaults.get(plain.rpartition(".")[2], "") for plain, name in names.items()}
    office = Office(data, archive, types)
    if not office.members(*(ending.lower() for ending in kind.main)):
        raise DocumentError(f"{reading.name}: is no {kind.name}; give its true ending, or state the format")
    return office


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
