"""Read PO files of gettext. Read ``tables.py`` next.

polib parses one block of lines between blank lines at a time, so a broken entry costs itself only.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.errors import DataError
from pellucid.text.compression import NO_COMPRESSION, telling_damage
from pellucid.text.formats.languages import answers
from pellucid.text.formats.units import MAX_UNIT_CHARACTERS, Found, LeftOut, Reason, Request, Unit
from pellucid.text.lines import BYTE_ORDER_MARK, open_text, refuse_other_text

if TYPE_CHECKING:
    from polib import POEntry

__all__ = ["read_po"]

_CHARSET: Final = re.compile(rb"charset=([A-Za-z0-9._-]{1,40})")
_HEADER_BYTES: Final = 1 << 16
_TEXT: Final = r'"(?:[^"\\]|\\.)*+"'
_LINE: Final = re.compile(
    rf"\s*(?:#~\|.*|(?:#~\s*)?(?:(?:msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?)\s*{_TEXT}|{_TEXT})\s*|#(?!~).*|#~\s*)\Z"
)
_KEYWORD: Final = re.compile(r"^(?:#~\s*)?(msgctxt|msgid_plural|msgid|msgstr)", re.MULTILINE)
_PLURALS: Final = re.compile(r"nplurals\s*=\s*(\d+)")
_TWO_FORMS: Final = 2
_SINGULAR_FIRST: Final = 3
"""With more forms than these, the first one is not that of a single thing in every language (Arabic: of none)."""


@dataclass(frozen=True)
class _Header:
    language: str = ""
    source_language: str = ""
    plurals: int = _TWO_FORMS


def read_po(path: Path, request: Request) -> Iterator[Found]:
    """Yield the entries of a file, and each plural form as one; ``msgid`` is the source, or the target if so stated.

    Raises:
        DataError: the file cannot be read, has no entries, or has another language.
    """
    header, has_entries, is_turned = _Header(), False, False
    for block, line in _blocks(path):
        if block is None:
            has_entries = True
            yield LeftOut(Reason.TOO_LARGE, line)
            continue
        entries, stated = _entries(block)
        if stated is not None:
            header, has_entries = stated, True
            is_turned = _is_turned(path, header, request)
        if entries is None:
            has_entries = True
            yield LeftOut(Reason.BROKEN, line)
        for entry in entries or ():
            has_entries = True
            place = line + max(0, entry.linenum - 1)
            for found in _found(entry, place, header, keeps_context=request.corpus.keep_context):
                if is_turned and isinstance(found, Unit):
                    found = Unit(found.target, found.source, found.line, found.document, found.codes[::-1])
                yield found
    if not has_entries:
        raise DataError(f"{path}: has no entries (msgid and msgstr), so it is not a PO file, or it is empty")


def _is_turned(path: Path, header: _Header, request: Request) -> bool:
    source, target = request.languages

    def fits(source: str, target: str) -> bool:
        is_source = not header.source_language or answers(source, header.source_language)
        return is_source and (not header.language or answers(target, header.language))

    if fits(source, target):
        return False
    if fits(target, source):
        request.say(f"{path.name}: translates into {header.language}, and is read the other way round")
        return True
    stated = f"from {header.source_language!r} " if header.source_language else ""
    raise DataError(
        f"{path}: translates {stated}into {header.language!r}, and the languages of this corpus are {source!r} and "
        f"{target!r}; leave the file out, or set the languages"
    )


def _blocks(path: Path) -> Iterator[tuple[str | None, int]]:
    """Yield the lines between blank lines, with the line where they begin; None for a block that is too large."""
    lines: list[str] = []
    size = begin = 0
    for number, line in enumerate(_lines(path)):
        if line.strip():
            begin = begin if size else number
            size += len(line)
            if size <= MAX_UNIT_CHARACTERS:
                lines.append(line)
        elif size:
            yield (None if size > MAX_UNIT_CHARACTERS else "".join(lines)), begin
            lines, size = [], 0
    if size:
        yield (None if size > MAX_UNIT_CHARACTERS else "".join(lines)), begin


def _lines(path: Path) -> Iterator[str]:
    encoding = _encoding(path)
    compression, done = NO_COMPRESSION, 0
    with telling_damage(path, lambda: compression, lines=lambda: done), open_text(path) as opened:
        compression = opened.compression
        # A line without an end comes in parts; its block is too large in any case.
        while raw := opened.stream.readline(MAX_UNIT_CHARACTERS):
            raw = raw if done else raw.removeprefix(BYTE_ORDER_MARK)
            yield raw.decode(encoding, errors="surrogateescape").replace("\r\n", "\n")
            done += 1


def _encoding(path: Path) -> str:
    with telling_damage(path, lambda: NO_COMPRESSION, lines=lambda: 0), open_text(path) as opened:
        first = opened.stream.read(_HEADER_BYTES)
    refuse_other_text(path, first)
    stated = _CHARSET.search(first)
    encoding = stated[1].decode() if stated and stated[1] != b"CHARSET" else "utf-8"
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise DataError(f"{path}: states the unknown charset {encoding!r}; save it as UTF-8") from None
    return encoding


def _entries(block: str) -> tuple[list[POEntry] | None, _Header | None]:
    """Return the entries of a block, and the header if it is in there; None for a block that is not well-formed."""
    import polib

    # polib takes a line without its closing mark for a shorter text.
    if not all(_LINE.match(line) for line in block.split("\n") if line.strip()):
        return None, None
    # polib takes an entry without msgstr for one without a translation.
    keywords = _KEYWORD.findall(block)
    if keywords and keywords[-1] != "msgstr":
        return None, None
    try:
        # polib opens a text that is the name of a file; no name begins with a comment and a line break.
        found = polib.pofile("#\n" + block)
    except (OSError, ValueError, IndexError, TypeError, UnicodeError):
        return None, None
    if not len(found) and not found.metadata:
        return ([], None) if all(line[:1] in {"", "#"} for line in block.split("\n")) else (None, None)
    for entry in found:
        entry.linenum -= 1
    if not found.metadata:
        return list(found), None
    plurals = _PLURALS.search(found.metadata.get("Plural-Forms", ""))
    return list(found), _Header(
        language=found.metadata.get("Language", "").partition(".")[0].strip(),
        source_language=(found.metadata.get("X-Source-Language") or "").strip(),
        plurals=int(plurals[1][:3]) if plurals else _TWO_FORMS,
    )


def _found(entry: POEntry, line: int, header: _Header, *, keeps_context: bool) -> Iterator[Found]:
    forms = sorted(entry.msgstr_plural.items()) if entry.msgid_plural else [(0, entry.msgstr)]
    reason = None
    if entry.obsolete:
        reason = Reason.OBSOLETE
    elif entry.fuzzy:
        reason = Reason.FUZZY
    elif entry.msgctxt is not None and not keeps_context:
        reason = Reason.CONTEXT
    for number, text in forms:
        if reason is not None:
            yield LeftOut(reason, line)
            continue
        source = entry.msgid
        if entry.msgid_plural:
            matching = _source_form(entry, number, count=max(header.plurals, len(forms)))
            if matching is None:
                yield LeftOut(Reason.PLURAL_FORM, line)
                continue
            source = matching
        if not text.strip():
            yield LeftOut(Reason.UNTRANSLATED, line)
        else:
            # A file of gettext is one document.
            yield Unit(source, text, line, "file", (header.source_language, header.language))


def _source_form(entry: POEntry, number: int, *, count: int) -> str | None:
    """Return the form of the source that a plural form translates: the last one is that of many things."""
    if number == count - 1:
        return str(entry.msgid_plural)
    return str(entry.msgid) if number == 0 and count <= _SINGULAR_FIRST else None
