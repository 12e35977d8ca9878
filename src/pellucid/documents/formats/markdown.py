"""Markdown (CommonMark and its tables): paragraphs, headings, items and cells; all else stays byte for byte.

Code, formulas, templates, and addresses of links and images stay. Texts and titles of links and images are translated,
and so are blocks of HTML, and what readers see of the front matter. Read ``markdown_blocks.py`` next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pellucid.documents.formats.markdown_blocks import TITLE, blocks_of
from pellucid.documents.formats.markdown_front import front_spans
from pellucid.documents.formats.markdown_html import InlineHtml
from pellucid.documents.limits import Reading
from pellucid.documents.markup.escapes import resolved
from pellucid.documents.markup.rules import HTML
from pellucid.documents.markup.segmenting import spans_of
from pellucid.documents.segments import Code, CodeKind, Segment, has_letters, merged_text
from pellucid.documents.spans import Literal, Place, Span, SpanDocument, decoded, line_of, lines_of, moved

__all__ = ["read"]

_NEW_LINE: Final = re.compile(r"[ \t]*(?:\r\n|\r|\n)[ \t]*(?:>[ \t]?)*[ \t]*")
_LINES: Final = re.compile(r"(\r\n|\r|\n)")
_SPACES: Final = re.compile(r"[ \t]+")
_CODE_MARK: Final = re.compile(r"`+")
_AUTO_LINK: Final = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*>|<[^\s<>@]{1,80}@[^\s<>]{1,80}>")
_BARE_ADDRESS: Final = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]]+")
_HARD_BREAK: Final = re.compile(r"(?: {2,}|\\)(?:\r\n|\r|\n)[ \t]*(?:>[ \t]?)*[ \t]*")
_TEMPLATE: Final = re.compile(
    r"\{\{[^{}\n]{0,200}\}\}|\{%[^{}\n]{0,200}%\}|\[\^[^\]\s]{1,80}\]|:[a-z0-9_+-]{2,40}:|\{ ?[:#.][^{}\n]{0,200}\}"
    r"|\[\[?_?[Tt][Oo][Cc]_?\]?\]|\$\$[^$]{1,2000}\$\$|\$(?![\s$])[^$\r\n]{0,500}(?<![\s\\])\$(?!\d)"
)
"""What dialects put into a text: fields, marks of footnotes, emoji, attributes, a table of contents, formulas."""
_TASK: Final = re.compile(r"\[[ xX]\](?=\s)")
_WHITE: Final = r"[ \t\r\n]"
_ADDRESS: Final = r"[^\0- \x7f()\\]|\\."
# In old releases of Python a possessive group ends right only if its last alternative is (?!), which never matches.
_DESTINATION: Final = re.compile(
    rf"\({_WHITE}*(?:<[^<>\n]*>|(?!<)(?:{_ADDRESS}|\((?:{_ADDRESS}|\((?:{_ADDRESS})*+\)|(?!))*+\)|(?!))*+)"
    rf"(?:{_WHITE}+(?P<title>{TITLE}))?{_WHITE}*\)",
    re.DOTALL,
)
_LABEL: Final = re.compile(r"\[([^\[\]\n]{0,500})\]")
_EMPHASIS: Final = re.compile(r"\*+|_+|~~")
_ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_REFERENCE: Final = re.compile(r"&#?\w{1,31};")
_SPECIAL: Final = re.compile(r"[\\`*\[\]<]|(?<!\w)_|_(?!\w)|&(?=#?\w{1,31};)|~~|\|")
_STARTS_A_BLOCK: Final = re.compile(r"(?=[#>+-](?:\s|$)|[-=]{2,}\s*$)|(?<=\d)(?=[.)](?:\s|$))")


def read(data: bytes, reading: Reading) -> SpanDocument:
    """Read a page of Markdown."""
    file = decoded(data, reading)
    text = file.text
    starts = lines_of(text)
    blocks = blocks_of(text)
    spans = front_spans(text, blocks.front, reading, starts)
    for place in blocks.texts:
        spans += _Inline(text, place, blocks.labels, line_of(starts, place.start)).spans()
    for place in blocks.html:
        spans += moved(spans_of(text[place.start : place.end], HTML), place.start, starts)
    for place in blocks.titles:
        spans += _title(text, place, line_of(starts, place.start))
    return SpanDocument(file, spans, reading.name)


def _title(text: str, place: Place, where: str) -> list[Span]:
    """Return the title of a link as a segment, if it is plain text."""
    title = text[place.start : place.end]
    if not has_letters(title) or _SPECIAL.search(title) or "\n" in title:
        return []
    return [Span(place, Segment((title,), f"{where}, title of a link"), _titled(text[place.start - 1]))]


def _titled(quote: str) -> Callable[[str], str]:
    """Return how text is written between marks: two alike, or brackets."""
    special = re.compile(rf"[\\{quote})]|&(?=#?\w{{1,31}};)" if quote == "(" else rf"[\\{quote}]|&(?=#?\w{{1,31}};)")
    return lambda text: special.sub(r"\\\g<0>", " ".join(text.split("\n")))


@dataclass
class _Mark:
    """A run of marks for emphasis, or a bracket, that waits for its other half."""

    place: int
    """In the list of parts."""
    marks: str
    number: int


class _Inline:
    """Finds the codes in the text of a block."""

    def __init__(self, text: str, place: Place, labels: Set[str], where: str) -> None:
        self._text, self._place, self._labels, self._where = text, place, labels, where
        self._parts: list[str | Code] = []
        self._number = 0
        self._emphasis: list[_Mark] = []
        self._brackets: list[_Mark] = []
        self._others: list[Span] = []
        """Of images and titles, which stand inside codes."""
        self._has_odd_runs = False
        self._html = InlineHtml(text, place)

    def spans(self) -> list[Span]:
        at = self._place.start
        while at < self._place.end:
            at = self._take(at)
        for mark in self._emphasis:
            self._as_single(mark)
        for mark in self._brackets:  # nothing closes them, so they are text
            self._parts[mark.place] = mark.marks
        parts = merged_text(self._html.paired(self._parts))
        segment = Segment(parts, self._where, self._has_odd_runs or self._html.has_halves)
        if not has_letters(segment.text):
            return self._others
        line = self._text[self._text.rfind("\n", 0, self._place.start) + 1 : self._place.start]
        finish = partial(_begins_no_block, quotes=line.count(">"))
        return [Span(self._place, segment, _written, finish), *self._others]

    def _take(self, at: int) -> int:
        """Take what stands at a place; return the place after it."""
        text, end = self._text, self._place.end
        character = text[at]
        if character in "\\ " and (found := _HARD_BREAK.match(text, at, end)):
            return self._standalone(at, found.end(), is_space=True)
        if character == "\\" and (found := _ESCAPED.match(text, at, end)):
            self._parts.append(found[1])
            return found.end()
        if character == "`":
            return self._take_code(at)
        for pattern in (_AUTO_LINK, _BARE_ADDRESS, _TEMPLATE):
            if character in "<hw{[:$" and (found := pattern.match(text, at, end)):
                return self._standalone(at, found.end())
        if character == "<" and (after := self._html.after(at)):
            return self._standalone(at, after, is_visible=self._html.is_visible(at))
        if character == "[" and at == self._place.start and (found := _TASK.match(text, at, end)):
            return self._standalone(at, found.end())
        if character == "!" and text.startswith("![", at):
            return self._take_image(at)
        if character == "[":
            self._brackets.append(_Mark(len(self._parts), "[", self._new()))
            self._parts.append(Code(CodeKind.OPENING, self._number, Place(at, at + 1), "["))
            return at + 1
        if character == "]" and self._brackets:
            return self._take_bracket(at)
        if character in "*_~" and (found := _EMPHASIS.match(text, at, end)):
            return self._take_emphasis(found)
        if character in "\r\n \t":
            found = _NEW_LINE.match(text, at, end) or _SPACES.match(text, at, end)
            if found:
                self._parts.append("\n" if found.re is _NEW_LINE else found[0])
                return found.end()
        return self._take_text(at)

    def _take_text(self, at: int) -> int:
        text, end = self._text, self._place.end
        stop = at + 1
        while (
            stop < end
            and text[stop] not in "\\`<![]*_~\r\n \t{:&$"
            and not (text[stop] in "hw" and text[stop - 1] in " \t(")
        ):
            stop += 1
        if found := _REFERENCE.match(text, at, end):
            stop = found.end()
        self._parts.append(resolved(text[at:stop]))
        return stop

    def _new(self) -> int:
        self._number += 1
        return self._number

    def _standalone(self, start: int, end: int, **look: bool) -> int:
        shown = self._text[start:end][:60]
        self._parts.append(Code(CodeKind.STANDALONE, self._new(), Place(start, end), shown, **look))
        return end

    def _take_code(self, at: int) -> int:
        """Take a code span, or the marks alone where nothing closes them."""
        run = _CODE_MARK.match(self._text, at, self._place.end)
        marks = run[0] if run else "`"
        for found in _CODE_MARK.finditer(self._text, at + len(marks), self._place.end):
            if found[0] == marks:
                return self._standalone(at, found.end())
        self._parts.append(marks)
        return at + len(marks)

    def _take_image(self, at: int) -> int:
        """Take an image with its address; the text for it is a segment of its own, if it is plain."""
        label = _LABEL.match(self._text, at + 1, self._place.end)
        if label is None:
            self._parts.append("!")
            return at + 1
        destination = _DESTINATION.match(self._text, label.end(), self._place.end)
        reference = _LABEL.match(self._text, label.end(), self._place.end)
        if destination is None and reference is None and not self._is_known(label[1]):
            self._parts.append("!")
            return at + 1
        if destination and has_letters(label[1]) and not _SPECIAL.search(label[1]):
            segment = Segment((label[1],), f"{self._where}, text of an image")
            self._others.append(Span(Place(label.start(1), label.end(1)), segment, _written))
        if destination:
            self._take_title(destination)
        after = destination or reference
        return self._standalone(at, after.end() if after else label.end())

    def _take_bracket(self, at: int) -> int:
        """Take the end of a link: its address, its label, or the link text as its own label."""
        opened = self._brackets.pop()
        opening = self._parts[opened.place]
        raw = self._text[opening.original.end : at] if isinstance(opening, Code) else ""
        end = at + 1
        if found := _DESTINATION.match(self._text, end, self._place.end):
            original: Place | Literal = Place(at, found.end())
            end = found.end()
            self._take_title(found)
        elif (found := _LABEL.match(self._text, end, self._place.end)) and self._is_known(found[1] or raw):
            original = Place(at, found.end()) if found[1] else Literal(f"][{raw}]")
            end = found.end()
        elif self._is_known(raw):
            original = Literal(f"][{raw}]")
        else:
            self._parts[opened.place] = "["
            self._parts.append("]")
            return end
        # Emphasis that begins inside and has not ended is text.
        while self._emphasis and self._emphasis[-1].place > opened.place:
            self._as_single(self._emphasis.pop())
        self._parts.append(Code(CodeKind.CLOSING, opened.number, original, self._text[at:end][:60]))
        return end

    def _take_title(self, destination: re.Match[str]) -> None:
        start, end = destination.span("title")
        if start >= 0:
            self._others += _title(self._text, Place(start + 1, end - 1), self._where)

    def _is_known(self, label: str) -> bool:
        return " ".join(label.split()).lower().upper() in self._labels

    def _take_emphasis(self, found: re.Match[str]) -> int:
        marks, start, end = found[0], found.start(), found.end()
        before = self._text[start - 1] if start > self._place.start else " "
        after = self._text[end] if end < self._place.end else " "
        # The flanking runs of CommonMark 0.31, section 6.2.
        opens = not after.isspace() and (not _is_mark(after) or before.isspace() or _is_mark(before))
        closes = not before.isspace() and (not _is_mark(before) or after.isspace() or _is_mark(after))
        if marks[0] == "_":
            opens, closes = opens and (not closes or _is_mark(before)), closes and (not opens or _is_mark(after))
        bracket = self._brackets[-1].place if self._brackets else -1
        place = Place(start, end)
        if closes and self._emphasis and self._emphasis[-1].marks == marks and self._emphasis[-1].place > bracket:
            number = self._emphasis.pop().number
            self._parts.append(Code(CodeKind.CLOSING, number, place, marks))
        elif opens:
            self._emphasis.append(_Mark(len(self._parts), marks, self._new()))
            self._parts.append(Code(CodeKind.OPENING, self._number, place, marks))
        elif closes and self._emphasis:  # runs of other lengths, which pair in ways of their own
            self._has_odd_runs = True
            while self._emphasis:
                self._as_single(self._emphasis.pop())
            self._parts.append(Code(CodeKind.STANDALONE, self._new(), place, marks, is_visible=False))
        elif self._has_odd_runs:
            self._parts.append(Code(CodeKind.STANDALONE, self._new(), place, marks, is_visible=False))
        else:
            self._parts.append(marks)
        return end

    def _as_single(self, mark: _Mark) -> None:
        """Make a mark that nothing closes a code of its own, where such marks may count, or else text."""
        part = self._parts[mark.place]
        if isinstance(part, Code) and self._has_odd_runs:
            self._parts[mark.place] = replace(part, kind=CodeKind.STANDALONE, is_visible=False)
        else:
            self._parts[mark.place] = mark.marks


def _is_mark(character: str) -> bool:
    """Return whether a character is punctuation to CommonMark."""
    return unicodedata.category(character)[0] in "PS"


def _written(text: str) -> str:
    """Return text in one line, in which nothing is a mark of Markdown."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split("\n")))


def _begins_no_block(written: str, *, quotes: int) -> str:
    """Return a text none of whose lines begins another block; each follows the marks of quotations around it."""
    first, *others = _LINES.split(written)
    marks = re.compile(rf"(?:[ \t]*>){{{quotes}}}[ \t]*")
    found = [_first_words(first)]
    for end, line in zip(others[::2], others[1::2], strict=True):
        begun = marks.match(line)
        start = begun.end() if begun else 0
        found += (end, line[:start], _first_words(line[start:]))
    return "".join(found)


def _first_words(line: str) -> str:
    found = _STARTS_A_BLOCK.search(line[:40])
    if found and (found.start() == 0 or line[: found.start()].isdigit()):
        return f"{line[: found.start()]}\\{line[found.start() :]}"
    return line
