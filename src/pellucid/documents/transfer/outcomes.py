"""Which way the codes of each segment went, checked, and what to say about all segments.

Read ``../translating.py`` next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from pellucid.documents.segments import Code, CodeKind, Parts, Segment, problem_with
from pellucid.documents.transfer.placing import placed
from pellucid.documents.transfer.plain import Plain, parts_of_tagged
from pellucid.documents.transfer.spacing import respaced
from pellucid.documents.transfer.words import AlignedText
from pellucid.errors import counted
from pellucid.translation.flags import in_order

__all__ = ["DocumentReport", "Transferred", "Way", "by_alignment", "from_tagged", "kept", "report_on", "without_codes"]

_MOST_PROBLEMS: Final = 20


class Way(StrEnum):
    """How the codes of a segment came into its translation, surest first."""

    NO_CODES = "no codes inside"
    """There were none, or only at the ends."""
    MEMORY = "from the memory"
    """The whole segment; no model was asked."""
    COPIED = "copied by the model"
    ALIGNED = "by word alignment"
    IN_ORDER = "in their order, by attention"
    PROPORTION = "some by proportion"
    AROUND_ALL = "around the whole sentence"
    AS_IT_IS = "nothing to translate"
    """No letter is in it, such as in an amount or a date; no model was asked."""
    KEPT = "not translated"


@dataclass(frozen=True)
class Transferred:
    """The translation of a segment."""

    parts: Parts | None
    """None for a segment that stays as it is."""
    way: Way
    flags: tuple[str, ...] = ()
    problem: str = ""
    """Why it was not translated."""


@dataclass(frozen=True)
class DocumentReport:
    """What became of the segments of a document."""

    segments: int
    codes: int
    ways: Mapping[Way, int]
    """How many segments went each way; none that no segment went."""
    flags: Mapping[str, int]
    problems: tuple[str, ...] = ()
    """A sentence for each segment that was not translated; the first, and the number of the others."""
    notes: tuple[str, ...] = field(default=())
    """What the format left as it is."""

    @property
    def failed(self) -> int:
        """How many segments were not translated."""
        return self.ways.get(Way.KEPT, 0)

    @property
    def origins(self) -> Counter[str]:
        """How many segments are from the ``model`` and from the ``memory``."""
        remembered = self.ways.get(Way.MEMORY, 0)
        others = self.failed + self.ways.get(Way.AS_IT_IS, 0)
        return Counter({"memory": remembered, "model": self.segments - remembered - others})

    def lines(self) -> list[str]:
        """Return what people are shown at the end."""
        ways = ", ".join(f"{way} {count:,}" for way, count in self.ways.items() if way is not Way.NO_CODES)
        flags = ", ".join(f"{flag} {count:,}" for flag, count in self.flags.items())
        found = [f"{counted(self.segments, 'segment')}, {counted(self.codes, 'code')}" + (f"; {ways}" if ways else "")]
        if not self.segments:
            found = ["no text to translate, so the document is written as it is"]
        return [*found, *([f"flagged segments: {flags}"] if flags else []), *self.notes]


def without_codes(plain: Plain, text: str, flags: Sequence[str] = ()) -> Transferred:
    """Return a segment whose codes are all at its ends."""
    return Transferred(plain.around((text,)), Way.NO_CODES, tuple(flags))


def kept(problem: str, flags: Sequence[str] = ()) -> Transferred:
    """Return a segment that stays as it is."""
    return Transferred(None, Way.KEPT, tuple(flags), problem)


def from_tagged(plain: Plain, text: str, *, way: Way, flags: Sequence[str] = ()) -> Transferred | None:
    """Return a translation with tags in it, or None where they are not those of the segment, each in a valid place."""
    inner = parts_of_tagged(plain, text)
    if (
        problem_with(plain.inner, inner)
        or _empties_a_pair(inner)
        or (plain.keeps_order and _is_other_order(plain, inner))
    ):
        return None
    return Transferred(plain.around(respaced(plain.inner, inner)), way, tuple(flags))


def by_alignment(plain: Plain, found: AlignedText, flags: Sequence[str] = ()) -> Transferred:
    """Return a translation without tags, with the codes where the words went that they were beside or around."""
    result = placed(plain, found)
    way = Way.ALIGNED
    if result.by_proportion:
        way = Way.PROPORTION
    elif result.around_all:
        way = Way.AROUND_ALL
    parts = plain.around(respaced(plain.inner, result.parts))
    if problem := problem_with((*plain.lead, *plain.inner, *plain.tail), parts):
        return kept(problem, flags)
    return Transferred(parts, way, tuple(flags))


def report_on(segments: Sequence[Segment], found: Iterable[Transferred], notes: Sequence[str] = ()) -> DocumentReport:
    """Return the report on a document."""
    every = list(found)
    ways = Counter(one.way for one in every)
    flags = Counter(flag for one in every for flag in one.flags)
    problems = [
        f"{segment.place or 'a segment'}: not translated: {one.problem}"
        for segment, one in zip(segments, every, strict=True)
        if one.problem
    ]
    if len(problems) > _MOST_PROBLEMS:
        problems[_MOST_PROBLEMS:] = [f"... and {len(problems) - _MOST_PROBLEMS:,} more segments"]
    return DocumentReport(
        segments=len(segments),
        codes=sum(len(segment.codes) for segment in segments),
        ways={way: ways[way] for way in Way if ways[way]},
        flags={flag: flags[flag] for flag in in_order(set(flags))},
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _empties_a_pair(parts: Parts) -> bool:
    """Return whether nothing is between the halves of a pair; a source has none such but single codes."""
    return any(
        isinstance(one, Code)
        and isinstance(other, Code)
        and one.number == other.number
        and one.kind is CodeKind.OPENING
        for one, other in pairwise(parts)
    )


def _is_other_order(plain: Plain, parts: Parts) -> bool:
    return [part for part in parts if isinstance(part, Code)] != [p for p in plain.inner if isinstance(p, Code)]
