"""Find the segments of HTML or XML: the text between borders, with the tags inside it as codes.

Tags around a whole segment are no part of it, and an element without content is one code. Read
``wholeness.py`` next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pellucid.documents.languages import direction_of, is_of_another, restated
from pellucid.documents.limits import Reading
from pellucid.documents.markup.escapes import escaper, quoted_escaper, resolved, unknown_in
from pellucid.documents.markup.halves import OpenHalves
from pellucid.documents.markup.rules import Role, Rules
from pellucid.documents.markup.tokens import Token, TokenKind, attributes_in, tokens_of
from pellucid.documents.segments import Code, CodeKind, Segment, has_letters, merged_text
from pellucid.documents.spans import Label, Place, Span, line_of, lines_of

__all__ = ["Markup", "markup_of", "spans_of"]

_CDATA_START: Final = len("<![CDATA[")
_CDATA_END: Final = len("]]>")
_LONGEST_SHOWN: Final = 60
_LANGUAGES: Final = ("xml:lang", "lang")
_MARKS: Final = frozenset({"a", "sup"})
_DIRECTIONS: Final = frozenset({"ltr", "rtl"})
_ROOTS: Final = frozenset({"html", "body", "ncx", "package"})


@dataclass(frozen=True)
class _Item:
    """A stretch of a segment: text, or a code of some kind."""

    place: Place
    kind: CodeKind | None
    name: str = ""
    is_cdata: bool = False
    number: int = 0
    """The same for both halves of a pair."""
    is_half: bool = False
    """It is half of a pair whose other half is not in the segment."""


class _Open:
    """The elements that are open."""

    def __init__(self) -> None:
        self._names: list[tuple[str, Role]] = []
        self._counts: Counter[str] = Counter()

    def push(self, name: str, role: Role = Role.BORDER) -> None:
        self._names.append((name, role))
        self._counts[name] += 1

    def has(self, name: str) -> bool:
        return self._counts[name] > 0

    def close(self, name: str) -> Role:
        """Close an element that is open, and those inside it; return its role."""
        while True:
            inner, role = self._names.pop()
            self._counts[inner] -= 1
            if inner == name:
                return role

    @property
    def is_empty(self) -> bool:
        return not self._names


@dataclass(frozen=True)
class Markup:
    """What was found in a text with tags."""

    spans: list[Span]
    labels: list[Label]
    """Where it states its language."""
    left: Counter[str]
    """What stays as it is, by its noun in the singular."""


def spans_of(text: str, rules: Rules) -> list[Span]:
    """Return the segments of a text, those of attributes among them."""
    return markup_of(text, rules, Reading()).spans


def markup_of(text: str, rules: Rules, reading: Reading, *, is_in_source: bool = False) -> Markup:
    """Return the segments of a text, and where it states that it is in the source language.

    A passage of a text in the source language that is marked as in another language stays as it is; ``is_in_source``
    says that the text is in that language although it does not say so itself.
    """
    segmenter = _Segmenter(text, rules, reading, is_in_source=is_in_source)
    return Markup(segmenter.found(), segmenter.labels, segmenter.left)


class _Segmenter:
    def __init__(self, text: str, rules: Rules, reading: Reading, *, is_in_source: bool) -> None:
        self._text, self._rules, self._reading = text, rules, reading
        self.labels: list[Label] = []
        self.left: Counter[str] = Counter()
        self._is_in_source = is_in_source
        """The text says that it is in the source language, as a whole."""
        self._tokens = list(tokens_of(text, is_xml=rules.is_xml))
        self._lines = lines_of(text)
        self._open = _Open()
        self._items: list[_Item] = []
        self._spans: list[Span] = []

    def found(self) -> list[Span]:
        number = 0
        while number < len(self._tokens):
            number = self._take(number)
        self._flush()
        return self._spans

    def _take(self, number: int) -> int:
        """Take a token; return the number of the next."""
        token = self._tokens[number]
        place = Place(token.start, token.end)
        if token.kind is TokenKind.TEXT:
            self._take_text(place)
        elif token.kind is TokenKind.CDATA:
            self._items.append(_Item(place, None, is_cdata=True))
        elif token.kind is TokenKind.OTHER:
            self._items.append(_Item(place, CodeKind.STANDALONE))
        elif token.kind is TokenKind.CLOSING:
            self._take_closing(token)
        else:
            return self._take_opening(number)
        return number + 1

    def _take_text(self, place: Place) -> None:
        start = place.start
        if self._rules.is_xml:  # in HTML an unknown reference is text; in XML it stands for something
            for begun, end in unknown_in(self._text, place.start, place.end):
                self._items += [_Item(Place(start, begun), None)] if start < begun else []
                self._items.append(_Item(Place(begun, end), CodeKind.STANDALONE))
                start = end
        if start < place.end:
            self._items.append(_Item(Place(start, place.end), None))

    def _take_closing(self, token: Token) -> None:
        if self._open.has(token.name):
            role = self._open.close(token.name)
        else:
            role = self._rules.role_of(token, {})
        if role in (Role.INLINE, Role.OPAQUE_INLINE):
            self._items.append(_Item(Place(token.start, token.end), CodeKind.CLOSING, token.name))
        else:
            self._flush()

    def _take_opening(self, number: int) -> int:
        tag = self._tokens[number]
        attributes = self._attributes(tag)
        role = self._rules.role_of(tag, attributes)
        is_void = self._rules.is_void(tag)
        if not self._take_labels(tag, attributes) and not is_void and self._is_foreign(tag, attributes):
            self.left["foreign passage"] += 1
            role = Role.OPAQUE_INLINE if role in (Role.INLINE, Role.OPAQUE_INLINE) else Role.OPAQUE_BORDER
        if role in (Role.OPAQUE_INLINE, Role.OPAQUE_BORDER):
            after = number + 1 if is_void else self._after_opaque(number)
            if role is Role.OPAQUE_INLINE:
                self._items.append(_Item(Place(tag.start, self._tokens[after - 1].end), CodeKind.STANDALONE))
            else:
                self._flush()
            return after
        self._take_attributes(tag, attributes)
        if role is Role.BORDER:
            self._flush()
        else:
            kind = CodeKind.STANDALONE if is_void else CodeKind.OPENING
            self._items.append(_Item(Place(tag.start, tag.end), kind, tag.name))
        if not is_void:
            self._open.push(tag.name, role)
        return number + 1

    def _after_opaque(self, number: int) -> int:
        """Return the number of the token after an element that is not for translation."""
        name = self._tokens[number].name
        inside = _Open()
        for after in range(number + 1, len(self._tokens)):
            token = self._tokens[after]
            if token.kind is TokenKind.CLOSING:
                if inside.has(token.name):
                    inside.close(token.name)
                elif token.name == name:
                    return after + 1
                elif self._open.has(token.name):
                    return after
            elif token.kind in (TokenKind.OPENING, TokenKind.EMPTY):
                if inside.is_empty and self._rules.is_ended_by(name, token):
                    return after
                if not self._rules.is_void(token):
                    inside.push(token.name)
        return len(self._tokens)

    def _take_labels(self, tag: Token, attributes: dict[str, str]) -> bool:
        """Note where an element says that it is in the source language; return whether it does."""
        stated = [attributes[name] for name in _LANGUAGES if name in attributes]
        if not any(restated(one, self._reading) for one in stated):
            return False
        self._is_in_source = self._is_in_source or tag.name in _ROOTS
        direction = direction_of(self._reading.target_language)
        for one in attributes_in(self._text, tag, is_xml=self._rules.is_xml):
            value = self._text[one.start : one.end]
            if one.name in _LANGUAGES and (new := restated(value, self._reading)):
                self.labels.append(Label(Place(one.start, one.end), new))
            elif one.name == "dir" and value.lower() in _DIRECTIONS and value.lower() != direction:
                self.labels.append(Label(Place(one.start, one.end), direction))
        if tag.name == "html" and "dir" not in attributes and direction == "rtl":
            self.labels.append(Label(Place(tag.start + len("<html"), tag.start + len("<html")), ' dir="rtl"'))
        return True

    def _is_foreign(self, tag: Token, attributes: dict[str, str]) -> bool:
        """Return whether an element in a text in the source language says that it is in another language."""
        if not self._is_in_source or tag.name in _ROOTS:
            return False
        return any(is_of_another(attributes[name], self._reading) for name in _LANGUAGES if name in attributes)

    def _attributes(self, tag: Token) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in attributes_in(self._text, tag, is_xml=self._rules.is_xml):
            found.setdefault(one.name, self._text[one.start : one.end])
        return found

    def _take_attributes(self, tag: Token, attributes: dict[str, str]) -> None:
        if not self._rules.translates_attributes:
            return
        for one in attributes_in(self._text, tag, is_xml=self._rules.is_xml):
            raw = self._text[one.start : one.end]
            value = resolved(raw, is_html=not self._rules.is_xml, is_attribute=True)
            if self._rules.is_read(tag.name, one.name, attributes) and has_letters(value):
                place = f"{line_of(self._lines, one.start)}, {one.name} of <{tag.name}>"
                write = quoted_escaper(raw, one.quote)
                self._spans.append(Span(Place(one.start, one.end), Segment((value,), place), write))

    def _flush(self) -> None:
        every, keeps_order = _paired(self._items)
        if self._rules.is_html:
            every = self._without_marks(every)
        self._items = []
        items = self._trimmed(every)
        if not any(item.kind is None and has_letters(self._value(item)) for item in items):
            return
        place = Place(items[0].place.start, items[-1].place.end)
        numbers: dict[int, int] = {}
        parts = [self._part(item, numbers) for item in items]
        segment = Segment(merged_text(parts), line_of(self._lines, place.start), keeps_order)
        raw = "".join(self._text[i.place.start : i.place.end] for i in items if i.kind is None and not i.is_cdata)
        self._spans.append(Span(place, segment, escaper(raw)))

    def _without_marks(self, items: Sequence[_Item]) -> list[_Item]:
        """Return items in which a link or superior letters without a word, such as the mark of a note, are one code."""
        found: list[_Item] = []
        opened: dict[int, int] = {}
        last_word = -1
        for item in items:
            if item.kind is CodeKind.OPENING and item.name in _MARKS:
                opened[item.number] = len(found)
            found.append(item)
            if item.kind is None and has_letters(self._value(item)):
                last_word = len(found)
            begun = opened.pop(item.number, len(found)) if item.kind is CodeKind.CLOSING else len(found)
            if begun >= last_word and begun < len(found):
                place = Place(found[begun].place.start, item.place.end)
                found[begun:] = [_Item(place, CodeKind.STANDALONE, item.name, number=item.number)]
        return found

    def _part(self, item: _Item, numbers: dict[int, int]) -> str | Code:
        if item.kind is None:
            return self._value(item)
        number = numbers.setdefault(item.number, len(numbers) + 1)
        raw = self._text[item.place.start : item.place.end]
        shown = raw if len(raw) <= _LONGEST_SHOWN else f"{raw[:_LONGEST_SHOWN]}..."
        is_visible = not (item.is_half or self._rules.is_unseen(raw))
        return Code(item.kind, number, item.place, shown, is_visible)

    def _value(self, item: _Item) -> str:
        start, end = item.place.start, item.place.end
        if item.is_cdata:
            return self._text[start + _CDATA_START : end].removesuffix("]]>")
        return resolved(self._text[start:end], is_html=not self._rules.is_xml)

    def _trimmed(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Return a segment without what is around its text: white space, codes, and pairs around it all."""
        first, last = 0, len(items) - 1
        while first <= last:
            if self._is_outside(items[first]):
                first += 1
            elif self._is_outside(items[last]):
                last -= 1
            elif items[first].kind is CodeKind.OPENING and items[last].number == items[first].number and first < last:
                first, last = first + 1, last - 1
            else:
                break
        return items[first : last + 1]

    def _is_outside(self, item: _Item) -> bool:
        if item.kind is None:
            return self._text[item.place.start : item.place.end].isspace()
        return item.kind is CodeKind.STANDALONE


def _paired(items: Sequence[_Item]) -> tuple[list[_Item], bool]:
    """Return items with the halves of pairs numbered alike; halves that stand alone are codes of their own.

    Also returns whether there are such halves.
    """
    found: list[_Item] = []
    open_ = OpenHalves()
    for number, item in enumerate(items, start=1):
        if item.kind is CodeKind.CLOSING:
            opened = open_.closed_by(item.name)
            if opened is not None and opened == len(found) - 1:  # nothing is inside
                begun = found.pop()
                found.append(_Item(Place(begun.place.start, item.place.end), CodeKind.STANDALONE, number=number))
                continue
            if opened is None:
                found.append(replace(item, kind=CodeKind.STANDALONE, number=number, is_half=True))
                open_.has_single = True
                continue
            found.append(replace(item, number=found[opened].number))
            continue
        if item.kind is CodeKind.OPENING:
            open_.open(item.name, len(found))
        found.append(replace(item, number=number))
    for place in open_.left():
        found[place] = replace(found[place], kind=CodeKind.STANDALONE, is_half=True)
    return found, open_.has_single
