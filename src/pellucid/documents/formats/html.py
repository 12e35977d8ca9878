"""HTML and XHTML: text, titles, and the attributes that people read.

Scripts, styles, code, ``<pre>``, comments and elements with ``translate="no"`` stay as they are. Read
``../markup/rules.py`` for what parts sentences, and ``markdown.py`` next.

A page that ends within a tag or a comment was cut off, and is refused; so is XHTML without the end of its root. In HTML
that end may be left out, so the page is translated, with a note.
"""

from __future__ import annotations

import re
from typing import Final

from pellucid.documents.limits import Reading
from pellucid.documents.markup.rules import HTML, XHTML
from pellucid.documents.markup.segmenting import markup_of
from pellucid.documents.markup.wholeness import without_end
from pellucid.documents.safe_xml import refuse_declarations
from pellucid.documents.segments import notes_of
from pellucid.documents.spans import SpanDocument, decoded
from pellucid.errors import DocumentError

__all__ = ["read"]

_BEGINNING: Final = 4096
_CHARSET: Final = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9._:-]{1,40})""", re.IGNORECASE)
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ROOT: Final = re.compile(r"<html(?=[\s>])", re.IGNORECASE)
_END_OF_ROOT: Final = re.compile(r"</html\s*>", re.IGNORECASE)


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read a page; it is XHTML if it begins with an XML declaration."""
    beginning = data[:_BEGINNING]
    stated = _DECLARED.search(beginning) or _CHARSET.search(beginning)
    file = decoded(data, reading, stated=stated[1].decode("ascii") if stated else "")
    is_xml = file.text.lstrip().startswith("<?xml")
    if is_xml:
        refuse_declarations(data, reading.name)
    if problem := without_end(file.text, is_xml=is_xml):
        raise DocumentError(f"{reading.name}: was cut off, or is damaged: {problem}")
    notes = []
    if _ROOT.search(file.text) and not _END_OF_ROOT.search(file.text):
        if is_xml:
            raise DocumentError(f"{reading.name}: ends without </html>, so it was cut off; fetch or save it again")
        notes.append("the page has no </html>; check that it was not cut off")
    found = markup_of(file.text, XHTML if is_xml else HTML, reading)
    return SpanDocument(
        file,
        found.spans,
        reading.name,
        labels=found.labels,
        notes=[*notes, *notes_of(found.left)],
        errors="xmlcharrefreplace",
    )
