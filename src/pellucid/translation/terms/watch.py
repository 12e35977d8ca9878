"""How far a translation that is being written has met its terms.

What counts is the text: a form may be written with any pieces. To bring a form about, the search proposes the pieces
that the tokenizer cuts it into inside a sentence. The end of what is written so far counts as the end of a word, so a
term that is met can come undone ("hound", then "s"); the search counts again after every piece. Read ``banks.py`` next.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from pellucid.errors import RequestError
from pellucid.text.spelling import PieceIndex
from pellucid.translation.terms.forms import capitalised, is_boundary, is_spaced, occurrences, spellings_of
from pellucid.translation.terms.glossary import Term

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["Demand", "Path", "Pen", "Place", "Watch"]


_LONGEST_CHARACTER: Final = 4
"""Bytes of a character in UTF-8."""


class Place(Enum):
    """Where in a text the pieces of a path may begin."""

    FIRST = "at the start"
    SPACED = "anywhere, with their own space"
    GLUED = "at a boundary of words"


@dataclass(frozen=True)
class Path:
    """A text that brings a form about, and the pieces that write it."""

    text: bytes
    place: Place
    next_ids: Mapping[int, frozenset[int]]
    """By the bytes of the text that are written, the pieces to go on with."""
    left: Sequence[float]
    """By the bytes of the text that are written, the fewest pieces that write the rest."""

    def may_begin_after(self, written: bytes) -> bool:
        """Return whether the text may come after another one, which has the segmenter's own space at its start."""
        if not written or self.place is Place.FIRST:
            return not written and self.place is Place.FIRST
        before = written[-_LONGEST_CHARACTER:].decode("utf-8", errors="ignore")[-1:]
        return self.place is Place.SPACED or is_boundary(before + self.text.decode("utf-8"), len(before))

    def begun_by(self, written: bytes) -> Iterator[int]:
        """Yield how many bytes of the text, not all of them, stand at the end of what is written."""
        place = self.text.find(written[-1:]) + 1 if written else 0
        while 0 < place < len(self.text):
            if (
                place in self.next_ids
                and written.endswith(self.text[:place])
                and self.may_begin_after(written[:-place])
            ):
                yield place
            place = self.text.find(written[-1:], place) + 1


@dataclass(frozen=True)
class Demand:
    """A term of which a translation has to contain a target form."""

    term: Term
    spellings: tuple[str, ...]
    """Of all target forms, the longest first."""
    paths: tuple[Path, ...]

    @property
    def cost(self) -> int:
        """The fewest pieces that write a form."""
        return min(int(path.left[0]) for path in self.paths)

    def left(self, written: bytes) -> int:
        """Return the fewest pieces that write a form, or the rest of one, after what is written."""
        begun = (path.left[place] for path in self.paths for place in path.begun_by(written))
        return int(min(begun, default=self.cost))


