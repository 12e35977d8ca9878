"""Cut HTML or XML into tags, text and the rest, as the tokenizer of the HTML standard does (section 13.2.5).

Every character belongs to one token. The time is linear in the length of the text. Read ``escapes.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Attribute", "Token", "TokenKind", "attributes_in", "tokens_of"]

# In old releases of Python a possessive group ends right only if its last alternative is (?!), which never matches.
# A quotation mark counts only at the start of a value; a name may hold anything else.
_ATTRIBUTE: Final = r"""[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+)|(?!))?+"""
_FIRST: Final = {False: "[A-Za-z]", True: "[A-Za-z_:\u0080-\U0010ffff]"}
"""The first character of a name, by whether it is XML."""
_TAG: Final = {
    is_xml: re.compile(rf"<(/?)({first}[^\s/>]*+)(?:[\s/]++|{_ATTRIBUTE}|(?!))*+>") for is_xml, first in _FIRST.items()
}
_STARTS_A_TAG: Final = {is_xml: re.compile(f"</?{first}") for is_xml, first in _FIRST.items()}
_NAME: Final = re.compile(r"<[^\s/>]++")
_END_OF_COMMENT: Final = re.compile("--!?>")
_ONE_ATTRIBUTE: Final = re.compile(r"""([^\s/>][^\s/>=]*+)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+)|(?!))?+""")
_RAW: Final = frozenset({"script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title", "plaintext"})
"""Elements of HTML in which no tags are recognised but their own end."""


class TokenKind(StrEnum):
    """What a token is."""

    TEXT = "text"
    OPENING = "opening"
    CLOSING = "closing"
    EMPTY = "empty"
    """A tag that ends in ``/>``; in HTML that means nothing except for the elements that are always empty."""
    CDATA = "cdata"
    OTHER = "other"
    """Comments, declarations, processing instructions, and tags without an end."""


@dataclass(frozen=True, slots=True)
class Token:
    """A stretch of the text."""

    kind: TokenKind
    start: int
    end: int
    name: str = ""
    """Of a tag; in HTML in small letters."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute, and where its value is in the text, without quotation marks."""

    name: str
    start: int
    end: int
    quote: str
    """The mark around the value, or nothing."""


def tokens_of(text: str, *, is_xml: bool) -> Iterator[Token]:
    """Yield the tokens of a text, in order and without gaps."""
    place = done = 0
    while (place := text.find("<", place)) >= 0:
        token = _at(text, place, is_xml=is_xml)
        if token is None:
            place += 1
            continue
        if done < place:
            yield Token(TokenKind.TEXT, done, place)
        yield token
        place = done = token.end
        if not is_xml and token.kind in (TokenKind.OPENING, TokenKind.EMPTY) and token.name in _RAW:
            place = _end_of_raw(text, place, token.name)
    if done < len(text):
        yield Token(TokenKind.TEXT, done, len(text))


def attributes_in(text: str, tag: Token, *, is_xml: bool) -> Iterator[Attribute]:
    """Yield the attributes of a tag that have a value."""
    name = _NAME.match(text, tag.start)
    place = name.end() if name else tag.end
    for found in _ONE_ATTRIBUTE.finditer(text, place, tag.end - 1):
        if found[2]:
            quote = found[2][0] if found[2][0] in "\"'" else ""
            yield Attribute(
                found[1] if is_xml else found[1].lower(), found.start(2) + len(quote), found.end(2) - len(quote), quote
            )


def _at(text: str, place: int, *, is_xml: bool) -> Token | None:
    """Return the token that begins with the ``<`` at a place, or None if it is text."""
    if text.startswith("<!--", place):
        return Token(TokenKind.OTHER, place, _end_of_comment(text, place, is_xml=is_xml))
    if is_xml and text.startswith("<![CDATA[", place):
        return Token(TokenKind.CDATA, place, _after(text, "]]>", place + 9))
    if text.startswith("<?", place):
        return Token(TokenKind.OTHER, place, _after(text, "?>" if is_xml else ">", place + 2))
    if text.startswith("<!", place):
        return Token(TokenKind.OTHER, place, _after(text, ">", place + 2))
    if found := _TAG[is_xml].match(text, place):
        is_empty = text[found.end() - 2] == "/"
        kind = TokenKind.CLOSING if found[1] else TokenKind.EMPTY if is_empty else TokenKind.OPENING
        return Token(kind, place, found.end(), found[2] if is_xml else found[2].lower())
    if _STARTS_A_TAG[is_xml].match(text, place):
        return Token(TokenKind.OTHER, place, len(text))  # a tag without an end
    if text.startswith("</", place) and not is_xml:
        return Token(TokenKind.OTHER, place, _after(text, ">", place + 2))
    return None


def _end_of_comment(text: str, place: int, *, is_xml: bool) -> int:
    if is_xml:
        return _after(text, "-->", place + 4)
    for short in ("<!-->", "<!--->"):
        if text.startswith(short, place):
            return place + len(short)
    found = _END_OF_COMMENT.search(text, place + 4)
    return found.end() if found else len(text)


def _after(text: str, mark: str, place: int) -> int:
    end = text.find(mark, place)
    return len(text) if end < 0 else end + len(mark)


def _end_of_raw(text: str, place: int, name: str) -> int:
    if name == "plaintext":
        return len(text)
    found = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(text, place)
    return found.start() if found else len(text)
