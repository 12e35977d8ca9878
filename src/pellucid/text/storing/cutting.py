"""Cut some sentence pairs into pieces, to the arrays that a store holds. Read ``crew.py`` next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pellucid.text.tokenizer import Tokenizer

__all__ = ["CutPairs", "CutSide", "cut"]


@dataclass(frozen=True)
class CutSide:
    """One side of the pairs that fit."""

    ids: NDArray[np.uint32]
    """Of all rows, one after the other."""
    lengths: NDArray[np.int64]
    """[pairs that fit]"""


@dataclass(frozen=True)
class CutPairs:
    """Pairs in pieces, without specials."""

    fits: NDArray[np.bool_]
    """Whether both sides of a pair fit into the limit, [pairs]; ``sides`` has only those that do."""
    sides: tuple[CutSide, CutSide]
    """Source and target."""


def cut(tokenizer: Tokenizer, sources: Sequence[str], targets: Sequence[str], *, most: int) -> CutPairs:
    """Cut pairs into pieces and leave out those with more than ``most`` pieces on a side.

    Raises:
        RequestError: a text holds a lone surrogate.
    """
    rows = (tokenizer.encode_source(sources), tokenizer.encode_target(targets))
    lengths = [np.fromiter(map(len, side), dtype=np.int64, count=len(side)) for side in rows]
    fits = (lengths[0] <= most) & (lengths[1] <= most)
    sides = []
    for own, counts in zip(rows, lengths, strict=True):
        ids = np.fromiter(chain.from_iterable(own), dtype=np.uint32, count=int(counts.sum()))
        sides.append(CutSide(ids[np.repeat(fits, counts)], counts[fits]))
    return CutPairs(fits, (sides[0], sides[1]))
