"""What translations begin with, as tables for ``engine.c``: places, the pieces that may come, and where they lead.

A certain piece is a place with one way. A text is a place for each of its bytes; its ways are those of ``Spelling``.
Sentences that begin alike share their places. Read ``n_best.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pellucid.translation.prefixes import Prefix

__all__ = ["tables_of"]

_WRITTEN: Final = -1
_ANY_NUMBER: Final = 2**31 - 1


class _Places:
    """Places in the order of their numbers."""

    def __init__(self) -> None:
        self.ways: list[list[tuple[int, int]]] = []
        """Pieces in the order of their ids, and the place that each leads to."""
        self.fewest: list[int] = []
        self._first_of: dict[Hashable, int] = {}

    def first_of(self, prefix: Prefix) -> int:
        """Return the place where a translation begins."""
        if not prefix.longest:
            return _WRITTEN
        rest = prefix.rest
        key = prefix.ids, rest and (rest.text, id(rest.pieces), rest.avoided)
        if key not in self._first_of:
            self._first_of[key] = len(self.ways)
            self._add(prefix)
        return self._first_of[key]

    def _add(self, prefix: Prefix) -> None:
        first, rest, count = len(self.ways), prefix.rest, len(prefix.ids)
        ways = [[(index, place + 1)] for place, index in enumerate(prefix.ids)]
        fewest = [count - place + (rest.fewest if rest else 0) for place in range(count)]
        if rest is not None:
            for place in range(len(rest.text)):
                ways.append(sorted((index, count + end) for index, end in rest.ways(place)))
                fewest.append(rest.fewest_from(place))
        last = len(ways)
        self.ways += [[(index, first + end if end < last else _WRITTEN) for index, end in some] for some in ways]
        self.fewest += [_ANY_NUMBER - 1 if math.isinf(number) else int(number) for number in fewest]


_NO_TABLES: Final[dict[str, NDArray[Any]]] = {
    "most_pieces": np.zeros(0, np.int32),  # looked up only within a beginning
    "way_starts": np.zeros(1, np.int64),
    "way_ids": np.zeros(0, np.int32),
    "way_places": np.zeros(0, np.int32),
    "fewest": np.zeros(0, np.int32),
}


def tables_of(prefixes: Sequence[Prefix]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a job by their names in ``layout.py``."""
    if not any(prefix.longest for prefix in prefixes):
        return {"first_places": np.full(len(prefixes), _WRITTEN, np.int32), **_NO_TABLES}
    places = _Places()
    first_places = [places.first_of(prefix) for prefix in prefixes]
    ways = [way for some in places.ways for way in some]
    return {
        "first_places": np.array(first_places, np.int32),
        "most_pieces": np.array([min(prefix.most, _ANY_NUMBER) for prefix in prefixes], np.int32),
        "way_starts": np.cumsum([0, *map(len, places.ways)], dtype=np.int64),
        "way_ids": np.array([index for index, _ in ways], np.int32),
        "way_places": np.array([place for _, place in ways], np.int32),
        "fewest": np.array(places.fewest, np.int32),
    }
