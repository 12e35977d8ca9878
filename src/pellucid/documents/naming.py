"""Which format a document has, by its name, its media type, or as stated; and the reader of each.

A reader is imported when it is needed. A new format is a row of ``FORMATS`` and a module with a function ``read``.
Read ``spans.py`` next.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePath
from typing import Final

from pellucid.documents.limits import Reading
from pellucid.documents.segments import Document
from pellucid.errors import DocumentError
from pellucid.text.formats.content import BEGINNING_BYTES, SHOWN, kind_of

__all__ = ["FORMATS", "Format", "format_named", "format_of", "read_document"]

_ROOM: Final = "pellucid.documents"


@dataclass(frozen=True)
class Format:
    """A format of documents."""

    name: str
    suffixes: tuple[str, ...]
    media_types: tuple[str, ...]
    module: str
    """In this room; it has ``read(data, reading)``, which returns a ``Document``."""


_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_OPEN: Final = "application/vnd.oasis.opendocument."
_ZIPPED: Final = (
    Format("docx", (".docx",), (f"{_OFFICE}wordprocessingml.document",), "zipped.docx"),
    Format("pptx", (".pptx",), (f"{_OFFICE}presentationml.presentation",), "zipped.pptx"),
    Format("xlsx", (".xlsx",), (f"{_OFFICE}spreadsheetml.sheet",), "zipped.xlsx"),
    Format("odt", (".odt",), (f"{_OPEN}text",), "zipped.odf"),
    Format("ods", (".ods",), (f"{_OPEN}spreadsheet",), "zipped.odf"),
    Format("odp", (".odp",), (f"{_OPEN}presentation",), "zipped.odf"),
    Format("epub", (".epub",), ("application/epub+zip",), "zipped.epub"),
)

FORMATS: Final[tuple[Format, ...]] = (
    Format("txt", (".txt", ".text"), ("text/plain",), "formats.txt"),
    Format("html", (".html", ".htm", ".xhtml"), ("text/html", "application/xhtml+xml"), "formats.html"),
    Format("markdown", (".md", ".markdown", ".mkd"), ("text/markdown",), "formats.markdown"),
    Format("po", (".po", ".pot"), ("text/x-gettext-translation",), "formats.po"),
    Format(
        "xliff",
        (".xlf", ".xliff", ".mxliff", ".mqxliff", ".sdlxliff"),
        ("application/xliff+xml", "application/x-xliff+xml"),
        "formats.xliff",
    ),
    Format("json", (".json", ".arb"), ("application/json",), "formats.json_strings"),
    Format("yaml", (".yaml", ".yml"), ("application/yaml", "text/yaml"), "formats.yaml_strings"),
    Format("srt", (".srt",), ("application/x-subrip",), "formats.subtitles"),
    Format("vtt", (".vtt",), ("text/vtt",), "formats.subtitles"),
    *_ZIPPED,
)


_MAY_BE_EMPTY: Final = frozenset({"txt", "html", "markdown", "po", "yaml", "srt", "vtt"})
"""Nothing is a document of these formats, too, and has no text."""


def format_named(name: str) -> Format:
    """Return the format of a name.

    Raises:
        DocumentError: there is none.
    """
    for one in FORMATS:
        if one.name == name.lower():
            return one
    raise DocumentError(f"the format {name[:40]!r} is unknown; use {', '.join(one.name for one in FORMATS)}")


def format_of(file_name: str, media_type: str = "") -> Format:
    """Return the format of a file by its suffix, or else by its media type.

    Raises:
        DocumentError: neither is known.
    """
    suffix = PurePath(file_name).suffix.lower()
    bare = media_type.partition(";")[0].strip().lower()
    for one in FORMATS:
        if suffix in one.suffixes:
            return one
    for one in FORMATS:
        if not suffix and bare in one.media_types:
            return one
    every = " ".join(ending for one in FORMATS for ending in one.suffixes)
    raise DocumentError(
        f"{file_name[-80:]}: its name does not tell its format; rename it, or state the format; known endings: {every}"
    )


def read_document(data: bytes, format: Format, reading: Reading | None = None) -> Document:
    """Read a document.

    Raises:
        DocumentError: its content is plainly of another format; or it is none of this one, is damaged, or is refused.
        DocumentTooLargeError: it exceeds a limit.
    """
    reading = reading or Reading()
    reading.refuse_large(data)
    if format.name not in _MAY_BE_EMPTY and not data.removeprefix(BOM_UTF8).strip():
        raise DocumentError(
            f"{reading.name}: is empty, and a document of the format {format.name} is not; save it again"
        )
    _refuse_other_content(data, format, reading.name)
    read: Callable[[bytes, Reading], Document] = import_module(f"{_ROOM}.{format.module}").read
    document = read(data, reading)
    reading.refuse_many(document.segments)
    return document


def _refuse_other_content(data: bytes, format: Format, name: str) -> None:
    kind = kind_of(data[:BEGINNING_BYTES], rest=data)
    # Their readers say more about a ZIP archive, and about a file of Office with a password, which looks like an old
    # one. A file of strings in JSON may be on one line, and a text may show what JSON or a PO file looks like.
    usual = {"jsonl", "xml", *(("po", "html") if format.name in ("markdown", "yaml") else ())}
    if not kind or kind == format.name or kind in usual or (kind in ("zip", "ole") and format in _ZIPPED):
        return
    known = next((one for one in FORMATS if one.name == kind), None)
    remedy = f"state the format {kind!r}, or rename it to end in {known.suffixes[0]}" if known else "save it as another"
    raise DocumentError(f"{name}: is to be read as {format.name}, and its content is {SHOWN[kind]}; {remedy}")
