"""Say what is broken in a text with tags: something without an end, or in a strict reading whatever XML forbids.

Tags without their other half are no reason to refuse a text: they stay where they are. Read ``../transfer/`` next.
"""

from __future__ import annotations

import re
import secrets
from typing import Final
from xml.parsers import expat

from pellucid.documents.markup.tokens import TokenKind, tokens_of

__all__ = ["not_well_formed", "without_end"]

_IS_WHOLE_FILE: Final = re.compile(r"<(?:\?xml\s|!DOCTYPE\s)")
_ENDS: Final = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}
_LONGEST_SHOWN: Final = 40


def without_end(text: str, *, is_xml: bool) -> str:
    """Return which tag, comment or the like has no end and so would hide the text after it, or nothing."""
    last = None
    for token in tokens_of(text, is_xml=is_xml):
        last = token
    if last is None or last.kind not in (TokenKind.OTHER, TokenKind.CDATA):
        return ""
    written = text[last.start : last.end]
    end = next((end for start, end in _ENDS.items() if is_xml and written.startswith(start)), ">")
    if written.endswith(end):
        return ""
    return f"{_shown(written)} has no end; close it with {end}, or write &lt; for a < that is text"


def not_well_formed(text: str) -> str:
    """Return why a text is not well-formed XML, or nothing; without a prolog, a text may have several roots or none."""
    parser = expat.ParserCreate()
    problems: list[str] = []

    def refuse(*declaration: object) -> None:
        problems.append("it declares entities, and those are refused")
        raise ValueError

    parser.EntityDeclHandler = refuse
    bare = text.strip()
    root = f"x{secrets.token_hex(8)}"
    pieces = (bare,) if _IS_WHOLE_FILE.match(bare) else (f"<{root}>", bare, f"</{root}>")
    try:
        for piece in pieces:
            parser.Parse(piece)
        parser.Parse("", True)
    except expat.ExpatError as error:
        return f"{expat.ErrorString(error.code)} at line {error.lineno}"
    except ValueError:  # also of a lone surrogate
        return problems[0] if problems else "it has characters that XML cannot hold"
    return ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")
