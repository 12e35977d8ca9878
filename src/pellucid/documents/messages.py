"""Messages of ICU with forms to choose from: ``{count, plural, one {a file} other {# files}}``.

A message that is nothing but a choice has a whole sentence in each of its forms, and each is translated. Where text
stands around a choice, its forms are pieces of a sentence, which would not fit together again; such a message stays.
Read ``formats/`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["MESSAGE_SYNTAX", "Form", "escaped_in_message", "forms_of", "text_of_form"]

MESSAGE_SYNTAX: Final = re.compile(r"\{\s{0,9}[\w.-]{1,64}\s{0,9},\s{0,9}(?:plural|select|selectordinal)\s{0,9},")
"""What a choice begins with."""
_SELECTOR: Final = re.compile(r"\s*+(?:offset:\d{1,9}\s*+)?(=\d{1,9}|[\w-]{1,64})\s*+\{")
_STEP: Final = re.compile(r"'[{}#|][^']*+'?|[^{}']++|'|[{}]")
_MOST_NESTED: Final = 8


@dataclass(frozen=True)
class Form:
    """Where the text of a form stands in its message."""

    start: int
    end: int
    is_plural: bool
    """Whether ``#`` in it is the number."""


def forms_of(message: str) -> list[Form] | None:
    """Return the forms of a message that is nothing but a choice, or of choices in its forms; None for any other."""
    return _forms(message, 0, len(message), 0)


def text_of_form(written: str) -> str:
    """Return the text of a form, in which two apostrophes are one."""
    return written.replace("''", "'")


def escaped_in_message(text: str) -> str:
    """Return text as it is written in a form: an apostrophe before a brace would make that brace text."""
    return re.sub(r"'(?=[{}#|]|\Z)|[{}]", lambda found: "''" if found[0] == "'" else f"'{found[0]}'", text)


def _forms(message: str, start: int, end: int, depth: int) -> list[Form] | None:
    inside = message[start:end]
    start += len(inside) - len(inside.lstrip())
    end -= len(inside) - len(inside.rstrip())
    begun = MESSAGE_SYNTAX.match(message, start, end)
    if begun is None or depth > _MOST_NESTED:
        return None
    is_plural = "select" not in begun[0] or "selectordinal" in begun[0]
    found: list[Form] = []
    at = begun.end()
    while selector := _SELECTOR.match(message, at, end):
        after = _end_of(message, selector.end(), end)
        if after < 0:
            return None
        nested = _forms(message, selector.end(), after, depth + 1)
        if nested is None and MESSAGE_SYNTAX.search(message, selector.end(), after):
            return None
        found += [Form(selector.end(), after, is_plural)] if nested is None else nested
        at = after + 1
    closed = re.compile(r"\s*\}").match(message, at, end)
    return found if found and closed and closed.end() == end else None


def _end_of(message: str, start: int, end: int) -> int:
    """Return the place of the brace that closes what is open at a place, or -1."""
    depth = 0
    for step in _steps(message, start, end):
        if message[step] == "{":
            depth += 1
        elif depth:
            depth -= 1
        else:
            return step
    return -1


def _steps(message: str, start: int, end: int) -> Iterator[int]:
    for found in _STEP.finditer(message, start, end):
        if found[0] in ("{", "}"):
            yield found.start()
