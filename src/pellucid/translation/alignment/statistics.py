"""Align words by counting alone: IBM Model 1 with a preference for the diagonal, in both directions.

t(target word | source word) is learnt by expectation and maximisation (Brown et al. 1993); the source word of each
target word is more likely near the diagonal, by exp(-tension * |i / n - j / m|), as in fast_align (Dyer, Chahuneau and
Smith 2013) with its tension at the start. A share of the probability goes to no word at all. The best links of both
directions are symmetrised. It sees no model, so its links can judge the heads of one. Read ``choosing.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.translation.alignment.links import Link, symmetrised

__all__ = ["aligned_by_counts"]

_ROUNDS: Final = 5
_TENSION: Final = 4.0
_NO_WORD: Final = 0.08
_FLOOR: Final = 1e-12

Words = Sequence[str]


def aligned_by_counts(pairs: Sequence[tuple[Words, Words]]) -> list[tuple[Link, ...]]:
    """Return the links (source, target) of every pair of sentences in words; capitals count as small letters."""
    forward = _best_links(pairs)
    backward = _best_links([(target, source) for source, target in pairs])
    return [symmetrised(one, {(i, j) for j, i in other}) for one, other in zip(forward, backward, strict=True)]


@dataclass(frozen=True)
class _Places:
    """Every (source word or none, target word) of every pair, as flat arrays; a cell is one target word of a pair."""

    cells: NDArray[np.int64]
    sources: NDArray[np.int64]
    """Number of the source word in its sentence; -1 is no word."""
    kinds: NDArray[np.int64]
    """Number of the pair of word types."""
    source_types: NDArray[np.int64]
    priors: NDArray[np.float64]


def _best_links(pairs: Sequence[tuple[Words, Words]]) -> list[set[Link]]:
    """Return for each pair the best source word of each target word that has one."""
    links: list[set[Link]] = [set() for _ in pairs]
    places = _places_of(pairs)
    if not places.cells.size:
        return links
    num_cells, num_kinds = int(places.cells[-1]) + 1, int(places.kinds.max()) + 1
    source_of_kind = np.zeros(num_kinds, np.int64)
    source_of_kind[places.kinds] = places.source_types
    chances = np.ones(num_kinds)
    for _ in range(_ROUNDS):
        scores = chances[places.kinds] * places.priors
        shares = scores / np.maximum(np.bincount(places.cells, scores, num_cells), _FLOOR)[places.cells]
        counts = np.bincount(places.kinds, shares, num_kinds)
        totals = np.bincount(source_of_kind, counts)
        chances = np.maximum(counts / np.maximum(totals[source_of_kind], _FLOOR), _FLOOR)
    scores = chances[places.kinds] * places.priors
    order = np.lexsort((places.sources, -scores, places.cells))  # of equal scores the first word
    best = order[np.unique(places.cells[order], return_index=True)[1]]
    owners = [(number, target) for number, (_, words) in enumerate(pairs) for target in range(len(words))]
    for (number, target), source in zip(owners, places.sources[best].tolist(), strict=True):
        if source >= 0:
            links[number].add((source, target))
    return links


def _places_of(pairs: Sequence[tuple[Words, Words]]) -> _Places:
    types: dict[str, int] = {"": 0}
    cells, sources, left, right, priors = [], [], [], [], []
    start = 0
    for source, target in pairs:
        n, m = len(source), len(target)
        own = np.array([0, *(types.setdefault(word.lower(), len(types)) for word in source)])
        theirs = np.array([types.setdefault(word.lower(), len(types)) for word in target], np.int64)
        near = np.exp(
            -_TENSION * np.abs((np.arange(n) + 0.5) / max(n, 1) - ((np.arange(m) + 0.5) / max(m, 1))[:, None])
        )
        prior = np.full((m, n + 1), _NO_WORD)
        prior[:, 1:] = (1 - _NO_WORD) * near / np.maximum(near.sum(axis=1, keepdims=True), _FLOOR)
        cells.append(np.repeat(np.arange(start, start + m), n + 1))
        sources.append(np.tile(np.arange(-1, n), m))
        left.append(np.tile(own, m))
        right.append(np.repeat(theirs, n + 1))
        priors.append(prior.ravel())
        start += m
    if not cells:
        empty = np.zeros(0, np.int64)
        return _Places(empty, empty, empty, empty, np.zeros(0))
    source_types = np.concatenate(left)
    _, kinds = np.unique(source_types * len(types) + np.concatenate(right), return_inverse=True)
    return _Places(np.concatenate(cells), np.concatenate(sources), kinds, source_types, np.concatenate(priors))