class Pen:
    """The pieces of a tokenizer's target side, and how they write forms. Forms are cached.

    Args:
        tokenizer: of the model.
        avoided: ids that a form is never written with.
    """

    def __init__(self, tokenizer: Tokenizer, *, avoided: Collection[int] = ()) -> None:
        self._tokenizer = tokenizer
        beginning = tokenizer.begin_target("a")
        self.index: PieceIndex = beginning.pieces
        self.surfaces = tokenizer.target.vocabulary.surfaces
        self.has_prefix = (self.bytes_of(beginning.ids) + beginning.rest).startswith(b" ")
        self._avoided = frozenset({*avoided, tokenizer.specials.unk})
        self.demand_of = lru_cache(maxsize=65536)(self._demand_of)
        self.holding = lru_cache(maxsize=65536)(self._holding)

    def bytes_of(self, ids: Sequence[int]) -> bytes:
        """Return what pieces write, in UTF-8, with the segmenter's own space at the start."""
        return b"".join([self.surfaces[index] for index in ids])

    def text_of(self, ids: Sequence[int]) -> str:
        """Return what pieces write, with the segmenter's own space at the start."""
        return self.bytes_of(ids).decode("utf-8", errors="replace")

    def completing(self, written: bytes, form: bytes) -> set[int]:
        """Return the pieces that write the end of a form after what is written, or all of it, and perhaps more."""
        found = set(self.holding(form))
        for size in range(min(len(form) - 1, len(written)) + 1):
            if written.endswith(form[:size]):
                rest = form[size:]
                found.update(index for end, ids in self.index.inside(rest, 0) if end == len(rest) for index in ids)
                found.update(self.index.beyond(rest, 0))
        return found

    def visible(self, text: str) -> str:
        """Return a text without the segmenter's own space at the start."""
        return text.removeprefix(" ") if self.has_prefix else text

    def spellings_of(self, forms: Sequence[str]) -> tuple[str, ...]:
        """Return the spellings of forms as this tokenizer normalises text, the longest first."""
        found = {spelling for form in forms for spelling in spellings_of(self._normal(form))}
        return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))

    def _holding(self, form: bytes) -> tuple[int, ...]:
        return tuple(index for index, surface in enumerate(self.surfaces) if surface.find(form, 1) >= 0)

    def _normal(self, form: str) -> str:
        beginning = self._tokenizer.begin_target(form)
        return self.visible((self.bytes_of(beginning.ids) + beginning.rest).decode("utf-8", errors="replace"))

    def _demand_of(self, term: Term) -> Demand:
        forms = [self._normal(form) for form in term.target]
        paths = tuple(path for form in forms for path in self._paths(form) if path.next_ids)
        if all(path.place is Place.FIRST for path in paths):
            raise RequestError(
                f"{_listed(forms)}, a term's target for {term.source!r}, cannot be written with the pieces that this "
                "search may use; write it in another way, or leave the term out"
            )
        return Demand(term, self.spellings_of(term.target), paths)

    def _paths(self, form: str) -> Iterator[Path]:
        space = " " if self.has_prefix else ""
        for one in dict.fromkeys((form, capitalised(form))):
            yield self._path(space + one, Place.FIRST, before="")
        if is_spaced(form[0]) or not form[0].isalnum():
            yield self._path(" " + form, Place.SPACED, before="a")
        yield self._path(form, Place.GLUED, before="(" if is_spaced(form[0]) else "a")

    def _path(self, text: str, place: Place, *, before: str) -> Path:
        wanted = text.encode("utf-8")
        fewest: list[tuple[float, int]] = [(math.inf, -1)] * len(wanted) + [(0, -1)]
        for start in reversed(range(len(wanted))):
            for end, ids in self.index.inside(wanted, start):
                kept = [index for index in ids if index not in self._avoided]
                if kept and fewest[end][0] + 1 < fewest[start][0]:
                    fewest[start] = fewest[end][0] + 1, kept[0]
        ways = {start: {index} for start, (_, index) in enumerate(fewest) if index >= 0}
        for start, index in self._cut(wanted, text, before=before):
            ways[start].add(index)
        if 0 not in ways:
            ways = {}
        return Path(wanted, place, {start: frozenset(ids) for start, ids in ways.items()}, [left for left, _ in fewest])

    def _cut(self, wanted: bytes, text: str, *, before: str) -> list[tuple[int, int]]:
        """Return the pieces of a text as it stands after another one, and where they begin; none if it is rewritten."""
        (ids,) = self._tokenizer.encode_target([before + text])
        rest = len(self.bytes_of(ids)) - len(wanted)
        kept = list(ids)
        while kept and rest > 0:
            rest -= len(self.surfaces[kept.pop(0)])
        if self.bytes_of(kept) != wanted or self._avoided.intersection(kept):
            return []
        starts = accumulate((len(self.surfaces[index]) for index in kept), initial=0)
        return list(zip(starts, kept, strict=False))


