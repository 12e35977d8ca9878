"""The records of the readers: what a file holds, what is left out of it and why, and the sums.

Read ``languages.py`` next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pellucid.config import CorpusConfig, InvalidUtf8

__all__ = ["MAX_UNIT_CHARACTERS", "FileReport", "FileTally", "Found", "LeftOut", "Reason", "Request", "Unit"]

MAX_UNIT_CHARACTERS: Final = 1 << 20
"""Largest unit with its markup; a larger one is left out, so that memory stays bounded."""
_MOST_PLACES: Final = 5


class Reason(StrEnum):
    """Why a unit is left out."""

    BROKEN = "broken"
    """It is not well-formed: a tag is missing, a column, a quotation mark."""
    TOO_LARGE = "too large"
    """It has more than ``MAX_UNIT_CHARACTERS``."""
    INVALID_TEXT = "invalid text"
    """It has bytes that the encoding of the file does not allow, or a NUL character."""
    NO_SOURCE = "no text in the source language"
    NO_TARGET = "no text in the target language"
    OTHER_SCRIPT = "another script of the language"
    UNTRANSLATED = "untranslated"
    EMPTY = "empty"
    """A side has no text, or nothing but inline codes."""
    NOT_FOR_TRANSLATION = "not for translation"
    FUZZY = "fuzzy"
    """Its translation is a guess that nobody has confirmed."""
    OBSOLETE = "obsolete"
    CONTEXT = "with a context"
    """Its translation holds in one context only, which the model does not see."""
    PLURAL_FORM = "further plural form"
    """The source language has no form of its own for it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A text and its translation as they are in the file."""

    source: str
    target: str
    line: int
    """Line of the file where it begins, or number of the record, from 0."""
    document: str = ""
    """Name of the document in the memory; it only serves to keep documents together, and is not stored."""
    codes: tuple[str, str] = ("", "")
    """The language codes of both texts in the file; empty if it states none."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A unit that is not used."""

    reason: Reason
    line: int


Found = Unit | LeftOut


@dataclass(frozen=True)
class Request:
    """What to read from a file."""

    languages: tuple[str, str]
    """Codes of source and target."""
    corpus: CorpusConfig
    invalid_utf8: InvalidUtf8
    say: Callable[[str], None] = lambda text: None
    """Receives notes, such as that a file has the two languages the other way round."""

    @property
    def of_lines(self) -> InvalidUtf8:
        """The policy for the lines of a file: a bad one costs its own unit, and its file only if most are bad."""
        return InvalidUtf8.REPLACE if self.invalid_utf8 is InvalidUtf8.REPLACE else InvalidUtf8.SKIP

    @property
    def swapped(self) -> tuple[str, str]:
        """The languages the other way round."""
        return self.languages[1], self.languages[0]


@dataclass(frozen=True)
class FileReport:
    """What became of every unit of a file."""

    name: str
    format: str
    units: int
    used: int
    left_out: dict[str, int]
    """Number of units by reason."""
    places: dict[str, tuple[int, ...]]
    """The first lines, from 1, by reason."""
    codes: tuple[dict[str, int], dict[str, int]]
    """How many used units have each language code, source and target."""
    swapped: int = 0
    """How many of the used units seem to have their two languages swapped."""
    swapped_places: tuple[int, ...] = ()
    """The first of their lines, from 1."""

    def __post_init__(self) -> None:
        if self.units != self.used + sum(self.left_out.values()):
            raise ValueError(
                f"the report of {self.name} does not add up: {self.units} != {self.used} + {self.left_out}"
            )


@dataclass
class FileTally:
    """Counts the units of a file as they are read."""

    name: str
    format: str
    units: int = 0
    used: int = 0
    beyond_ascii: int = 0
    """Used units with characters beyond ASCII."""
    left_out: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)
    codes: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    swapped: int = 0
    swapped_places: list[int] = field(default_factory=list)

    def count_swapped(self, unit: Unit) -> None:
        """Count a used unit as one with its languages swapped."""
        self.swapped += 1
        if len(self.swapped_places) < _MOST_PLACES:
            self.swapped_places.append(unit.line + 1)

    def count(self, found: Found) -> None:
        """Count a unit."""
        self.units += 1
        if isinstance(found, LeftOut):
            self.left_out[found.reason.value] += 1
            places = self.places.setdefault(found.reason.value, [])
            if len(places) < _MOST_PLACES:
                places.append(found.line + 1)
            return
        self.used += 1
        self.beyond_ascii += not (found.source.isascii() and found.target.isascii())
        for counter, code in zip(self.codes, found.codes, strict=True):
            if code:
                counter[code] += 1

    def report(self) -> FileReport:
        """Return the counts so far."""
        return FileReport(
            self.name,
            self.format,
            self.units,
            self.used,
            dict(self.left_out.most_common()),
            {reason: tuple(lines) for reason, lines in self.places.items()},
            (dict(self.codes[0].most_common()), dict(self.codes[1].most_common())),
            self.swapped,
            tuple(self.swapped_places),
        )
