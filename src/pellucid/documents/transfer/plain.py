"""A segment as plain text, and its codes as a tree with places in that text. Read ``words.py`` next.

Codes and white space at both ends are put aside: they come back where they were. So is a pair around all of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pellucid.documents.segments import Code, CodeKind, Parts, Segment, merged_text
from pellucid.text.formats.inline import INLINE_TAG

__all__ = ["Node", "Plain", "parts_of_tagged", "plain_of", "tagged"]

_LINE_BREAK: Final = re.compile(r"[ \t\f]*[\r\n][ \t\r\n\f]*")
_ENDS: Final = ".,;:!?…)]»”"
"""After these a word does not go on."""
_SOFT_HYPHEN: Final = "\u00ad"
_REST_OF_WORD: Final = re.compile(r"(?:(?![\u2e80-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff])\w|[\u0300-\u036f])+")
"""Not in scripts that put no spaces between words."""


@dataclass(frozen=True)
class Node:
    """A code, or a pair of codes with what is inside, and its place in the plain text."""

    start: int
    end: int
    opening: Parts
    """The codes at its start; of what has no words inside, all of it."""
    closing: Parts = ()
    children: tuple[Node, ...] = ()
    space_before: bool = False
    space_after: bool = False

    @property
    def is_pair(self) -> bool:
        """Whether there are words inside."""
        return bool(self.closing)


@dataclass(frozen=True)
class Plain:
    """A segment without its codes."""

    text: str
    """In one line, without white space at its ends."""
    lead: Parts
    tail: Parts
    nodes: tuple[Node, ...]
    keeps_order: bool
    inner: Parts
    """What is between ``lead`` and ``tail``."""

    def around(self, inner: Parts) -> Parts:
        """Return the parts of the segment with others in its middle."""
        return merged_text((*self.lead, *inner, *self.tail))


def plain_of(segment: Segment) -> Plain:
    """Return a segment without its codes."""
    lead, inner, tail = _without_ends(_with_whole_words(segment.parts))
    builder = _Builder(inner)
    nodes = builder.nodes()
    return Plain(builder.text, lead, tail, nodes, segment.keeps_order, inner)


def tagged(plain: Plain) -> str:
    """Return the text with its codes as tags: ``<g1>``, ``</g1>``, ``<x2/>``."""
    text = "".join(part if isinstance(part, str) else _tag(part) for part in plain.inner)
    return _LINE_BREAK.sub(" ", text)


def parts_of_tagged(plain: Plain, text: str) -> Parts:
    """Return a text with tags as parts; a tag that is none of the segment's stays text."""
    codes = {_tag(part): part for part in plain.inner if isinstance(part, Code)}
    found: list[str | Code] = []
    end = 0
    for tag in INLINE_TAG.finditer(text):
        if tag[0] in codes:
            found += (text[end : tag.start()], codes[tag[0]])
            end = tag.end()
    return merged_text([*found, text[end:]])


def _tag(code: Code) -> str:
    if code.kind is CodeKind.STANDALONE:
        return f"<x{code.number}/>"
    return f"<g{code.number}>" if code.kind is CodeKind.OPENING else f"</g{code.number}>"


def _with_whole_words(parts: Parts) -> Parts:
    """Return parts in which what readers do not see, such as a comment in the middle of a word, stands behind it."""
    found: list[str | Code] = []
    unseen: list[Code] = []
    # Where a word of the source may be divided says nothing of its translation.
    for part in merged_text(one.replace(_SOFT_HYPHEN, "") if isinstance(one, str) else one for one in parts):
        if isinstance(part, Code):
            if part.kind is CodeKind.STANDALONE and not part.is_visible:
                unseen.append(part)
                continue
            found += unseen
            unseen.clear()
            found.append(part)
            continue
        before = found[-1] if found and isinstance(found[-1], str) else ""
        rest = _REST_OF_WORD.match(part) if unseen and _REST_OF_WORD.fullmatch(before[-1:]) else None
        if rest is not None:
            found.append(rest[0])
            part = part[rest.end() :]
        if part:
            found += (*unseen, part)
            unseen.clear()
    return merged_text([*found, *unseen])


