"""Put markers back into a translation: each once, in their order, where they cut it as they cut the source.

The markers cut the source into stretches, and slots between words of the translation cut that. Of all ways to choose
slots in order, the one is taken in which the tokens of each stretch of the translation attend most to the stretch of
the source with the same number. A stretch with words that would become empty costs something: between two markers, as
in an empty pair of tags, as much as a token, before the first and after the last a quarter of one. A token that says
nothing clear goes outside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Final

from pellucid.translation.placeholders.markers import Marker, markers_of, without_markers
from pellucid.translation.terms.forms import is_boundary

__all__ = ["Side", "with_markers"]

_EMPTY_INSIDE_COSTS: Final = 1.0
_EMPTY_OUTSIDE_COSTS: Final = 0.25
_INSIDE_COSTS: Final = 0.05
_CLOSES: Final = ".,;:!?)]}»”’…。，、！？"
_WITHIN_WORDS: Final = "'’-"
_ENDING: Final = re.compile(r"(?:s|t|re|ve|ll|d|m)\b", re.IGNORECASE)
_SPACES: Final = re.compile(" {2,}")


@dataclass(frozen=True)
class Side:
    """A text and what each of its tokens writes of it, in UTF-8; together perhaps with a space before it."""

    text: str
    surfaces: Sequence[bytes]

    def middles(self) -> list[float]:
        """Return the middle of each token, in characters of the text; white space before a word is no part of it."""
        ends = list(accumulate(len(surface) for surface in self.surfaces))
        written = b"".join(self.surfaces)
        shift = len(written.decode("utf-8", errors="replace")) - len(self.text)
        places = [len(written[:end].decode("utf-8", errors="ignore")) - shift for end in ends]
        found = []
        for start, end, surface in zip([-shift, *places], places, self.surfaces, strict=False):
            space = len(surface) - len(surface.lstrip())
            found.append((start + min(space, end - start) + end) / 2)
        return found


@dataclass(frozen=True)
class _Slot:
    """A place between words: from the end of one to the start of the next."""

    start: int
    end: int


def with_markers(source: Side, target: Side, markers: Sequence[Marker], weights: Sequence[Sequence[float]]) -> str:
    """Return the target text with the markers of the source.

    Args:
        source: without its markers.
        target: the translation of that.
        markers: of the source, in order.
        weights: attention [target tokens, source tokens].
    """
    text = without_markers(target.text)
    slots = _slots(text)
    chosen = _chosen(source, target, markers, weights, slots)
    wanted = [marker.text for marker in markers]
    written = _written(text, markers, [slots[index] for index in chosen])
    if markers_of(written) != wanted:  # one runs into a word or a sign beside it
        apart = [Marker(one.text, one.place, space_before=True, space_after=True) for one in markers]
        written = _written(text, apart, [slots[index] for index in chosen])
    return written if text == target.text else _SPACES.sub(" ", written)


def _slots(text: str) -> list[_Slot]:
    found = [_Slot(0, len(text) - len(text.lstrip()))]
    place = found[0].end + 1
    while place < len(text):
        if text[place].isspace():
            end = place + len(text[place:]) - len(text[place:].lstrip())
            found.append(_Slot(place, end))
            place = end
        elif not (text[place - 1].isspace() or text[place] in _WITHIN_WORDS or _goes_on(text, place)):
            found += [_Slot(place, place)] if is_boundary(text, place) else []
        place += 1
    if found[-1].end < len(text):
        found.append(_Slot(len(text), len(text)))
    return found


def _goes_on(text: str, place: int) -> bool:
    """Return whether a word goes on after a hyphen, or as in ``there's``; ``l'eau`` is two words."""
    before, earlier = text[place - 1], text[place - 2 : place - 1]
    return before == "-" or (before in "'’" and earlier.isalpha() and _ENDING.match(text, place) is not None)


def _chosen(
    source: Side,
    target: Side,
    markers: Sequence[Marker],
    weights: Sequence[Sequence[float]],
    slots: Sequence[_Slot],
) -> list[int]:
    """Return the slot of each marker."""
    stretch_of = [sum(marker.place <= middle for marker in markers) for middle in source.middles()]
    gains = [[0.0] * len(slots) for _ in range(len(markers) + 1)]  # by stretch and slot: of the text before the slot
    for middle, row in zip(target.middles(), weights, strict=False):
        total = sum(row[: len(stretch_of)]) or 1.0
        slot = next((index for index, one in enumerate(slots) if one.start >= middle), len(slots) - 1)
        for stretch, weight in zip(stretch_of, row, strict=False):
            gains[stretch][slot] += weight / total
        for stretch in range(1, len(markers)):
            gains[stretch][slot] -= _INSIDE_COSTS
    sums = [list(accumulate(row)) for row in gains]

    def gain(stretch: int, start: int, end: int) -> float:
        if stretch not in stretch_of:
            return 0.0 if start == end else -math.inf
        costs = _EMPTY_INSIDE_COSTS if 0 < stretch < len(markers) else _EMPTY_OUTSIDE_COSTS
        return sums[stretch][end] - sums[stretch][start] - (costs if start == end else 0)

    return _best_path(gain, count=len(markers), slots=len(slots))


def _best_path(gain: Callable[[int, int, int], float], *, count: int, slots: int) -> list[int]:
    """Return a slot for each of ``count`` markers, in order, with the largest sum of gains.

    ``gain`` is that of a stretch from one slot to another; the first begins at slot 0, and the last ends at the last.
    """
    best = [gain(0, 0, slot) for slot in range(slots)]
    ways: list[list[int]] = []
    for stretch in range(1, count):
        before = best
        ways.append(
            [
                max(range(slot + 1), key=lambda start: before[start] + gain(stretch, start, slot))
                for slot in range(slots)
            ]
        )
        best = [before[start] + gain(stretch, start, slot) for slot, start in enumerate(ways[-1])]
    chosen = [max(range(slots), key=lambda slot: best[slot] + gain(count, slot, slots - 1))]
    for came_from in reversed(ways):
        chosen.append(came_from[chosen[-1]])
    return chosen[::-1]


def _written(text: str, markers: Sequence[Marker], slots: Sequence[_Slot]) -> str:
    written, place = "", 0
    for slot, pairs in groupby(zip(slots, markers, strict=True), key=lambda pair: pair[0]):
        group = [marker for _, marker in pairs]
        before, after = text[place : slot.start], text[slot.end :]
        written += before + _spaced(group, has_space=slot.end > slot.start, at_start=not written + before, after=after)
        place = slot.end
    return written + text[place:]


def _spaced(group: Sequence[Marker], *, has_space: bool, at_start: bool, after: str) -> str:
    """Return markers with the white space around them: that of the source, and some between words in any case."""
    inside = "".join(one.text + (" " if one.space_after else "") for one in group[:-1]) + group[-1].text
    first, last = group[0], group[-1]
    if has_space:
        left = first.space_before or not (first.is_tag or first.word_before)
        right = last.space_after or not (last.is_tag or last.word_after or after[:1] in _CLOSES)
        if first.is_tag and not first.is_half:  # apart from a word on one side, and now between two
            left = left or (first.space_after and not first.word_before)
        if last.is_tag and not last.is_half:
            right = right or (last.space_before and not last.word_after and after[:1] not in _CLOSES)
    else:
        left = first.space_before and not first.is_half
        right = last.space_after and not last.is_half and after[:1] not in _CLOSES
    left, right = left and not at_start, right and bool(after)
    is_apart = left or right or any(one.space_after for one in group[:-1])
    if has_space and not is_apart and after and not at_start:
        left, right = not group[-1].closes, group[-1].closes
    return " " * left + inside + " " * right
