"""Where a form stands in a text: at the boundaries of words, in small letters or in capitals.

A form also stands for itself with a capital first letter, as at the start of a sentence. One that is written in small
letters also stands for itself with a capital at each of its words, and all in capitals. Read ``glossary.py`` next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

__all__ = ["capitalised", "is_boundary", "is_spaced", "occurrences", "spellings_of"]

# Thai, Lao, Myanmar, Khmer, kana, Han: words stand side by side without a space.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)


@lru_cache(maxsize=65536)
def is_spaced(character: str) -> bool:
    """Return whether a character is part of a word in a script that puts spaces between words; "" is not."""
    return (
        bool(character)
        and (unicodedata.category(character)[0] in "LMN" or character == "_")
        and not _UNSPACED.match(character)
    )


def is_boundary(text: str, place: int) -> bool:
    """Return whether a word can begin or end before the character at ``place``, or at the end of the text."""
    return not (0 < place < len(text) and is_spaced(text[place - 1]) and is_spaced(text[place]))


@lru_cache(maxsize=65536)
def spellings_of(form: str) -> tuple[str, ...]:
    """Return every way in which a form may be written, the given one first."""
    found = [form, capitalised(form)]
    if form == form.lower():
        found += [" ".join(map(capitalised, form.split(" "))), form.upper()]
    return tuple(dict.fromkeys(found))


def capitalised(form: str) -> str:
    """Return a form with a capital first letter."""
    return form[:1].upper() + form[1:]


def occurrences(text: str, spellings: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Return where one of some spellings stands in a text, as (start, end), spelling by spelling from the left."""
    for spelling in spellings:
        place = text.find(spelling)
        while place >= 0:
            end = place + len(spelling)
            if is_boundary(text, place) and is_boundary(text, end):
                yield place, end
            place = text.find(spelling, place + 1)
