"""Turn a segment with inline codes into text in which each code is a tag that ``placeholders=keep`` recognises.

A pair of codes becomes ``<g1>`` and ``</g1>``, and a single one ``<x2/>``. The numbers count the codes of the source; a
code of the target has the number of the code that it belongs to. A single code that is a format placeholder (``%s``,
``{0}``) is written as such. What native code they stand for (RTF, HTML) is not kept. Read ``tmx.py`` next.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from pellucid.text.formats.markup import local_name

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["INLINE_TAG", "InlineCodes"]

INLINE_TAG: Final = re.compile(r"</?g\d+>|<x\d+/>")
"""What ``InlineCodes`` writes."""
_PAIRED: Final = {"hi", "g", "pc"}
_OPENING: Final = {"bpt", "bx", "sc"}
_CLOSING: Final = {"ept", "ex", "ec"}
_SINGLE: Final = {"ph", "x", "it", "ut"}
_WITHOUT_TEXT: Final = {"sub", "sm", "em", "cp"}
_ORIGINS: Final = {
    "bpt": ("x", "id", "i"),
    "bx": ("rid", "id"),
    "sc": ("id",),
    "ept": ("i", "rid", "id"),
    "ex": ("rid", "id"),
    "ec": ("startRef", "id"),
}
_FORMAT: Final = re.compile(
    r"[$#]?\{\{?[^{}\s<>]{0,64}\}?\}|%(?:\(\w{1,64}\)|\d\$)?[#0+-]{0,3}\d{0,3}(?:\.\d{1,3})?(?:hh?|ll?)?[sdifuxXeEgGc@]"
)


class InlineCodes:
    """The codes of one unit; ``text_of`` takes its source first."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def text_of(self, segment: _Element) -> str:
        """Return the text of a segment with its codes as tags."""
        side = _Side(self._numbers)
        return side.text_of(segment)


class _Side:
    def __init__(self, numbers: dict[tuple[str, str], int]) -> None:
        self._numbers = numbers
        self._open: dict[str, tuple[str, str]] = {}
        self._seen: Counter[str] = Counter()

    def text_of(self, element: _Element) -> str:
        parts = [element.text or ""]
        for child in element:
            parts += (self._written(child), child.tail or "")
        return "".join(parts)

    def _written(self, element: _Element) -> str:
        name = local_name(element)
        if name in _WITHOUT_TEXT:
            return ""
        if name in _PAIRED:
            number = self._number("pair", element.get("x") or element.get("id") or "")
            return f"<g{number}>{self.text_of(element)}</g{number}>"
        if name in _OPENING:
            key = self._key("pair", _first(element, _ORIGINS[name]))
            self._open[_first(element, ("i", "rid", *_ORIGINS[name]))] = key
            return f"<g{self._numbered(key)}>"
        if name in _CLOSING and (began := self._open.pop(_first(element, _ORIGINS[name]), None)):
            return f"</g{self._numbered(began)}>"
        if name in _CLOSING or name in _SINGLE:
            native = element.get("equiv-text") or element.get("equiv") or (element.text or "").strip()
            if _FORMAT.fullmatch(native):
                return native
            return f"<x{self._number('single', element.get('x') or element.get('id') or '')}/>"
        return self.text_of(element)  # mrk and marks of a tool's own

    def _key(self, kind: str, name: str) -> tuple[str, str]:
        if name:
            return kind, name
        self._seen[kind] += 1
        return kind, f"number {self._seen[kind]}"

    def _numbered(self, key: tuple[str, str]) -> int:
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def _number(self, kind: str, name: str) -> int:
        return self._numbered(self._key(kind, name))


def _first(element: _Element, names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := element.get(name))), "")
