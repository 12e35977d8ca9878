"""Recognise the writing systems that need a special tokenizer for BLEU, by the letters of a text.

Read ``bleu_words.py`` next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

__all__ = ["Script", "script_of"]

_LEAST_SHARE: Final = 0.25
"""Least share of all letters: technical Chinese is half Latin letters, and Latin text is rarely a quarter Chinese."""
_LEAST_KANA: Final = 0.1
"""Least share of kana among Chinese and Japanese characters: Japanese has more, and Chinese text quotes few."""


class Script(StrEnum):
    """A writing system without spaces between words, Korean, which has a special tokenizer, or any other."""

    CHINESE = "Chinese"
    JAPANESE = "Japanese"
    KOREAN = "Korean"
    THAI = "Thai"
    LAO = "Lao"
    TIBETAN = "Tibetan"
    BURMESE = "Burmese"
    KHMER = "Khmer"
    OTHER = "another script"


_RANGES: Final = (
    (0x0E00, 0x0E7F, Script.THAI),
    (0x0E80, 0x0EFF, Script.LAO),
    (0x0F00, 0x0FFF, Script.TIBETAN),
    (0x1000, 0x109F, Script.BURMESE),
    (0x1100, 0x11FF, Script.KOREAN),
    (0x1780, 0x17FF, Script.KHMER),
    (0x3040, 0x30FF, Script.JAPANESE),
    (0x3130, 0x318F, Script.KOREAN),
    (0x31F0, 0x31FF, Script.JAPANESE),
    (0x3400, 0x4DBF, Script.CHINESE),
    (0x4E00, 0x9FFF, Script.CHINESE),
    (0xAC00, 0xD7AF, Script.KOREAN),
    (0xF900, 0xFAFF, Script.CHINESE),
    (0xFF66, 0xFF9F, Script.JAPANESE),
    (0x20000, 0x3FFFF, Script.CHINESE),
)


def script_of(texts: Iterable[str]) -> Script:
    """Return the most common script that needs a special tokenizer, or ``OTHER`` if few letters need one."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    letters: Counter[Script] = Counter()
    for character, count in characters.items():
        if character.isalpha():
            letters[_script_of_letter(character)] += count
    others = letters.pop(Script.OTHER, 0)
    if not letters or letters.total() < _LEAST_SHARE * (letters.total() + others):
        return Script.OTHER
    if letters[Script.JAPANESE] > _LEAST_KANA * (letters[Script.JAPANESE] + letters[Script.CHINESE]):
        letters[Script.JAPANESE] += letters.pop(Script.CHINESE, 0)
    return letters.most_common(1)[0][0]


def _script_of_letter(character: str) -> Script:
    code = ord(character)
    return next((script for first, last, script in _RANGES if first <= code <= last), Script.OTHER)
