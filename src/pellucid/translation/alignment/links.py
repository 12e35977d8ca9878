"""From attention weights to links between words: both directions, symmetrised.

The weight of a pair of words comes from the weights of their pieces: summed over the pieces of the source word, the
mean over the pieces of the target word. Each target word chooses the source word with the largest weight, and each
source word the target word. The links are both choices, joined by grow-diag-final-and (Koehn, Och and Marcu 2003;
Koehn et al. 2005), which the statistical aligners use:

1. A link that both directions choose is kept.
2. grow-diag: a link of one direction is kept if a kept link is beside it (diagonals count) and one of its words has no
   link yet. This repeats until nothing changes.
3. final-and: a link of one direction is kept if neither of its words has a link.

Read ``heads.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Link", "Span", "Weights", "between_spaces", "links_of", "symmetrised", "word_weights"]

Link = tuple[int, int]
"""A number in the source, and one in the translation."""
Span = tuple[int, int]
"""The pieces of a word: from the first up to but not including the second."""
Weights = NDArray[np.floating[Any]]
"""[target, source]: how much each target piece, or word, attends to each of the source."""

_NEIGHBOURS = [step for step in product((-1, 0, 1), repeat=2) if step != (0, 0)]


def word_weights(pieces: Weights, *, source: Sequence[Span], target: Sequence[Span]) -> Weights:
    """Return the weights of words [target words, source words] from those of pieces [target pieces, source pieces].

    The result has the number format of the pieces.
    """
    members = np.zeros((pieces.shape[1], len(source)), pieces.dtype)
    means = np.zeros((len(target), pieces.shape[0]), pieces.dtype)
    for word, (start, end) in enumerate(source):
        members[start:end, word] = 1
    for word, (start, end) in enumerate(target):
        means[word, start:end] = 1 / (end - start)
    weights: Weights = means @ pieces @ members
    return weights


def between_spaces(links: Iterable[Link], *, source: Sequence[int], target: Sequence[int]) -> tuple[Link, ...]:
    """Return links of words as links of what stands between spaces, sorted; each side gives its words' numbers."""
    return tuple(sorted({(source[i], target[j]) for i, j in links}))


def links_of(weights: Weights) -> tuple[Link, ...]:
    """Return the sorted links of a matrix of weights [target, source]; equal weights go to the lower number."""
    if not weights.size:
        return ()
    by_target = {(int(source), target) for target, source in enumerate(weights.argmax(axis=1))}
    by_source = {(source, int(target)) for source, target in enumerate(weights.argmax(axis=0))}
    return symmetrised(by_target, by_source)


def symmetrised(one: set[Link], other: set[Link]) -> tuple[Link, ...]:
    """Join the links of two directions by grow-diag-final-and; sorted."""
    kept = one & other
    sources, targets = {i for i, _ in kept}, {j for _, j in kept}
    left = sorted((one | other) - kept)

    def keep(link: Link) -> None:
        kept.add(link)
        sources.add(link[0])
        targets.add(link[1])

    has_grown = True
    while has_grown:
        has_grown = False
        for i, j in left:
            is_new = (i, j) not in kept and (i not in sources or j not in targets)
            if is_new and any((i + down, j + right) in kept for down, right in _NEIGHBOURS):
                keep((i, j))
                has_grown = True
    for i, j in left:
        if i not in sources and j not in targets:
            keep((i, j))
    return tuple(sorted(kept))
