"""What tests of documents share: read a text, translate it by a function, and look at its segments."""

from __future__ import annotations

from collections.abc import Callable

from pellucid.documents.limits import Reading
from pellucid.documents.naming import format_named, read_document
from pellucid.documents.segments import Document, Parts


def opened(format: str, data: bytes | str, **languages: str) -> Document:
    data = data.encode() if isinstance(data, str) else data
    return read_document(data, format_named(format), Reading(f"a.{format}", **languages))


def identity(document: Document) -> bytes:
    return document.merge([segment.parts for segment in document.segments])


def changed(document: Document, change: Callable[[str], str] = str.upper) -> str:
    """Return the document with every stretch of text changed."""

    def of(parts: Parts) -> Parts:
        return tuple(change(part) if isinstance(part, str) else part for part in parts)

    return document.merge([of(segment.parts) for segment in document.segments]).decode()


def shown(document: Document) -> list[str]:
    """Return segments as ``Hello (1big 1) world [2]``."""
    marks = {"opening": "({}", "closing": "{})", "standalone": "[{}]"}
    return [
        "".join(part if isinstance(part, str) else marks[part.kind].format(part.number) for part in segment.parts)
        for segment in document.segments
    ]
