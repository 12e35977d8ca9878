"""Say what a file plainly is by its first bytes, whatever its name says. Read ``naming.py`` next.

Only what cannot be anything else has a kind: text in lines, tables and prose have none.
"""

from __future__ import annotations

import json
import re
from typing import Final

__all__ = ["BEGINNING_BYTES", "LINES_NEVER_ARE", "SHOWN", "kind_of"]

BEGINNING_BYTES: Final = 1 << 13
"""How much of a file is looked at."""

SHOWN: Final = {
    "tmx": "TMX", "xliff": "XLIFF", "html": "HTML", "xml": "XML", "po": "PO", "jsonl": "JSON lines",
    "parquet": "Parquet", "docx": "a Word document", "pptx": "a presentation", "xlsx": "a spreadsheet of Excel",
    "odt": "a text of OpenDocument", "ods": "a spreadsheet of OpenDocument", "odp": "a presentation of OpenDocument",
    "epub": "an EPUB", "zip": "a ZIP archive", "ole": "an Office file from before 2007", "pdf": "PDF", "rtf": "RTF",
}  # fmt: skip
"""How people are shown a kind."""
LINES_NEVER_ARE: Final = frozenset(SHOWN) - {"html", "po", "jsonl"}
"""Kinds whose files are never one text a line."""

_MARKS: Final = (
    (b"PAR1", "parquet"),
    (b"%PDF-", "pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"{\\rtf1", "rtf"),
)
_ZIP: Final = b"PK\x03\x04"
_PARTS: Final = ((b"word/document", "docx"), (b"ppt/presentation", "pptx"), (b"xl/workbook", "xlsx"))
_MEDIA: Final = (
    (b"epub+zip", "epub"),
    (b"opendocument.text", "odt"),
    (b"opendocument.spreadsheet", "ods"),
    (b"opendocument.presentation", "odp"),
)
_MEDIA_TYPE: Final = re.compile(rb"PK\x03\x04.{26}mimetype(?:.{0,64}?)application/([a-z.+-]{1,80})", re.DOTALL)
# In old releases of Python a possessive group ends right only if its last alternative is (?!), which never matches.
_PROLOG: Final = re.compile(
    r"(?:\s|<\?(?:(?!\?>).|(?!))*+\?>|<!--(?:(?!-->).|(?!))*+-->|<!DOCTYPE[^\[<>]*+(?:\[[^\]]*+\]\s*+)?>|(?!))*+"
    r"<(?:[A-Za-z_][\w.-]*+:)?([A-Za-z_][\w.-]*+)(?=[\s/>])",
    re.DOTALL | re.IGNORECASE,
)
_HTML: Final = re.compile(r"<!DOCTYPE\s+html\b", re.IGNORECASE)
_PO: Final = re.compile(r'^msgid[ \t]+".*\nmsgstr[ \t]+"', re.MULTILINE)


def kind_of(beginning: bytes, *, rest: bytes = b"") -> str:
    """Return what a file is, one of ``SHOWN``, or nothing where it may be lines, a table or prose.

    Args:
        beginning: its first bytes, unpacked; ``BEGINNING_BYTES`` of them are enough.
        rest: all of it, where it is in memory; it tells the archives of Office from each other.
    """
    for mark, kind in _MARKS:
        if beginning.startswith(mark):
            return kind
    if beginning.startswith(_ZIP):
        return _archive(beginning, rest or beginning)
    text = _text_of(beginning[:BEGINNING_BYTES])
    if found := _PROLOG.match(text):
        name = found[1].lower()
        if name in ("tmx", "xliff", "html"):
            return name
        if _HTML.search(found[0]):
            return "html"
    if text.lstrip().startswith("<?xml"):
        return "xml"
    return "po" if _PO.search(text) else _json(text)


def _archive(beginning: bytes, whole: bytes) -> str:
    if found := _MEDIA_TYPE.match(beginning):
        return next((kind for media, kind in _MEDIA if found[1].endswith(media)), "zip")
    if b"[Content_Types].xml" not in whole:
        return "zip"
    return next((kind for part, kind in _PARTS if part in whole), "zip")


def _text_of(beginning: bytes) -> str:
    encoding = "utf-16" if beginning[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return beginning.decode(encoding, errors="ignore")


def _json(text: str) -> str:
    first = text.lstrip().partition("\n")[0]
    if not first.startswith("{"):
        return ""
    try:
        return "jsonl" if isinstance(json.loads(first), dict) else ""
    except (ValueError, RecursionError):
        return ""
