"""Character references: resolve them in text that is read, write them in text that is new.

The names of HTML count in XML, too, where many texts use them undeclared. New text never becomes markup. A character
for which the segment had a reference (``&nbsp;``) is written with the same one. Read ``rules.py`` next.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from html.entities import html5
from typing import Final

__all__ = ["escaper", "quoted_escaper", "resolved", "unknown_in"]

_REFERENCE: Final = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_IN_XML: Final = re.compile(r"&(?:[^\W\d][\w:.-]{0,63}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_SHORT: Final = "|".join(sorted((name for name in html5 if name[-1] != ";"), key=len, reverse=True))
"""Names that need no semicolon in HTML (section 13.2.5.73); in an attribute, no letter may follow."""
_IN_HTML: Final = re.compile(rf"{_REFERENCE.pattern}|&(?:#\d{{1,7}}|#[xX][0-9A-Fa-f]{{1,6}}|{_SHORT})")
_IN_ATTRIBUTE: Final = re.compile(
    rf"{_REFERENCE.pattern}|&(?:#\d{{1,7}}|#[xX][0-9A-Fa-f]{{1,6}}|(?:{_SHORT})(?![=A-Za-z0-9]))"
)
_MARKUP: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_QUOTES: Final = {'"': "&quot;", "'": "&#39;"}


def resolved(text: str, *, is_html: bool = False, is_attribute: bool = False) -> str:
    """Return a text with its character references resolved; one that is unknown stays.

    In HTML numbers and some names need no semicolon; elsewhere, what has none is no reference.
    """
    if "&" not in text:
        return text
    pattern = (_IN_ATTRIBUTE if is_attribute else _IN_HTML) if is_html else _REFERENCE
    return pattern.sub(lambda found: _character(found[0]), text)


def unknown_in(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the places of the references in a stretch of XML that stand for no character that is known here."""
    for found in _IN_XML.finditer(text, start, end):
        is_number = found[0][1] == "#"
        if _character(found[0]) == found[0] if is_number else found[0][1:] not in html5:
            yield found.span()


def _character(reference: str) -> str:
    character = html.unescape(reference)
    if reference[1] == "#":
        return character if character.isprintable() or character.isspace() else reference
    return character


def escaper(source: str) -> Callable[[str], str]:
    """Return how new text is written in the place of some source text as it stands in the file."""
    return _writer({**_used_in(source), **_MARKUP})


def quoted_escaper(source: str, quote: str) -> Callable[[str], str]:
    """Return how a new value of an attribute is written; without quotation marks in the file it gets some."""
    write = _writer({**_used_in(source), **_MARKUP, (quote or '"'): _QUOTES[quote or '"']})
    return write if quote else lambda text: f'"{write(text)}"'


def _used_in(source: str) -> dict[str, str]:
    used: dict[str, str] = {}
    for found in _REFERENCE.finditer(source):
        character = _character(found[0])
        if len(character) == 1:
            used.setdefault(character, found[0])
    return used


def _writer(references: Mapping[str, str]) -> Callable[[str], str]:
    table = str.maketrans(dict(references))
    return lambda text: text.translate(table)
