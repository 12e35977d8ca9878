"""XLIFF 1.2 and 2.x: units without a translation get one; sources, notes and everything else stay byte for byte.

A unit with ``translate="no"`` stays. Codes of the source are copied into the target as they stand;
the tags of another markup in its text (in CDATA, or escaped) are codes, too, and are written escaped. Read
``../naming.py`` for all formats.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pellucid.documents.limits import Reading
from pellucid.documents.markup.escapes import escaper, resolved
from pellucid.documents.markup.tokens import Token, TokenKind, attributes_in, tokens_of
from pellucid.documents.markup.wholeness import not_well_formed
from pellucid.documents.placeholders import parts_of_string
from pellucid.documents.safe_xml import refuse_declarations
from pellucid.documents.segments import Code, CodeKind, Parts, Segment, merged_text, notes_of
from pellucid.documents.spans import Label, Place, Span, SpanDocument, decoded, line_of, lines_of
from pellucid.errors import DocumentError

__all__ = ["read"]

_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_UNITS: Final = frozenset({"trans-unit", "segment"})
_TAGS: Final = re.compile(r"</?(?:\w+:)?(?:mrk|g|sm|em)(?=[\s/>])[^<>]*>|<!--.*?-->", re.DOTALL)
_OPENING: Final = {"bpt": ("rid", "id"), "bx": ("rid", "id"), "sc": ("id",)}
_CLOSING: Final = {"ept": ("rid", "id"), "ex": ("rid", "id"), "ec": ("startRef", "id")}
_WITH_CONTENT: Final = frozenset({"ph", "it", "bpt", "ept"})
_UNSEEN: Final = frozenset({"it", "sm", "em"})
"""Halves of pairs whose other half is elsewhere: of formatting, and of annotations."""
_NEW: Final = ' state="needs-review-translation"'
"""What a new target of XLIFF 1.2 says; in XLIFF 2 the segment has a state, and stays ``initial``."""
_STATE: Final = re.compile(r"""(?<=\bstate=["'])(?:new|needs-translation)(?=["'])""")
_STATED_IN: Final = {"file": ("source-language", "target-language"), "xliff": ("srcLang", "trgLang")}
_UNTRANSLATED: Final = frozenset({"new", "needs-translation", "initial"})


@dataclass
class _Unit:
    """A unit that is being read: the tokens of its source and of its target."""

    opening: Token
    source: tuple[int, int] | None = None
    """Numbers of its tokens: the opening tag, and the closing one."""
    target: tuple[int, int] | None = None


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read a file of XLIFF; the segments are what has no translation."""
    stated = _DECLARED.search(data[:4096])
    refuse_declarations(data, reading.name)
    file = decoded(data, reading, stated=stated[1].decode("ascii") if stated else "")
    if problem := not_well_formed(file.text):
        raise DocumentError(f"{reading.name}: is not well-formed XML ({problem}); save it again with its editor")
    finder = _Finder(file.text)
    spans = list(finder.spans())
    if not finder.units:
        raise DocumentError(
            f"{reading.name}: has no units (<trans-unit> or <unit>), so it is not XLIFF, or it is empty"
        )
    labels = finder.labels(reading) if spans else ()
    notes = notes_of(finder.left)
    return SpanDocument(file, spans, reading.name, labels=labels, notes=notes, errors="xmlcharrefreplace")


class _Finder:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens_of(text, is_xml=True))
        self._lines = lines_of(text)
        self.units = 0
        self.left = Counter[str]()

    def labels(self, reading: Reading) -> Iterator[Label]:
        """Yield where the target language is not stated, which XLIFF requires of a file with targets."""
        for token in self._tokens:
            name = _STATED_IN.get(token.name.rpartition(":")[2])
            if token.kind is TokenKind.OPENING and name and reading.target_language:
                attributes = self._attributes(token)
                if name[0] in attributes and name[1] not in attributes:
                    yield Label(Place(token.end - 1, token.end - 1), f' {name[1]}="{reading.target_language}"')

    def spans(self) -> Iterator[Span]:
        unit: _Unit | None = None
        refusing: list[bool] = []  # of each open element: whether it is not for translation
        inside = 0  # source, target, or what else holds units' text
        begun = 0
        for number, token in enumerate(self._tokens):
            name = token.name.rpartition(":")[2]
            if token.kind is TokenKind.OPENING:
                is_refused = bool(refusing) and refusing[-1]
                stated = self._attributes(token).get("translate") if not inside else None
                refusing.append(stated == "no" or (is_refused and stated != "yes"))
                if name in _UNITS:
                    unit = None if refusing[-1] else _Unit(token)
                    self.left["untranslatable unit"] += refusing[-1]
                    self.units += 1
                elif inside or name in ("source", "target", "seg-source", "alt-trans", "note", "matches"):
                    begun = begun if inside else number
                    inside += 1
            elif token.kind is TokenKind.CLOSING:
                if refusing:
                    refusing.pop()
                inside -= inside > 0
                if unit is not None and not inside and name in ("source", "target", "seg-source"):
                    self._take(unit, name, (begun, number))
                elif name in _UNITS and unit is not None:
                    yield from self._span(unit)
                    unit = None
            elif token.kind is TokenKind.EMPTY and name == "target" and unit is not None and not inside:
                unit.target = (number, number)

    def _take(self, unit: _Unit, name: str, tokens: tuple[int, int]) -> None:
        if name == "target":
            unit.target = tokens
        else:  # the source in segments, if there is one, says more than the source
            unit.source = tokens

    def _span(self, unit: _Unit) -> Iterator[Span]:
        if unit.source is None:
            return
        first, last = (self._tokens[number] for number in unit.source)
        prefix = first.name.rpartition(":")[0]
        tag = f"{prefix}:target" if prefix else "target"
        if unit.target is None:
            place = Place(last.end, last.end)
            line = self._text.rfind("\n", 0, first.start) + 1
            indent = self._text[line : first.start]
            before = f"\n{indent}" if not indent.strip() and line else ""
            state = _NEW if unit.opening.name.endswith("trans-unit") else ""
            finish = partial(_around, start=f"{before}<{tag}{state}>", end=f"</{tag}>")
        elif not self._is_open(unit, unit.target):
            self.left["translated unit"] += 1
            return
        else:
            opening, closing = (self._tokens[number] for number in unit.target)
            place = Place(opening.start, closing.end)
            raw = self._text[opening.start : opening.end]
            start = raw if opening.kind is TokenKind.OPENING else f"{raw[:-2].rstrip()}>"
            start = _STATE.sub("needs-review-translation", start)
            finish = partial(_around, start=start, end=f"</{opening.name}>")
        segment = self._segment(unit.source)
        if segment.text.strip() or segment.codes:
            raw = self._text[first.end : last.start]
            yield Span(place, segment, escaper(raw), finish, is_target=True)

    def _is_open(self, unit: _Unit, target: tuple[int, int]) -> bool:
        """Return whether a target is there only to be filled."""
        opening, closing = (self._tokens[number] for number in target)
        if opening is closing or not _TAGS.sub("", self._text[opening.end : closing.start]).strip():
            return True  # editors put the marks of segments into an empty target
        states = (self._attributes(opening).get("state"), self._attributes(unit.opening).get("state"))
        return any(state in _UNTRANSLATED for state in states)

    def _segment(self, source: tuple[int, int]) -> Segment:
        numbers = _Numbers()
        found: list[str | Code] = []
        number = source[0] + 1
        while number < source[1]:
            token = self._tokens[number]
            name = token.name.rpartition(":")[2]
            place = Place(token.start, token.end)
            if token.kind is TokenKind.TEXT:
                found.append(resolved(self._text[token.start : token.end]))
            elif token.kind is TokenKind.CDATA:
                found.append(self._text[token.start + 9 : token.end - 3])
            else:
                attributes = self._attributes(token)
                is_whole = name in _WITH_CONTENT or (name in ("mrk", "g", "pc") and _is_protected(attributes))
                if token.kind is TokenKind.OPENING and is_whole:
                    number = self._closing(number, source[1])
                    place = Place(token.start, self._tokens[number].end)
                    token = replace(token, kind=TokenKind.EMPTY)
                found.append(numbers.code(token, name, place, attributes, self._text))
            number += 1
        where = line_of(self._lines, self._tokens[source[0]].start)
        parts = numbers.with_strings(merged_text(numbers.paired(found)))
        return Segment(parts, where, keeps_order=numbers.has_single)

    def _closing(self, number: int, end: int) -> int:
        name, depth = self._tokens[number].name, 0
        for place in range(number, end):
            if self._tokens[place].name == name:
                depth += {TokenKind.OPENING: 1, TokenKind.CLOSING: -1}.get(self._tokens[place].kind, 0)
                if not depth:
                    return place
        return end - 1

    def _attributes(self, tag: Token) -> dict[str, str]:
        return {one.name: self._text[one.start : one.end] for one in attributes_in(self._text, tag, is_xml=True)}


class _Numbers:
    """Numbers the codes of a segment, the halves of a pair alike."""

    def __init__(self) -> None:
        self._next = 0
        self._open: list[int] = []
        self._begun: dict[str, int] = {}
        self.has_single = False

    def code(self, token: Token, name: str, place: Place, attributes: dict[str, str], text: str) -> Code:
        self._next += 1
        kind, number = CodeKind.STANDALONE, self._next
        if name in _OPENING:
            kind = CodeKind.OPENING
            self._begun[_first(attributes, _OPENING[name])] = number
        elif name in _CLOSING:
            kind = CodeKind.CLOSING
            number = self._begun.pop(_first(attributes, _CLOSING[name]), number)
        elif token.kind is TokenKind.OPENING:
            kind = CodeKind.OPENING
            self._open.append(number)
        elif token.kind is TokenKind.CLOSING and self._open:
            kind, number = CodeKind.CLOSING, self._open.pop()
        is_visible = token.kind is not TokenKind.OTHER and name not in _UNSEEN
        return Code(kind, number, place, text[place.start : place.end][:60], is_visible=is_visible)

    def paired(self, parts: list[str | Code]) -> list[str | Code]:
        """Return parts in which halves that have no other half, or cross other pairs, are codes of their own."""
        open_: list[tuple[int, int]] = []
        good: set[int] = set()
        for place, part in enumerate(parts):
            if isinstance(part, Code) and part.kind is CodeKind.OPENING:
                open_.append((part.number, place))
            elif isinstance(part, Code) and part.kind is CodeKind.CLOSING and open_ and open_[-1][0] == part.number:
                good |= {open_.pop()[1], place}
        found: list[str | Code] = []
        for place, part in enumerate(parts):
            if isinstance(part, Code) and part.kind is not CodeKind.STANDALONE and place not in good:
                self._next += 1
                self.has_single = True
                found.append(replace(part, kind=CodeKind.STANDALONE, number=self._next, is_visible=False))
            else:
                found.append(part)
        return found

    def with_strings(self, parts: Parts) -> Parts:
        """Return parts whose text has its own tags and placeholders as codes, as ``<b>`` in CDATA or ``&lt;b>``."""
        found: list[str | Code] = []
        for part in parts:
            inner = parts_of_string(part) if isinstance(part, str) else (part,)
            first, codes = self._next, [one for one in inner if isinstance(one, Code)]
            if isinstance(part, str):
                inner = tuple(
                    replace(one, number=first + one.number) if isinstance(one, Code) else one for one in inner
                )
                self._next += max((one.number for one in codes), default=0)
            found += inner
        return merged_text(found)


def _is_protected(attributes: dict[str, str]) -> bool:
    """Return whether a stretch of a source is not for translation."""
    return attributes.get("translate") == "no" or attributes.get("mtype") == "protected"


def _first(attributes: dict[str, str], names: tuple[str, ...]) -> str:
    return next((attributes[name] for name in names if name in attributes), "")


def _around(written: str, *, start: str, end: str) -> str:
    return f"{start}{written}{end}"
