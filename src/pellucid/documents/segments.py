"""What every format reads a document into: segments of text and inline codes, which can be written back.

A code is whatever stands between the words of a segment and is no text: a tag, a field, a reference. A translation of
a segment has the same codes, each once, and its pairs enclose each other or stand apart, as they did. Read
``limits.py`` next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pellucid.errors import DocumentError, counted

__all__ = [
    "Code",
    "CodeKind",
    "Document",
    "Parts",
    "Segment",
    "has_letters",
    "is_balanced",
    "merged_text",
    "notes_of",
    "problem_with",
    "text_of",
]

_MOST_SHOWN: Final = 5


class CodeKind(StrEnum):
    """Whether a code is half of a pair."""

    OPENING = "opening"
    CLOSING = "closing"
    STANDALONE = "standalone"


@dataclass(frozen=True)
class Code:
    """An inline code.

    Two codes of a segment are the same code if kind and number are equal; what they stand for is not compared.
    """

    kind: CodeKind
    number: int
    """Of its segment, from 1; both halves of a pair have the same, and no other code has it."""
    original: Any = field(compare=False, repr=False, default=None)
    """What stands for it in the file; only its format looks at it."""
    shown: str = field(compare=False, default="")
    """What people are shown for it, such as ``<b>``."""
    is_visible: bool = field(compare=False, default=True)
    """Whether readers of the document see anything of it; behind one that they do not see, a word goes on."""
    is_space: bool = field(compare=False, default=False)
    """Whether it is white space itself, such as the end of a line: the text beside it needs none."""


Parts = tuple[str | Code, ...]
"""Text and codes in their order. Text is never empty and never follows text; entities and escapes are resolved."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a document that is translated as one text."""

    parts: Parts
    """White space at both ends belongs to it, and comes back as it was."""
    place: str = ""
    """Where it stands, for people: ``line 12``, ``sheet 2, cell B7``."""
    keeps_order: bool = False
    """Its codes stay in their order: halves of pairs are among them that stand alone here."""

    @property
    def text(self) -> str:
        """The text without its codes."""
        return text_of(self.parts)

    @property
    def codes(self) -> tuple[Code, ...]:
        """Its codes, in order."""
        return tuple(part for part in self.parts if isinstance(part, Code))


class Document(ABC):
    """A document that was read: what can be translated in it, and how it is written again.

    Args:
        segments: in their order.
        notes: what could not be read, or is left as it is, for the report; a sentence each.
    """

    def __init__(self, segments: Sequence[Segment], notes: Iterable[str] = ()) -> None:
        self.segments = tuple(segments)
        self.notes = tuple(notes)

    def merge(self, translated: Sequence[Parts | None]) -> bytes:
        """Return the file with other parts in its segments; the parts that were read give the file that was read.

        Args:
            translated: for each segment its new parts; None leaves the file as it is there. Equal parts do so, too,
                except in files that hold a source and its translation.

        Raises:
            DocumentError: there are not as many, or the codes of a segment changed.
        """
        if len(translated) != len(self.segments):
            raise DocumentError(
                f"{counted(len(translated), 'translation')} given for "
                f"{counted(len(self.segments), 'segment')}; give one for each"
            )
        for segment, parts in zip(self.segments, translated, strict=True):
            if parts is not None and (problem := problem_with(segment.parts, parts)):
                raise DocumentError(f"{segment.place or 'a segment'}: {problem}; keep every code of a segment, once")
        return self._written([None if parts is None else merged_text(parts) for parts in translated])

    @abstractmethod
    def _written(self, translated: Sequence[Parts | None]) -> bytes:
        """Return the file; ``translated`` is checked."""


def has_letters(text: str) -> bool:
    """Return whether a text has a letter of any script; figures, dates and signs alone are the same in any language."""
    return any(map(str.isalpha, text))


def text_of(parts: Parts) -> str:
    """Return the text of parts without their codes."""
    return "".join(part for part in parts if isinstance(part, str))


def notes_of(left: Mapping[str, int]) -> list[str]:
    """Return a sentence for each kind of what is left, by its noun in the singular."""
    return [
        f"{counted(number, name)} left as {'it is' if number == 1 else 'they are'}"
        for name, number in left.items()
        if number
    ]


def merged_text(parts: Iterable[str | Code]) -> Parts:
    """Return parts in which no text is empty or follows text."""
    found: list[str | Code] = []
    text: list[str] = []  # joined at once: a paragraph may have a hundred thousand pieces
    for part in parts:
        if isinstance(part, str):
            text.append(part)
            continue
        found += filter(None, ("".join(text), part))
        text.clear()
    return (*found, *filter(None, ("".join(text),)))


def is_balanced(parts: Parts) -> bool:
    """Return whether every pair opens before it closes, and pairs enclose each other or stand apart."""
    open_: list[int] = []
    for part in parts:
        if not isinstance(part, Code) or part.kind is CodeKind.STANDALONE:
            continue
        if part.kind is CodeKind.OPENING:
            open_.append(part.number)
        elif not open_ or open_.pop() != part.number:
            return False
    return not open_


def problem_with(source: Parts, translated: Parts) -> str:
    """Return what is wrong with the codes of a translation, or nothing."""
    wanted, found = (Counter(part for part in parts if isinstance(part, Code)) for parts in (source, translated))
    if missing := wanted - found:
        return f"the translation lacks {_shown(missing)}"
    if added := found - wanted:
        return f"the translation has {_shown(added)} too often"
    return "" if is_balanced(translated) else "the pairs of codes of the translation cross"


def _shown(codes: Counter[Code]) -> str:
    every = [code.shown or f"{code.kind} code {code.number}" for code in codes.elements()]
    more = f" and {len(every) - _MOST_SHOWN} more" if len(every) > _MOST_SHOWN else ""
    return ", ".join(every[:_MOST_SHOWN]) + more
