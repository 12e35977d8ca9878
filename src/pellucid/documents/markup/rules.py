"""What an element is to a translator: part of a sentence, a border between sentences, or not for translation.

Read ``segmenting.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pellucid.documents.markup.tokens import Token, TokenKind, tokens_of

__all__ = ["HTML", "XHTML", "Role", "Rules", "rules_for_xml"]

_INLINE: Final = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "audio",
        "b",
        "bdi",
        "bdo",
        "big",
        "canvas",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "embed",
        "font",
        "i",
        "img",
        "input",
        "ins",
        "kbd",
        "label",
        "map",
        "mark",
        "meter",
        "nobr",
        "object",
        "output",
        "picture",
        "progress",
        "q",
        "rb",
        "rp",
        "rt",
        "rtc",
        "ruby",
        "s",
        "samp",
        "small",
        "source",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "video",
        "wbr",
    ]
)
_OPAQUE: Final = frozenset(
    [
        "applet",
        "canvas",
        "code",
        "iframe",
        "kbd",
        "math",
        "noembed",
        "noframes",
        "object",
        "plaintext",
        "pre",
        "samp",
        "script",
        "style",
        "svg",
        "template",
        "textarea",
        "tt",
        "var",
        "xmp",
    ]
)
_VOID: Final = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "frame",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
_ENDS_BEFORE: Final = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "td": frozenset({"td", "th", "tr"}),
    "th": frozenset({"td", "th", "tr"}),
    "tr": frozenset({"tr", "tbody", "tfoot"}),
    "option": frozenset({"option", "optgroup"}),
}
_NOTE: Final = re.compile("<[!?]")
_ANCHOR: Final = re.compile(r"<(?:[!?]|wbr\b|(?:a|span)\s(?:[^>]*\s)?(?:id|name)\s*=)", re.IGNORECASE)
"""What nobody sees between two letters: a comment, a place to break a word, a place that links lead to."""
_ATTRIBUTES: Final = frozenset({"alt", "title", "placeholder", "aria-label", "aria-description"})
_LABELLED: Final = frozenset({"optgroup", "option", "track"})
_BUTTONS: Final = frozenset({"button", "submit", "reset"})
_DESCRIPTIONS: Final = frozenset({"description", "og:title", "og:description", "twitter:title", "twitter:description"})


class Role(StrEnum):
    """What an element is to a translator."""

    INLINE = "inline"
    BORDER = "border"
    OPAQUE_INLINE = "opaque inline"
    """Not for translation, within a sentence."""
    OPAQUE_BORDER = "opaque border"


@dataclass(frozen=True)
class Rules:
    """The rules for a kind of markup."""

    is_xml: bool = False
    """Whether it is cut as XML is."""
    is_html: bool = True
    """Whether the names of elements are those of HTML."""
    translates_attributes: bool = True
    """Those that people read: alt, title, placeholder ..."""
    borders: frozenset[str] = frozenset()
    """Further elements that part sentences, and elements that do not; both over what is usual."""
    inline: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    """Further elements that are not for translation."""
    structural: frozenset[int] = frozenset()
    """In XML: the places of tags whose parent has no text, which part sentences."""

    def role_of(self, tag: Token, attributes: dict[str, str]) -> Role:
        """Return the role of an element by its opening tag."""
        is_inline = tag.name in _INLINE if self.is_html else tag.start not in self.structural
        is_inline = (is_inline or tag.name in self.inline) and tag.name not in self.borders
        usual = self.is_html and tag.name in _OPAQUE
        is_opaque = attributes.get("translate", "").lower() == "no" or tag.name in self.opaque or usual
        if not is_opaque and "class" in attributes:
            is_opaque = "notranslate" in attributes["class"].split()
        if is_opaque:
            return Role.OPAQUE_INLINE if is_inline else Role.OPAQUE_BORDER
        return Role.INLINE if is_inline else Role.BORDER

    def is_void(self, tag: Token) -> bool:
        """Return whether an element has no content, and so no closing tag."""
        return tag.kind is TokenKind.EMPTY if self.is_xml else tag.name in _VOID

    def is_ended_by(self, name: str, tag: Token) -> bool:
        """Return whether an element without a closing tag ends where another begins."""
        if self.is_xml:
            return False
        return tag.name not in _INLINE if name == "p" else tag.name in _ENDS_BEFORE.get(name, ())

    def is_unseen(self, written: str) -> bool:
        """Return whether a code without content is one that readers do not see, by what stands in the file."""
        return (_ANCHOR if self.is_html else _NOTE).match(written) is not None

    def is_read(self, tag: str, name: str, attributes: dict[str, str]) -> bool:
        """Return whether people read an attribute, so that it is translated."""
        if not self.translates_attributes:
            return False
        if name in _ATTRIBUTES or (name == "label" and tag in _LABELLED):
            return True
        if name == "value":
            return tag == "input" and attributes.get("type", "").lower() in _BUTTONS
        key = attributes.get("name") or attributes.get("property") or ""
        return name == "content" and tag == "meta" and key.lower() in _DESCRIPTIONS


HTML: Final = Rules()
XHTML: Final = Rules(is_xml=True)


def rules_for_xml(
    text: str,
    *,
    borders: Sequence[str] = (),
    inline: Sequence[str] = (),
    opaque: Sequence[str] = (),
    finds_structure: bool = True,
) -> Rules:
    """Return rules for an XML text; with ``finds_structure`` an element parts sentences if its parent has no text."""
    return Rules(
        is_xml=True,
        is_html=False,
        translates_attributes=False,
        borders=frozenset(borders),
        inline=frozenset(inline),
        opaque=frozenset(opaque),
        structural=_structural(text) if finds_structure else frozenset(),
    )


def _structural(text: str) -> frozenset[int]:
    found: set[int] = set()
    children: list[list[int]] = [[]]
    has_text = [False]
    for token in tokens_of(text, is_xml=True):
        if token.kind in (TokenKind.TEXT, TokenKind.CDATA):
            has_text[-1] = has_text[-1] or not text[token.start : token.end].isspace()
        elif token.kind is TokenKind.CLOSING:
            if len(children) > 1:
                ended = children.pop()
                found.update(() if has_text.pop() else ended)
            children[-1].append(token.start)
        elif token.kind in (TokenKind.OPENING, TokenKind.EMPTY):
            children[-1].append(token.start)
            if token.kind is TokenKind.OPENING:
                children.append([])
                has_text.append(False)
    for ended, is_mixed in zip(children, has_text, strict=True):
        found.update(() if is_mixed else ended)
    return frozenset(found)