@dataclass(frozen=True)
class Watch:
    """The terms of one sentence, watched while its translation is written."""

    pen: Pen
    demands: tuple[Demand, ...] = ()
    avoided: tuple[tuple[Term, tuple[str, ...]], ...] = ()
    """The spellings that must not come, by their terms."""
    sources: Mapping[Term, frozenset[int]] = field(default_factory=dict)
    """The source tokens of each term."""
    unwritable: tuple[str, ...] = ()
    """Why terms that the sentence has are not asked for."""

    @staticmethod
    def of(terms: Sequence[Term], pen: Pen, *, sources: Mapping[Term, Collection[int]] | None = None) -> Watch | None:
        """Watch the terms of a sentence, and the source tokens of each; None where it has none.

        A term whose forms cannot be written with the pieces of the vocabulary is not asked for, and is never kept.
        """
        if not terms:
            return None
        demands, unwritable = [], []
        for term in terms:
            try:
                demands += [pen.demand_of(term)] if term.target else []
            except RequestError as error:
                unwritable.append(str(error))
        avoided = tuple((term, pen.spellings_of(term.avoid)) for term in terms if term.avoid)
        tokens = {term: frozenset(own) for term, own in (sources or {}).items()}
        return Watch(pen, tuple(sorted(demands, key=_longest_first)), avoided, tokens, tuple(unwritable))

    @property
    def cost(self) -> int:
        """The fewest pieces that write all demands."""
        return sum(demand.cost for demand in self.demands)

    def without(self, demand: Demand) -> Watch:
        """Return what is watched without one of the demands."""
        return replace(self, demands=tuple(one for one in self.demands if one is not demand))

    def unmet(self, text: str) -> list[Demand]:
        """Return the demands that a text does not meet; each needs a form in a place of its own.

        The demand with the longest form chooses its place first, and takes the first place that is free.
        """
        places = self.places(text)
        return [demand for demand, place in zip(self.demands, places, strict=True) if place is None]

    def places(self, text: str) -> list[tuple[int, int] | None]:
        """Return where a text meets each demand; None where it does not. See ``unmet``."""
        found: list[tuple[int, int] | None] = []
        for demand in self.demands:
            free = (
                (start, end)
                for start, end in occurrences(text, demand.spellings)
                if all(one is None or end <= one[0] or one[1] <= start for one in found)
            )
            found.append(next(free, None))
        return found

    def steps(self, ids: Sequence[int]) -> list[tuple[Demand, int]]:
        """Return the demands that pieces meet, each with the number of the piece in which its form begins."""
        text = self.pen.text_of(ids)
        hidden = len(text) - len(self.pen.visible(text))
        ends = [*accumulate(len(self.pen.surfaces[index]) for index in ids)]
        return [
            (demand, bisect_right(ends, len(text[: hidden + place[0]].encode("utf-8"))))
            for demand, place in zip(self.demands, self.places(text[hidden:]), strict=True)
            if place is not None
        ]

    def violations(self, text: str, *, is_over: bool = True) -> set[tuple[str, int, int]]:
        """Return the source forms of the terms of which a text contains a form to avoid, and where.

        A form to avoid may stand inside a form that is asked for. Where the text is not over, it may also stand inside
        the beginning of one at the end of the text.
        """
        found = {
            (term.source, start, end) for term, spellings in self.avoided for start, end in occurrences(text, spellings)
        }
        if not found:
            return found
        wanted = [place for demand in self.demands for place in occurrences(text, demand.spellings)]
        if not is_over:
            wanted += [
                (len(text) - size, len(text))
                for demand in self.demands
                for spelling in demand.spellings
                for size in range(1, len(spelling))
                if text.endswith(spelling[:size]) and is_boundary(text, len(text) - size)
            ]
        return {one for one in found if not any(first <= one[1] and one[2] <= last for first, last in wanted)}

    def broken(self, text: str) -> list[str]:
        """Say which terms a finished text does not keep to."""
        missing = [f"{_listed(one.term.target)} is missing, for {one.term.source!r}" for one in self.unmet(text)]
        found = sorted(self.violations(text), key=lambda place: place[1:])
        return [*self.unwritable, *missing] + [
            f"{text[start:end]!r} is to be avoided, for {source!r}" for source, start, end in found
        ]

    def left(self, ids: Sequence[int]) -> int:
        """Return the fewest pieces that are to be written until all demands are met."""
        written = self.pen.bytes_of(ids)
        unmet = self.unmet(self.pen.visible(written.decode("utf-8", errors="replace")))
        if not unmet:
            return 0
        # Of the demands that are on their way, one alone can be finished by the next pieces.
        saved = max(demand.cost - demand.left(written) for demand in unmet)
        return sum(demand.cost for demand in unmet) - max(saved, 0)

    def next_ids(self, ids: Sequence[int]) -> set[int]:
        """Return the pieces that bring an unmet demand on its way, or further on it."""
        written = self.pen.bytes_of(ids)
        found: set[int] = set()
        for demand in self.unmet(self.pen.visible(written.decode("utf-8", errors="replace"))):
            for path in demand.paths:
                for place in path.begun_by(written):
                    found |= path.next_ids[place]
                if path.may_begin_after(written):
                    found |= path.next_ids[0]
        return found

    def banned(self, ids: Sequence[int]) -> list[int]:
        """Return the pieces that would complete a form to avoid."""
        if not self.avoided:
            return []
        written = self.pen.bytes_of(ids)
        forms = [spelling.encode("utf-8") for _, spellings in self.avoided for spelling in spellings]
        found = set().union(*(self.pen.completing(written, form) for form in forms))
        return sorted(index for index in found if self._violates(ids, index))

    def only(self, ids: Sequence[int]) -> list[int] | None:
        """Return the only pieces that may come where a form to avoid ends a text as a part of one that is asked for.

        None where any piece may come that is not banned.
        """
        text = self.pen.visible(self.pen.text_of(ids)) if self.avoided else ""
        if not text or self.violations(text) == self.violations(text, is_over=False):
            return None
        return sorted(index for index in self.next_ids(ids) if not self._violates(ids, index))

    def _violates(self, ids: Sequence[int], index: int) -> bool:
        before, after = (self.pen.visible(self.pen.text_of(some)) for some in (ids, [*ids, index]))
        return bool(self.violations(after, is_over=False) - self.violations(before, is_over=False))


def _listed(forms: Sequence[str]) -> str:
    return " or ".join(map(repr, forms))


def _longest_first(demand: Demand) -> tuple[int, str]:
    return -len(demand.spellings[0]), demand.term.source
