"""A unit of a memory that is shown beside a translation, with what differs. Read ``index.py`` next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pellucid.translation.losses import PLACEHOLDER
from pellucid.translation.terms.forms import is_spaced

__all__ = ["MemoryMatch", "differing", "words_of"]

_WORD: Final = re.compile(rf"{PLACEHOLDER.pattern}|\w+|[^\w\s]")
SAME: Final = 100.0
"""The score of a unit with the same source."""


@dataclass(frozen=True)
class MemoryMatch:
    """A unit whose source is that of a text (score 100), or like it.

    ``only_in_memory`` are the words of its source that the text lacks, and ``only_in_text`` those of the text that it
    lacks; words that follow each other are one item.
    """

    source: str
    target: str
    score: float
    """Characters that both have in the same order, in percent of all characters of both."""
    only_in_memory: tuple[str, ...] = ()
    only_in_text: tuple[str, ...] = ()


def words_of(text: str) -> list[str]:
    """Return the words, marks, placeholders and tags of a text; each character of a script without spaces is one."""
    return [part for word in _WORD.findall(text) for part in ([word] if is_spaced(word[0]) else _apart(word))]


def _apart(word: str) -> Sequence[str]:
    return [word] if PLACEHOLDER.fullmatch(word) else [*word]


def differing(stored: str, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the runs of words that only the stored source has, and those that only the text has."""
    from rapidfuzz.distance import Indel

    rows = words_of(stored), words_of(text)
    steps = [*Indel.opcodes(*rows)]
    return (
        tuple(_runs(rows[0], [(one.src_start, one.src_end) for one in steps if one.tag == "delete"])),
        tuple(_runs(rows[1], [(one.dest_start, one.dest_end) for one in steps if one.tag == "insert"])),
    )


def _runs(words: Sequence[str], places: Sequence[tuple[int, int]]) -> Iterator[str]:
    for start, end in places:
        joined = words[start]
        for before, word in zip(words[start:end], words[start + 1 : end], strict=False):
            joined += (" " if is_spaced(before[-1]) and is_spaced(word[0]) else "") + word
        yield joined
