"""Gettext files (.po, .pot): translations that are missing are filled in; everything else stays byte for byte.

What has a translation, fuzzy or not, stays; so do obsolete entries. The first plural form is translated from the
singular, the others from the plural; a language with one form has that of the plural. Read ``string_tables.py`` next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pellucid.documents.languages import restated
from pellucid.documents.limits import Reading
from pellucid.documents.placeholders import parts_of_string
from pellucid.documents.segments import Segment, notes_of
from pellucid.documents.spans import Label, Place, Span, SpanDocument, decoded, line_of, lines_of
from pellucid.errors import DocumentError

__all__ = ["read"]

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_KEYWORD: Final = re.compile(
    r'(msgctxt|msgid_plural|msgid|msgstr(?:\[\d{1,2}\])?)[ \t]*+("(?:[^"\\\r\n]|\\.)*+")[ \t]*$'
)
_STRING: Final = re.compile(r'[ \t]*+("(?:[^"\\\r\n]|\\.)*+")[ \t]*$')
_CHARSET: Final = re.compile(rb"charset=([A-Za-z0-9._-]{1,40})")
_ESCAPE: Final = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_WRITTEN: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"})
_LANGUAGE: Final = re.compile(r"(?<=[\"n])Language:[ \t]*+([A-Za-z_@.-]*)(?=\\n)")
_HEADER: Final = 1 << 16


@dataclass
class _Entry:
    """The strings of an entry, and where each stands: from its first quotation mark to its last."""

    texts: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    last: str = ""
    is_fuzzy: bool = False


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read a file of gettext; the segments are what has no translation."""
    stated = _CHARSET.search(data[:_HEADER])
    encoding = stated[1].decode("ascii") if stated and stated[1] != b"CHARSET" else ""
    file = decoded(data, reading, stated=encoding)
    starts = lines_of(file.text)
    spans: list[Span] = []
    labels: list[Label] = []
    left = Counter[str]()
    entry = _Entry()
    for entry in _entries(file.text, reading, starts):
        if entry.texts.get("msgid"):
            spans += _spans(entry, starts)
            left["fuzzy translation" if entry.is_fuzzy else "translation"] += any(
                text for name, text in entry.texts.items() if name.startswith("msgstr")
            )
        elif "msgstr" in entry.places:
            labels += _labels(file.text, entry.places["msgstr"], reading)
    if entry.texts and "msgstr" not in " ".join(entry.texts):
        where = line_of(starts, entry.places[entry.last or next(iter(entry.places))].start)
        raise DocumentError(
            f"{reading.name}, {where}: the file ends within this entry, so it was cut off; fetch it again"
        )
    return SpanDocument(file, spans, reading.name, labels=labels, notes=notes_of(left))


def _labels(text: str, header: Place, reading: Reading) -> Iterator[Label]:
    """Yield where the header states no language, or the source language."""
    found = _LANGUAGE.search(text, header.start, header.end)
    if found and reading.target_language:
        new = reading.target_language if not found[1] else restated(found[1], reading)
        if new:
            yield Label(Place(*found.span(1)), new if found[0].endswith(" ") or found[1] else f" {new}")


def _entries(text: str, reading: Reading, starts: list[int]) -> Iterator[_Entry]:
    entry, is_fuzzy = _Entry(), False
    for found in _LINE.finditer(text):
        line = found[0].rstrip("\r\n")
        if not line.strip() or line.startswith("#"):
            entry.last = ""
            is_fuzzy = is_fuzzy or (line.startswith("#,") and "fuzzy" in line)
            continue
        if keyword := _KEYWORD.match(line):
            name = keyword[1]
            if name in ("msgctxt", "msgid") and "msgstr" in " ".join(entry.texts):
                yield entry
                entry = _Entry()
            if name in ("msgctxt", "msgid") and not entry.texts:
                entry.is_fuzzy, is_fuzzy = is_fuzzy, False
            entry.texts[name] = keyword[2][1:-1]
            entry.places[name] = Place(found.start() + keyword.start(2), found.start() + keyword.end(2))
            entry.last = name
        elif (more := _STRING.match(line)) and entry.last:
            entry.texts[entry.last] += more[1][1:-1]
            entry.places[entry.last] = Place(entry.places[entry.last].start, found.start() + more.end(1))
        else:
            where = line_of(starts, found.start())
            raise DocumentError(
                f"{reading.name}, {where}: is no line of a PO file; correct it, or check it with msgfmt -c"
            )
    yield entry


def _spans(entry: _Entry, starts: list[int]) -> Iterator[Span]:
    forms = [name for name in entry.places if name.startswith("msgstr")]
    for number, name in enumerate(forms):
        is_singular = "msgid_plural" not in entry.texts or (number == 0 and len(forms) > 1)
        source = _resolved(entry.texts["msgid" if is_singular else "msgid_plural"])
        if not entry.texts[name] and source.strip():
            segment = Segment(parts_of_string(source), line_of(starts, entry.places[name].start))
            yield Span(entry.places[name], segment, _written, _quoted, is_target=True)


def _resolved(raw: str) -> str:
    return _ESCAPE.sub(_character, raw)


def _character(found: re.Match[str]) -> str:
    if found[1] or found[2]:
        return chr(int(found[1], 8) if found[1] else int(found[2], 16))
    return _ESCAPES.get(found[3], found[3])


def _written(text: str) -> str:
    return text.translate(_WRITTEN)


def _quoted(written: str) -> str:
    return f'"{written}"'
