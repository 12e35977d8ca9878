"""Markdown (CommonMark and its tables): paragraphs, headings, items and cells; all else stays byte for byte.

Front matter, code, HTML blocks, addresses of links and images stay. The text of a link is translated, and the text for
an image. Blocks are found by markdown-it-py; the codes inside them by the rules below. Read
``markdown_html.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from pellucid.documents.formats.markdown_html import InlineHtml
from pellucid.documents.limits import Reading
from pellucid.documents.markup.escapes import resolved
from pellucid.documents.segments import Code, CodeKind, Segment, merged_text
from pellucid.documents.spans import Literal, Place, Span, SpanDocument, decoded, line_of, lines_of

__all__ = ["read"]

_FRONT_MATTER: Final = re.compile(r"(---|\+\+\+)[ \t]*\r?\n(?:.*?\r?\n)??\1[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_NEW_LINE: Final = re.compile(r"[ \t]*(?:\r\n|\r|\n)[ \t]*(?:>[ \t]?)*[ \t]*")
_SPACES: Final = re.compile(r"[ \t]+")
_CODE_MARK: Final = re.compile(r"`+")
_AUTO_LINK: Final = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*>|<[^\s<>@]{1,80}@[^\s<>]{1,80}>")
_BARE_ADDRESS: Final = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]]+")
_TEMPLATE: Final = re.compile(r"\{\{[^{}\n]{0,200}\}\}|\{%[^{}\n]{0,200}%\}|\[\^[^\]\s]{1,80}\]|:[a-z0-9_+-]{2,40}:")
_FOOTNOTE: Final = re.compile(r"(?:(?<=[\r\n])[ \t>]*|\A)\[\^[^\]\s]{1,80}\]:[ \t]*")
"""What a footnote begins with, which CommonMark takes for text: a paragraph may hold several, one a line."""
_TASK: Final = re.compile(r"\[[ xX]\](?=\s)")
_WHITE: Final = r"[ \t\r\n]"
_ADDRESS: Final = r"[^\0- \x7f()\\]|\\."
_DESTINATION: Final = re.compile(
    rf"\({_WHITE}*(?:<[^<>\n]*>|(?!<)(?:{_ADDRESS}|\((?:{_ADDRESS}|\((?:{_ADDRESS})*+\))*+\))*+)"
    rf"""(?:{_WHITE}+(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\([^()]*\)))?{_WHITE}*\)""",
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
    spans: list[Span] = []
    places, labels = _blocks(text)
    for place in places:
        spans += _Inline(text, place, labels, line_of(starts, place.start)).spans()
    return SpanDocument(file, spans, reading.name)


def _blocks(text: str) -> tuple[list[Place], Set[str]]:
    """Return the places of the texts of blocks, and the labels that links may refer to."""
    from markdown_it import MarkdownIt

    lines = [Place(found.start(), found.end()) for found in _LINE.finditer(text)]
    front = _FRONT_MATTER.match(text)
    hidden = front.end() if front else 0
    # A line keeps its number, whatever ends it.
    body = "\n".join(
        "" if line.start < hidden else text[line.start : line.end].rstrip("\r\n").replace("\0", " ") for line in lines
    )
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    environment: dict[str, dict[str, object]] = {}
    found: list[Place] = []
    row: tuple[int, int] = (-1, 0)
    for token in parser.parse(body, environment):
        if token.type != "inline" or not token.map or not token.content.strip():
            continue
        first, after = token.map
        place = lines[first].start
        if row[0] == first and after == first + 1:  # a cell of the same row
            place = row[1]
        end = lines[min(after, len(lines)) - 1].end
        block = _place_of(text, token.content, place, end)
        if block is None:  # bars in cells are escaped
            block = _place_of(text, token.content.replace("|", "\\|"), place, end)
        if block is not None:
            found += _around_footnotes(text, block)
            row = (first, block.end)
    return found, set(environment.get("references", {}))


def _place_of(text: str, content: str, start: int, end: int) -> Place | None:
    """Return where the content of a block stands; its lines follow each other, each behind the marks of its line."""
    first = last = -1
    place = start
    for line in content.split("\n"):
        bare = line.strip()
        at = text.find(bare, place, end)
        if at < 0:
            return None
        first = at if first < 0 else first
        place = last = at + len(bare)
    return Place(first, last)


def _around_footnotes(text: str, block: Place) -> list[Place]:
    """Return the places of the texts in a block, without what footnotes begin with."""
    places, start = [], block.start
    for mark in _FOOTNOTE.finditer(text[block.start : block.end]):
        places.append(Place(start, block.start + mark.start()))
        start = block.start + mark.end()
    places.append(Place(start, block.end))
    bare = [(place, text[place.start : place.end].rstrip()) for place in places]
    return [Place(place.start, place.start + len(words)) for place, words in bare if words]


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
        self._images: list[Span] = []
        self._keeps_order = False
        self._html = InlineHtml(text, place)

    def spans(self) -> list[Span]:
        at = self._place.start
        while at < self._place.end:
            at = self._take(at)
        for mark in (*self._emphasis, *self._brackets):  # nothing closes them, so they are text
            self._parts[mark.place] = mark.marks
        parts = merged_text(self._html.paired(self._parts))
        segment = Segment(parts, self._where, self._keeps_order or self._html.has_halves)
        if not any(character.isalnum() for character in segment.text):
            return self._images
        return [Span(self._place, segment, _written, _first_words), *self._images]

    def _take(self, at: int) -> int:
        """Take what stands at a place; return the place after it."""
        text, end = self._text, self._place.end
        character = text[at]
        if character == "\\" and (found := _ESCAPED.match(text, at, end)):
            self._parts.append(found[1])
            return found.end()
        if character == "`":
            return self._take_code(at)
        for pattern in (_AUTO_LINK, _BARE_ADDRESS, _TEMPLATE):
            if character in "<hw{[:" and (found := pattern.match(text, at, end)):
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
            and text[stop] not in "\\`<![]*_~\r\n \t{:&"
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

    def _standalone(self, start: int, end: int, *, is_visible: bool = True) -> int:
        shown = self._text[start:end][:60]
        self._parts.append(Code(CodeKind.STANDALONE, self._new(), Place(start, end), shown, is_visible=is_visible))
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
        if destination and any(c.isalnum() for c in label[1]) and not _SPECIAL.search(label[1]):
            segment = Segment((label[1],), f"{self._where}, text of an image")
            self._images.append(Span(Place(label.start(1), label.end(1)), segment, _written))
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
            mark = self._emphasis.pop()
            self._parts[mark.place] = mark.marks
        self._parts.append(Code(CodeKind.CLOSING, opened.number, original, self._text[at:end][:60]))
        return end

    def _is_known(self, label: str) -> bool:
        return " ".join(label.split()).lower().upper() in self._labels

    def _take_emphasis(self, found: re.Match[str]) -> int:
        marks, start, end = found[0], found.start(), found.end()
        before = self._text[start - 1] if start > self._place.start else " "
        after = self._text[end] if end < self._place.end else " "
        opens = not after.isspace() and (after.isalnum() or not before.isalnum())
        closes = not before.isspace() and (before.isalnum() or not after.isalnum())
        if marks[0] == "_":
            opens, closes = opens and not before.isalnum(), closes and not after.isalnum()
        bracket = self._brackets[-1].place if self._brackets else -1
        place = Place(start, end)
        if closes and self._emphasis and self._emphasis[-1].marks == marks and self._emphasis[-1].place > bracket:
            number = self._emphasis.pop().number
            self._parts.append(Code(CodeKind.CLOSING, number, place, marks))
        elif opens:
            self._emphasis.append(_Mark(len(self._parts), marks, self._new()))
            self._parts.append(Code(CodeKind.OPENING, self._number, place, marks))
        elif closes and self._emphasis:  # runs of other lengths, which pair in ways of their own
            self._keeps_order = True
            while self._emphasis:
                mark = self._emphasis.pop()
                self._as_single(mark.place)
            self._parts.append(Code(CodeKind.STANDALONE, self._new(), place, marks))
        else:
            self._parts.append(marks)
        return end

    def _as_single(self, place: int) -> None:
        part = self._parts[place]
        if isinstance(part, Code):
            self._parts[place] = Code(CodeKind.STANDALONE, part.number, part.original, part.shown)


def _written(text: str) -> str:
    """Return text in one line, in which nothing is a mark of Markdown."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split("\n")))


def _first_words(written: str) -> str:
    """Return a block whose first line begins no other block."""
    found = _STARTS_A_BLOCK.search(written[:40])
    if found and (found.start() == 0 or written[: found.start()].isdigit()):
        return f"{written[: found.start()]}\\{written[found.start() :]}"
    return written
