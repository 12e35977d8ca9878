"""The HTML inside the text of a Markdown document (CommonMark 0.31, section 6.6).

A tag and its closing tag are a pair. A comment is one code, and so is an element that HTML does not translate, such as
``<code>``, with what it holds. Read ``xliff.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pellucid.documents.markup.halves import OpenHalves
from pellucid.documents.markup.rules import HTML, Role
from pellucid.documents.markup.tokens import Token, TokenKind, attributes_in
from pellucid.documents.segments import Code, CodeKind
from pellucid.documents.spans import Place

__all__ = ["InlineHtml"]

# In old releases of Python a possessive group ends right only if its last alternative is (?!), which never matches.
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*+)(?=[\s/>])(?:[^<>\"']|\"[^\"]*\"|'[^']*'|(?!))*+>")
_ENDS: Final = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}
_DECLARATION: Final = re.compile(r"<![A-Za-z][^>]*>")
_OPAQUE: Final = frozenset({Role.OPAQUE_INLINE, Role.OPAQUE_BORDER})


class InlineHtml:
    """The HTML in a block.

    Args:
        text: of the document.
        place: of the block.
    """

    def __init__(self, text: str, place: Place) -> None:
        self._text, self._end = text, place.end
        self._endless: set[str] = set()
        """What has no end in the rest of the block, so that nobody looks for it again."""
        self.has_halves = False
        """Whether a tag has no other half; known once the tags are paired."""

    def after(self, at: int) -> int:
        """Return the place after what begins with the ``<`` at a place, or 0 if that is text."""
        if found := _TAG.match(self._text, at, self._end):
            return self._after_element(found)
        for start, end in _ENDS.items():
            if self._text.startswith(start, at):
                # <!--> is a comment, and ends where it begins.
                return self._behind(end, at + (2 if start == "<!--" else len(start)))
        declared = _DECLARATION.match(self._text, at, self._end)
        return declared.end() if declared else 0

    def is_visible(self, at: int) -> bool:
        """Return whether readers see anything of the code that begins at a place."""
        found = _TAG.match(self._text, at, self._end)
        return found is not None and not HTML.is_unseen(found[0])

    def paired(self, parts: Iterable[str | Code]) -> list[str | Code]:
        """Return parts in which tags are pairs, where these enclose other pairs or stand apart from them."""
        found = list(parts)
        levels = [OpenHalves()]
        for place, part in enumerate(found):
            if not isinstance(part, Code):
                continue
            if part.kind is CodeKind.OPENING:
                levels.append(OpenHalves())
            elif part.kind is CodeKind.CLOSING:
                self.has_halves |= bool(levels.pop().left())
            elif tag := self._tag_of(part):
                found[place] = replace(part, is_visible=False)
                if not tag[1]:
                    levels[-1].open(tag[2].lower(), place)
                elif (begun := levels[-1].closed_by(tag[2].lower())) is not None:
                    self._pair(found, begun, place)
                else:
                    self.has_halves = True
        self.has_halves |= any(level.left() for level in levels)
        return found

    def _pair(self, found: list[str | Code], first: int, last: int) -> None:
        begun, ended = found[first], found[last]
        if not isinstance(begun, Code) or not isinstance(ended, Code):
            return
        if first == last - 1:  # nothing is inside
            place = Place(begun.original.start, ended.original.end)
            found[first : last + 1] = [replace(begun, original=place, is_visible=self.is_visible(place.start)), ""]
            return
        found[first] = replace(begun, kind=CodeKind.OPENING)
        found[last] = replace(ended, kind=CodeKind.CLOSING, number=begun.number)

    def _tag_of(self, code: Code) -> re.Match[str] | None:
        """Return a code that is a tag with another half, or should have one."""
        if not isinstance(code.original, Place):
            return None
        tag = _TAG.match(self._text, code.original.start, code.original.end)
        if tag is None or tag.end() != code.original.end or HTML.is_void(_token(tag)) or tag[0].endswith("/>"):
            return None
        return tag

    def _after_element(self, tag: re.Match[str]) -> int:
        token = _token(tag)
        if token.kind is TokenKind.OPENING and not HTML.is_void(token):
            attributes = {
                one.name: self._text[one.start : one.end] for one in attributes_in(self._text, token, is_xml=False)
            }
            if HTML.role_of(token, attributes) in _OPAQUE:
                return self._behind(f"</{tag[2]}>", tag.end()) or tag.end()
        return tag.end()

    def _behind(self, end: str, at: int) -> int:
        """Return the place behind the next ``end``, or 0 if there is none in the block."""
        if end in self._endless:
            return 0
        found = self._text.find(end, at, self._end)
        if found < 0:
            self._endless.add(end)
            return 0
        return found + len(end)


def _token(tag: re.Match[str]) -> Token:
    kind = TokenKind.CLOSING if tag[1] else TokenKind.OPENING
    return Token(kind, tag.start(), tag.end(), tag[2].lower())