def _ends_a_word(text: str) -> bool:
    return text[-1].isalnum() or text[-1] in _ENDS


def _without_ends(parts: Parts) -> tuple[Parts, Parts, Parts]:
    """Return what is before the text, the text with the codes among it, and what is after it."""
    first, last = 0, len(parts) - 1
    while first <= last:
        if _is_outside(parts[first]):
            first += 1
        elif _is_outside(parts[last]):
            last -= 1
        elif first < last and _is_pair(parts[first], parts[last]):
            first, last = first + 1, last - 1
        else:
            break
    lead, inner, tail = [*parts[:first]], [*parts[first : last + 1]], [*parts[last + 1 :]]
    if inner and isinstance(inner[0], str):
        bare = inner[0].lstrip()
        lead.append(inner[0][: len(inner[0]) - len(bare)])
        inner[0] = bare
    if inner and isinstance(inner[-1], str):
        bare = inner[-1].rstrip()
        tail.insert(0, inner[-1][len(bare) :])
        inner[-1] = bare
    return merged_text(lead), merged_text(inner), merged_text(tail)


def _is_outside(part: str | Code) -> bool:
    return part.isspace() if isinstance(part, str) else part.kind is CodeKind.STANDALONE


def _is_pair(first: str | Code, last: str | Code) -> bool:
    if isinstance(first, str) or isinstance(last, str):
        return False
    return first.kind is CodeKind.OPENING and last.kind is CodeKind.CLOSING and first.number == last.number


class _Builder:
    """Builds the plain text and the tree; without recursion, as a segment may nest deep."""

    def __init__(self, parts: Sequence[str | Code]) -> None:
        self._parts = parts
        self.text = ""
        self._has_gap = False
        """A single code is before what comes next, and no white space."""
        self._has_space = False
        """A code that is white space is before what comes next."""

    def nodes(self) -> tuple[Node, ...]:
        levels: list[list[Node]] = [[]]
        opened: list[tuple[int, int]] = []  # place in the text, place in the parts
        for place, part in enumerate(self._parts):
            if isinstance(part, str):
                self._add(_LINE_BREAK.sub(" ", part))
            elif part.kind is CodeKind.STANDALONE:
                levels[-1].append(self._single(place, place + 1))
                self._has_gap = self._has_gap or part.is_visible
                self._has_space = self._has_space or part.is_space
            elif part.kind is CodeKind.OPENING:
                opened.append((len(self.text), place))
                levels.append([])
            else:
                start, begun = opened.pop()
                children = levels.pop()
                inside = self.text[start:]
                if not inside.strip() and not any(child.is_pair for child in children):
                    levels[-1].append(self._single(begun, place + 1, start))
                    continue
                opening = self._parts[begun]
                levels[-1].append(Node(start, len(self.text), (opening,), (part,), tuple(children)))
        self.text = self.text.rstrip()
        return tuple(levels[0])

    def _single(self, first: int, after: int, start: int | None = None) -> Node:
        """Return what has no words inside; its white space is part of it, and not of the text."""
        start = len(self.text) if start is None else start
        self.text = self.text[:start]
        before, behind = self._parts[first - 1 : first], self._parts[after : after + 1]
        space_before = bool(before) and isinstance(before[0], str) and before[0][-1:].isspace()
        space_after = bool(behind) and isinstance(behind[0], str) and behind[0][:1].isspace()
        content = tuple(self._parts[first:after])
        return Node(start, start, content, space_before=space_before, space_after=space_after)

    def _add(self, text: str) -> None:
        if not self.text or self.text[-1].isspace():
            text = text.lstrip()
        elif self._has_space or (self._has_gap and text[:1].isalnum() and _ends_a_word(self.text)):
            text = f" {text}" if text.strip() else text
        self.text += text
        self._has_gap = self._has_gap and not text
        self._has_space = self._has_space and not text
