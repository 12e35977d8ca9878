"""What a translation begins with. It is a text, not a row of pieces.

The pieces of complete words are certain. The last word may be cut anywhere ("l" of "le"), so there every piece may
come that agrees with the text as far as the text goes, and the model chooses. A space at the end says that the last
word is complete: the next piece begins a new one. Read ``constraints.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pellucid.errors import RequestError
from pellucid.text.normalisation import nul_in
from pellucid.text.spelling import PieceIndex

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["Prefix", "Spelling", "prefix_of"]

_SHOWN_CHARACTERS: Final = 40


class Spelling:
    """All ways in which the pieces of a vocabulary may write the beginning of a text.

    Args:
        text: what has to be written first, in UTF-8.
        pieces: of the vocabulary.
        avoided: ids that come only where the text cannot be written without them.
    """

    def __init__(self, text: bytes, pieces: PieceIndex, *, avoided: Collection[int] = ()) -> None:
        self.text = text
        self.pieces = pieces
        self.avoided = frozenset(avoided)
        """Ids that do not come: none of ``avoided`` where the text needs one of them."""
        self._fewest = self._count()
        if math.isinf(self.fewest) and self.avoided:
            self.avoided = frozenset()
            self._fewest = self._count()
        self._known: dict[tuple[int, int], list[int]] = {}

    @property
    def fewest(self) -> float:
        """The least number of pieces that write the text; infinity where none can."""
        return self._fewest[0]

    def length_of(self, ids: Sequence[int]) -> int:
        """Return how many bytes pieces write."""
        return sum(self.pieces.lengths[index] for index in ids)

    def next_ids(self, place: int, *, most: int) -> list[int]:
        """Return the pieces that may come at a place of the text, so that ``most`` pieces can write the rest of it."""
        most = min(most, len(self.text) - place)  # a piece writes a byte at least
        if (place, most) not in self._known:
            inside = self._inside(place)
            found = [index for end, ids in inside for index in ids if 1 + self._fewest[end] <= most]
            self._known[place, most] = found + self._beyond(place)
        return self._known[place, most]

    def fewest_from(self, place: int) -> float:
        """Return the least number of pieces that write the text from a place on; infinity where none can."""
        return self._fewest[place]

    def ways(self, place: int) -> list[tuple[int, int]]:
        """Return the pieces that may come at a place with the place that each leads to; the end of the text at most."""
        inside = [(index, end) for end, ids in self._inside(place) for index in ids if math.isfinite(self._fewest[end])]
        return inside + [(index, len(self.text)) for index in self._beyond(place)]

    def unwritten(self) -> int:
        """Return the first byte that no way of writing the text comes past."""
        reached = {0}
        for place in range(len(self.text)):
            if place in reached:
                reached |= {end for end, _ in self._inside(place)}
        return max(reached)

    def _count(self) -> list[float]:
        fewest = [math.inf] * len(self.text) + [0]
        for place in reversed(range(len(self.text))):
            ways = [1 + fewest[end] for end, _ in self._inside(place)]
            fewest[place] = 1 if self._beyond(place) else min(ways, default=math.inf)
        return fewest

    def _inside(self, place: int) -> list[tuple[int, list[int]]]:
        found = self.pieces.inside(self.text, place)
        kept = [(end, [index for index in ids if index not in self.avoided]) for end, ids in found]
        return [(end, ids) for end, ids in kept if ids]

    def _beyond(self, place: int) -> list[int]:
        return [index for index in self.pieces.beyond(self.text, place) if index not in self.avoided]


@dataclass(frozen=True)
class Prefix:
    """What one sentence begins with: certain pieces, then a text; at most ``most`` pieces together."""

    ids: tuple[int, ...] = ()
    rest: Spelling | None = None
    most: int = 2**31

    @property
    def longest(self) -> int:
        """The most steps that the prefix can last."""
        return len(self.ids) + (len(self.rest.text) if self.rest else 0)

    def next_ids(self, history: Sequence[int]) -> Sequence[int] | None:
        """Return the pieces that may come after those of ``history``, or None where the prefix is written."""
        step = len(history)
        if step < len(self.ids):
            return self.ids[step : step + 1]
        if self.rest is None:
            return None
        place = self.rest.length_of(history[len(self.ids) :])
        return self.rest.next_ids(place, most=self.most - step) if place < len(self.rest.text) else None


def prefix_of(text: str, tokenizer: Tokenizer, *, most: int, avoided: Collection[int] = ()) -> Prefix:
    """Return what a translation begins with that begins with ``text``; an empty text is no prefix.

    Args:
        text: the beginning; white space at its end says that its last word is complete.
        tokenizer: of the model.
        most: pieces that it may have.
        avoided: ids that come only where the text cannot be written without them.

    Raises:
        RequestError: the text has a NUL character; the vocabulary cannot write it, or not in ``most`` pieces.
    """
    if problem := nul_in(text):
        raise RequestError(f"the target prefix: {problem}; remove it")
    try:
        beginning = tokenizer.begin_target(text)
    except RequestError as error:  # alone in its call, every text is number 0
        raise RequestError(f"the target prefix: {str(error).removeprefix('text 0: ')}") from None
    if not beginning.rest and not beginning.ids:
        return Prefix()
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
    least: float = len(beginning.ids) + math.ceil(len(beginning.rest) / max(beginning.pieces.longest, 1))
    if least <= most:
        rest = Spelling(beginning.rest, beginning.pieces, avoided=avoided)
        if math.isinf(rest.fewest):
            character = _character_at(beginning.rest, rest.unwritten())
            raise RequestError(
                f"the target prefix {shown!r} cannot be written, because the model has no piece for {character!r}; "
                "leave that character out"
            )
        least = len(beginning.ids) + rest.fewest
    if least > most:
        raise RequestError(
            f"the target prefix {shown!r} has {least:.0f} pieces or more, but a translation of this text has at most "
            f"{most}; shorten it, or raise max_length_constant or max_length_factor"
        )
    return Prefix(beginning.ids, rest, most)


def _character_at(text: bytes, place: int) -> str:
    before = text[:place].decode("utf-8", errors="ignore")
    return text.decode("utf-8")[len(before)]
