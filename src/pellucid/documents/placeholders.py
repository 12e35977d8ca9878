"""The placeholders and tags of a string of software as codes: ``%s``, ``{name}``, ``<b>``.

Read ``messages.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pellucid.documents.segments import Code, CodeKind, Parts, merged_text
from pellucid.documents.spans import Literal
from pellucid.translation.losses import PLACEHOLDER

__all__ = ["parts_of_form", "parts_of_string"]

_NEW_LINE: Final = r"(?<![ \t])[ \t]*+\r?\n[ \t\r\n]*+"
_OF_STRINGS: Final = (
    r"\{\{[^{}\n]{0,200}\}\}",  # {{ name | filter }} of Angular, Vue, Jinja, i18next
    r"%\{\w{1,64}\}",  # %{name} of Ruby
    r"\{\s{1,9}\$?[\w.-]{1,64}\s{0,9}\}",  # { $name } of Fluent
    # {count, number}, {day, date, ::yMd} of ICU
    r"\{\s{0,9}[\w.-]{1,64}\s{0,9},\s{0,9}(?:number|date|time|spellout|ordinal|duration|list)\s{0,9}(?:,[^{}]{0,200})?\}",
    r"\$t\([^()\n]{0,200}\)",  # another message, of i18next
    r"@(?:\.\w{1,20})?:(?:\([\w.]{1,64}\)|[\w.]{1,64})",  # and of Vue
    r"<%[^>\n]{0,200}%>",  # ERB, EJS
    r"</?\d{1,3}\s?/?>",  # <0>, </0>, <1/> of React
    r"(?<=\s)\|(?=\s)",  # between the plural forms of Vue
    r"(?<![^\s(]):[a-z_]{2,40}(?![\w:])",  # :name of Laravel
    _NEW_LINE,
)
_PLACEHOLDER: Final = re.compile("|".join((*_OF_STRINGS, PLACEHOLDER.pattern)))
_IN_PLURALS: Final = re.compile(rf"#|{_PLACEHOLDER.pattern}")
_TAG: Final = re.compile(r"<(/?)([A-Za-z0-9][\w:-]{0,63})")
_IS_NEW_LINE: Final = re.compile(_NEW_LINE)


def parts_of_form(text: str, *, is_plural: bool, write: Callable[[str], str]) -> Parts:
    """Return the text of a form of a message like ``parts_of_string``; in a plural ``#`` is a placeholder.

    Its codes are not written like its text, in which braces are escaped; ``write`` is how they are.
    """
    return tuple(
        replace(part, original=Literal(write(part.original))) if isinstance(part, Code) else part
        for part in _parts(text, _IN_PLURALS if is_plural else _PLACEHOLDER)
    )


def parts_of_string(text: str) -> Parts:
    """Return a string with its placeholders and ends of lines as codes; an opening and its closing tag are a pair."""
    return _parts(text, _PLACEHOLDER)


def _parts(text: str, placeholder: re.Pattern[str]) -> Parts:
    found: list[str | Code] = []
    waiting: list[tuple[str, int]] = []  # names and places of opening tags
    end = 0
    for number, one in enumerate(placeholder.finditer(text), start=1):
        found.append(text[end : one.start()])
        end = one.end()
        code = Code(CodeKind.STANDALONE, number, one[0], one[0].strip() or "⏎", is_space=_is_new_line(one[0]))
        tag = _TAG.match(one[0])
        if tag and tag[1] and waiting and waiting[-1][0] == tag[2]:
            place = waiting.pop()[1]
            opening = found[place]
            if isinstance(opening, Code):
                found[place] = replace(opening, kind=CodeKind.OPENING)
                code = replace(code, kind=CodeKind.CLOSING, number=opening.number)
        elif tag and not tag[1] and not one[0].endswith("/>"):
            waiting.append((tag[2], len(found)))
        found.append(code)
    return merged_text([*found, text[end:]])


def _is_new_line(written: str) -> bool:
    return _IS_NEW_LINE.fullmatch(written) is not None
