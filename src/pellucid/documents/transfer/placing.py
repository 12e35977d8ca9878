"""Put codes into a translation: a pair around the words that its words became, a single code beside its neighbour.

Of all stretches of words of the translation, a pair takes the one with most words that are linked to words inside the
pair, less those that are linked to words outside only. What is inside a pair goes inside its stretch, and pairs that
stood apart get stretches that stand apart, so that the result is always balanced. Where no links say where a pair
goes, it goes by proportion; a pair alone encloses the whole sentence. Read ``spacing.py`` next.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pellucid.documents.segments import Code, Parts, merged_text
from pellucid.documents.transfer.plain import Node, Plain
from pellucid.documents.transfer.words import AlignedText

__all__ = ["Placed", "placed"]

_UNLINKED_COSTS: Final = 0.01
_SIGNS: Final = frozenset(".,;:!?…)]»”")
_DEEPEST: Final = 100
"""Levels of pairs inside pairs that are placed by words; what is deeper goes around the same words."""


@dataclass(frozen=True)
class Placed:
    """The parts of a translation, and how sure the places of its codes are."""

    parts: Parts
    by_proportion: int
    """Codes and pairs that no link places."""
    around_all: int
    """Pairs that enclose the whole sentence because nothing is known."""


@dataclass(frozen=True)
class _Stretch:
    """Where a node goes: words of the translation from ``start`` up to but not including ``end``."""

    node: Node
    start: int
    end: int
    order: int


def placed(plain: Plain, found: AlignedText) -> Placed:
    """Return a translation with the codes of its segment."""
    return _Placing(plain, found).placed()


class _Placing:
    def __init__(self, plain: Plain, found: AlignedText) -> None:
        self._plain, self._found = plain, found
        self._middles = [(start + end) / 2 for start, end in found.source_words]
        self._targets: dict[int, list[int]] = defaultdict(list)
        self._sources: dict[int, list[int]] = defaultdict(list)
        for source, target in found.links:
            self._targets[source].append(target)
            self._sources[target].append(source)
        self._written: list[str | Code] = []
        self._done = 0
        self._by_proportion = self._around_all = 0

    def placed(self) -> Placed:
        if self._plain.keeps_order:
            self._in_order()
        else:
            self._write(self._plain.nodes, 0, len(self._found.target_words), (0, len(self._plain.text)), 0)
        parts = merged_text([*self._written, self._found.text[self._done :]])
        return Placed(parts, self._by_proportion, self._around_all)

    def _write(self, nodes: Sequence[Node], low: int, high: int, around: tuple[int, int], depth: int) -> None:
        """Write the codes of one level among the words from ``low`` to ``high``."""
        for one in self._stretches(nodes, low, high, around):
            if not one.node.is_pair:
                self._put_single(one.node, one.start, is_first=one.start == low < high)
                continue
            self._put(one.node.opening, self._start_of(one.start) if one.start < one.end else self._end_of(one.end))
            if depth < _DEEPEST:
                inside = (one.node.start, one.node.end)
                self._write(one.node.children, one.start, one.end, inside, depth + 1)
            else:
                self._put(_codes_in(one.node.children), self._start_of(one.start))
            self._put(one.node.closing, self._end_of(one.end))

    def _stretches(self, nodes: Sequence[Node], low: int, high: int, around: tuple[int, int]) -> list[_Stretch]:
        free = [low <= word < high for word in range(len(self._found.target_words))]
        found: dict[int, tuple[int, int]] = {}
        pairs = [order for order, node in enumerate(nodes) if node.is_pair]
        for order in sorted(pairs, key=lambda order: -len(self._linked(nodes[order]))):
            if best := self._best(nodes[order], free, low, high):
                found[order] = best
                free[best[0] : best[1]] = [False] * (best[1] - best[0])
        for order in pairs:
            if order not in found:
                found[order] = self._unsure(nodes[order], free, low, high, around, is_alone=len(pairs) == 1)
                free[found[order][0] : found[order][1]] = [False] * (found[order][1] - found[order][0])
        taken = sorted(stretch for stretch in found.values() if stretch[0] < stretch[1])
        for order, node in enumerate(nodes):
            if order not in found:
                gap = _outside(self._gap(node, low, high, around), taken)
                found[order] = (gap, gap)
        placed = [_Stretch(node, *found[order], order) for order, node in enumerate(nodes)]
        # What has no words and begins where a pair begins is before it.
        return sorted(placed, key=lambda one: (one.start, one.start < one.end, one.order))

    def _linked(self, node: Node) -> set[int]:
        """Return the words of the translation that are linked to words inside a node."""
        inside = range(bisect_left(self._middles, node.start), bisect_left(self._middles, node.end))
        return {target for word in inside for target in self._targets.get(word, ())}

    def _best(self, node: Node, free: Sequence[bool], low: int, high: int) -> tuple[int, int] | None:
        """Return the stretch of free words that gains most, or None where none gains anything."""
        linked = self._linked(node)
        best, best_gain = None, 0.0
        start, gain = low, 0.0
        for word in range(low, high):
            if not free[word]:
                start, gain = word + 1, 0.0
                continue
            gain += 1.0 if word in linked else -1.0 if self._sources.get(word) else -_UNLINKED_COSTS
            if gain > best_gain:
                best, best_gain = (start, word + 1), gain
            if gain <= 0:
                start, gain = word + 1, 0.0
        return best

    def _unsure(
        self, node: Node, free: Sequence[bool], low: int, high: int, around: tuple[int, int], *, is_alone: bool
    ) -> tuple[int, int]:
        """Return a stretch for a pair about whose words nothing is known."""
        if is_alone:
            self._around_all += 1
            return low, high
        self._by_proportion += 1
        start, end = (self._proportional(place, low, high, around) for place in (node.start, node.end))
        end = max(end, min(start + 1, high))
        words = [word for word in range(start, end) if free[word]] or [word for word in range(low, high) if free[word]]
        if not words:
            return start, start
        first = words[0]
        last = first
        while last < min(end, high) and free[last]:
            last += 1
        return first, max(last, first + 1)

    def _gap(self, node: Node, low: int, high: int, around: tuple[int, int]) -> int:
        """Return before which word a single code goes: beside what became of the word next to it."""
        following = bisect_left(self._middles, node.start)
        before = self._edge(following - 1, low, high)
        after = self._edge(following, low, high)
        is_with_next = node.space_before and not node.space_after
        if after is not None and (is_with_next or before is None):
            return after[0]
        if before is not None:
            return before[1]
        if node.start <= around[0]:
            return low
        if node.start >= around[1]:
            return high
        self._by_proportion += 1
        return self._proportional(node.start, low, high, around)

    def _edge(self, source: int, low: int, high: int) -> tuple[int, int] | None:
        linked = [word for word in self._targets.get(source, ()) if low <= word < high]
        return (min(linked), max(linked) + 1) if linked else None

    def _proportional(self, place: int, low: int, high: int, around: tuple[int, int]) -> int:
        share = (place - around[0]) / max(around[1] - around[0], 1)
        return min(max(low + math.floor(share * (high - low) + 0.5), low), high)

    def _start_of(self, word: int) -> int:
        words = self._found.target_words
        return words[word][0] if word < len(words) else len(self._found.text.rstrip())

    def _end_of(self, word: int) -> int:
        return self._found.target_words[word - 1][1] if word else 0

    def _put(self, codes: Parts, place: int) -> None:
        if place > self._done:
            self._written.append(self._found.text[self._done : place])
            self._done = place
        self._written += codes

    def _put_single(self, node: Node, word: int, *, is_first: bool) -> None:
        """Write what has no words, with white space as it had in the source."""
        is_last = word >= len(self._found.target_words)
        if (node.space_before or is_first) and not is_last:
            place = self._start_of(word)
            sign = self._found.text[place : place + 1]
            # Before a sign, such as the full stop, there is no space that could be the one before the code.
            runs_in = node.space_before and sign in _SIGNS and not self._found.text[:place][-1:].isspace()
            before = [" "] if runs_in and place else []
            after = [" "] if node.space_after and not runs_in else []
            self._put((*before, *node.opening, *after), place)
        else:
            self._put((*([" "] if node.space_before and word else []), *node.opening), self._end_of(word))

    def _in_order(self) -> None:
        """Write all codes in their order, each as near as that allows to where its neighbours went."""
        last = 0
        whole = (0, len(self._plain.text))
        count = len(self._found.target_words)
        for codes, place, closes in _flat(self._plain.nodes):
            gap = self._gap(Node(place, place, codes, space_before=not closes), 0, count, whole)
            last = max(last, gap)
            self._put(codes, self._end_of(last) if closes or last >= count else self._start_of(last))


def _outside(gap: int, taken: Sequence[tuple[int, int]]) -> int:
    """Return a gap that is not within a pair: its nearer end."""
    for start, end in taken:
        if start < gap < end:
            return start if gap - start < end - gap else end
    return gap


def _codes_in(nodes: Sequence[Node]) -> Parts:
    return tuple(chain.from_iterable(codes for codes, _, _ in _flat(nodes)))


def _flat(nodes: Sequence[Node]) -> list[tuple[Parts, int, bool]]:
    """Return all codes in order: each with its place, and whether it closes."""
    found: list[tuple[Parts, int, bool]] = []
    waiting: list[Node | tuple[Parts, int, bool]] = [*reversed(nodes)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, tuple):
            found.append(one)
            continue
        found.append((one.opening, one.start, False))
        if one.is_pair:
            waiting.append((one.closing, one.end, True))
            waiting += reversed(one.children)
    return found
