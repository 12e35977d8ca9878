"""The placeholders and tags of a string of software as codes: ``%s``, ``{name}``, ``<b>``. Read ``formats/`` next."""

from __future__ import annotations

import re
from typing import Final

from pellucid.documents.segments import Code, CodeKind, Parts, merged_text
from pellucid.translation.losses import PLACEHOLDER

__all__ = ["MESSAGE_SYNTAX", "parts_of_string"]

MESSAGE_SYNTAX: Final = re.compile(r"\{\s{0,9}[\w.-]{1,64}\s{0,9},\s{0,9}(?:plural|select|selectordinal)\s{0,9},")
"""A message of ICU with forms to choose from."""
_PLACEHOLDER: Final = re.compile(rf"%\{{\w{{1,64}}\}}|{PLACEHOLDER.pattern}")
"""Those of all texts, and %{name} of Ruby."""
_TAG: Final = re.compile(r"<(/?)([A-Za-z][\w:-]{0,63})")


def parts_of_string(text: str) -> Parts:
    """Return a string with its placeholders as codes; an opening tag and its closing tag are a pair."""
    found: list[str | Code] = []
    waiting: list[tuple[str, int]] = []  # names and places of opening tags
    end = 0
    for number, one in enumerate(_PLACEHOLDER.finditer(text), start=1):
        found.append(text[end : one.start()])
        end = one.end()
        code = Code(CodeKind.STANDALONE, number, one[0], one[0])
        tag = _TAG.match(one[0])
        if tag and tag[1] and waiting and waiting[-1][0] == tag[2]:
            place = waiting.pop()[1]
            opening = found[place]
            if isinstance(opening, Code):
                found[place] = Code(CodeKind.OPENING, opening.number, opening.original, opening.shown)
                code = Code(CodeKind.CLOSING, opening.number, one[0], one[0])
        elif tag and not tag[1] and not one[0].endswith("/>"):
            waiting.append((tag[2], len(found)))
        found.append(code)
    return merged_text([*found, text[end:]])
