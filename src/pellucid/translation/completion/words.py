"""Where the next word of a text that is being written ends. Read ``expansion.py`` next."""

from __future__ import annotations

import re
from typing import Final

from pellucid.translation.terms.forms import is_spaced

__all__ = ["first_word"]

_JOINS: Final = "'’-"
_NO_SPACE: Final = re.compile(r"\S")


def first_word(text: str, *, is_over: bool = False) -> str | None:
    """Return the first word of a text whose end is not written yet; None where the word may go on.

    A word is a run of letters and digits, in which apostrophes and hyphens may stand; or one other sign; or one
    character of a script without spaces between words.

    Args:
        text: with or without white space before the word.
        is_over: nothing comes after the text; its word is then whole, and "" where there is none.
    """
    found = _NO_SPACE.search(text)
    if found is None:
        return "" if is_over else None
    start = end = found.start()
    if not is_spaced(text[start]):
        return text[start]
    while end < len(text):
        joins = text[end] in _JOINS and is_spaced(text[end - 1])
        if not (joins or is_spaced(text[end])):
            return text[start:end].rstrip(_JOINS) if text[end].isspace() else text[start:end]
        end += 1
    return text[start:] if is_over else None
