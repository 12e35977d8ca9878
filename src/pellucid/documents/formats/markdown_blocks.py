"""The blocks of a Markdown document, found by markdown-it-py, and where their texts stand in the file.

What dialects add to CommonMark is no text: what footnotes and definitions begin with, and lines that open a container
(``::: tip``, ``!!! note``). Read ``markdown_html.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pellucid.documents.spans import Place

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["TITLE", "Blocks", "blocks_of"]

TITLE: Final = r"""(?:"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\))"""
"""Of a link, an image or a definition, with its marks."""
_FRONT_MATTER: Final = re.compile(r"(---|\+\+\+)[ \t]*\r?\n(?:.*?\r?\n)??\1[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_MARKS: Final = re.compile(
    r"(?:(?<=[\r\n])[ \t>]*|\A)"
    r"(?:\[\^[^\]\s]{1,80}\]:[ \t]*|[:~][ \t]+|(?::{3,}|!!!|\?\?\?)[^\r\n]*"
    r"|\[![A-Za-z]{2,20}\][+-]?(?=[ \t]*[\r\n]|\Z))"
)
"""What lines begin with that CommonMark takes for text; a paragraph may hold several, one a line."""
_END_OF_DEFINITION: Final = re.compile(rf"[ \t\r\n>]({TITLE})[ \t]*\Z", re.DOTALL)


@dataclass(frozen=True)
class Blocks:
    """Where what stands in a document."""

    texts: list[Place]
    html: list[Place]
    """Blocks of HTML."""
    titles: list[Place]
    """Of definitions of links, without their marks."""
    labels: Set[str]
    """What links may refer to."""
    front: Place
    """The front matter with its marks; empty if there is none."""


def blocks_of(text: str) -> Blocks:
    """Find the blocks of a document."""
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
    environment: dict[str, Any] = {}
    tokens = parser.parse(body, environment)
    references: Mapping[str, Any] = environment.get("references", {})
    return Blocks(
        texts=list(_texts(text, tokens, lines)),
        html=list(_html(text, tokens, lines)),
        titles=list(_titles(text, [*references.values(), *environment.get("duplicate_refs", ())], lines)),
        labels=set(references),
        front=Place(0, hidden),
    )


def _texts(text: str, tokens: list[Token], lines: list[Place]) -> Iterator[Place]:
    row: tuple[int, int] = (-1, 0)
    for token in tokens:
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
            yield from _between_marks(text, block)
            row = (first, block.end)


def _html(text: str, tokens: list[Token], lines: list[Place]) -> Iterator[Place]:
    for token in tokens:
        if token.type == "html_block" and token.map:
            first, after = token.map
            places = lines[first : min(after, len(lines))]
            written = [text[place.start : place.end].strip() for place in places]
            # In a quotation the lines begin with marks that are no HTML; there it stays as it is.
            if written[: len(places)] == [line.strip() for line in token.content.split("\n")][: len(places)]:
                yield Place(places[0].start, places[-1].end)


def _titles(text: str, references: list[Mapping[str, Any]], lines: list[Place]) -> Iterator[Place]:
    for one in references:
        if one["title"]:
            first, after = one["map"]
            start, end = lines[first].start, lines[min(after, len(lines)) - 1].end
            found = _END_OF_DEFINITION.search(text[start:end].rstrip("\r\n"))
            if found:
                yield Place(start + found.start(1) + 1, start + found.end(1) - 1)


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


def _between_marks(text: str, block: Place) -> list[Place]:
    """Return the places of the texts in a block, without what lines begin with that is no text."""
    places, start = [], block.start
    for mark in _MARKS.finditer(text[block.start : block.end]):
        places.append(Place(start, block.start + mark.start()))
        start = block.start + mark.end()
    places.append(Place(start, block.end))
    found = []
    for place in places:
        words = text[place.start : place.end]
        bare = words.lstrip("\r\n \t>") if place.start > block.start else words
        begin = place.end - len(bare)
        if bare.rstrip():
            found.append(Place(begin, begin + len(bare.rstrip())))
    return found
