"""Merge pieces to words, for alignments and for pictures that people read.

A word begins at a piece that starts with a space. Punctuation at either end of a word is a word of its own, and so is
every piece in a script that is written without spaces. The bytes of one character are never separated.
Read ``links.py`` next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pellucid.text.vocabulary import WORD_BOUNDARY

__all__ = ["Word", "merge_words"]

_BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")
_UNSPACED: Final = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x30FF),  # Japanese
    (0x3400, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


@dataclass(frozen=True)
class Word:
    """A word and its pieces: from ``start`` up to but not including ``end``."""

    text: str
    start: int
    end: int


def merge_words(pieces: Sequence[str], *, is_special: Sequence[bool]) -> tuple[Word, ...]:
    """Return words that together cover all pieces in order; a special piece is a separate word.

    Args:
        pieces: as a tokenizer writes them, U+2581 for a space and ``<0xE2>`` for a byte.
        is_special: whether each piece is special or a language tag.
    """
    units = _units(pieces, is_special)
    words: list[list[Word]] = []
    for number, unit in enumerate(units):
        special = is_special[unit.start]
        if number and not special and not is_special[unit.start - 1] and not _begins(units[number - 1].text, unit.text):
            words[-1].append(unit)
        else:
            words.append([unit])
    return tuple(
        _joined(part)
        for word in words
        for part in ([word] if is_special[word[0].start] else _without_punctuation(word))
    )


def _begins(before: str, text: str) -> bool:
    """Return whether ``text`` begins a word after the unit ``before``."""
    if text[:1].isspace() or not before.strip():  # a space alone belongs to the next word
        return text[:1].isspace()
    if unicodedata.category(text[:1] or " ")[0] in "MC":  # marks and joiners belong to the character before them
        return False
    return _is_unspaced(text[:1]) or _is_unspaced(before[-1:])


def _units(pieces: Sequence[str], is_special: Sequence[bool]) -> list[Word]:
    """Return the units that cannot be split: a piece, or the byte pieces of one character."""
    found: list[Word] = []
    start = 0
    while start < len(pieces):
        end = start + 1
        byte = None if is_special[start] else _BYTE.fullmatch(pieces[start])
        if byte is None:
            text = pieces[start] if is_special[start] else pieces[start].replace(WORD_BOUNDARY, " ")
        else:
            spelt = bytearray([int(byte[1], 16)])
            while end < len(pieces) and len(spelt) < _length_of(spelt[0]):
                more = None if is_special[end] else _BYTE.fullmatch(pieces[end])
                if more is None or int(more[1], 16) & 0xC0 != 0x80:
                    break
                spelt.append(int(more[1], 16))
                end += 1
            text = spelt.decode("utf-8", errors="replace")
        found.append(Word(text, start, end))
        start = end
    return found


def _length_of(lead: int) -> int:
    """Return the number of UTF-8 bytes of a character with this first byte."""
    return 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1


def _without_punctuation(units: list[Word]) -> list[list[Word]]:
    """Separate a word from the punctuation at its ends."""
    marks = [_is_punctuation(unit.text) for unit in units]
    if not units[0].text.strip():  # a space alone belongs to the next word
        marks[0] = len(units) > 1 and marks[1]
    if all(marks) or not any(marks):
        return [units]
    first = marks.index(False)
    last = len(units) - marks[::-1].index(False)
    while last < len(units) and unicodedata.category(units[last].text.strip()[:1] or " ")[0] in "MC":
        last += 1
    return [units[a:b] for a, b in pairwise([0, first, last, len(units)]) if a < b]


def _is_punctuation(text: str) -> bool:
    stripped = text.strip()
    is_mark = all(unicodedata.category(character)[0] in "PSMC" for character in stripped)
    return bool(stripped) and is_mark and "\ufffd" not in stripped  # not a part of a character


def _is_unspaced(character: str) -> bool:
    return bool(character) and any(first <= ord(character) <= last for first, last in _UNSPACED)


def _joined(units: Sequence[Word]) -> Word:
    text = "".join(unit.text for unit in units)
    return Word(text.strip() or text, units[0].start, units[-1].end)
