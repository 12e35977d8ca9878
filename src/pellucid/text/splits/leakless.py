"""Choose validation and test pairs so that no training pair has their source, and documents stay whole.

Groups of pairs (documents, or the pairs with one source) are sorted by a keyed digest of their first source, and taken
from the front until there are enough pairs. So the order of the files does not matter, and text that is added later
leaves most of the choice as it was. Memory holds 16 bytes a pair.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import SplitConfig
from pellucid.errors import DataError, counted
from pellucid.text.corpus import SentencePair
from pellucid.text.splits.sources import digest_of_source

__all__ = ["Role", "Split", "SplitRows", "split_rows"]

_LARGEST_DOCUMENT: Final = 2.0
"""Times the pairs that are wanted; a larger document is not held out."""
_CORPUS_BITS: Final = 48
_NO_DIGESTS: Final = np.zeros(0, dtype=np.uint64)


class Role(IntEnum):
    """What a pair of the training text is for."""

    TRAINING = 0
    VALIDATION = 1
    TEST = 2
    LEFT_OUT = 3
    """It has the source of a pair that validates or tests."""
    DROPPED = 4
    """A filter of the cleaning drops it."""


@dataclass(frozen=True)
class Split:
    """The role of every row, and the sums."""

    roles: NDArray[np.uint8]
    """A ``Role`` for each cleaned pair, in order."""
    by_document: bool
    """Whether documents were kept whole; false if there are none, or if they are too large."""
    has_documents: bool

    def count(self, role: Role) -> int:
        """Return the number of pairs with a role."""
        return int(np.count_nonzero(self.roles == role))

    def to_text(self) -> str:
        """Return the line for the screen; the parts add up to the pairs."""
        parts = (
            (Role.TRAINING, "to train on"),
            (Role.VALIDATION, "to validate"),
            (Role.TEST, "to test"),
            (Role.LEFT_OUT, "left out because they have the source of a validation or test pair"),
        )
        sums = " + ".join(f"{n:,} {what}" for role, what in parts if (n := self.count(role)))
        how = "whole documents are held out"
        if not self.by_document:
            how = (
                "the documents are too large to hold one out, so"
                if self.has_documents
                else "no documents are named, so"
            )
            how += " all pairs with one source are held out together"
        return f"split: {counted(len(self.roles), 'pair')} = {sums}; {how} (seeded)"


class SplitRows:
    """Collects what the choice needs to know of each row, as the rows pass."""

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self._sources = array("Q")
        self._documents = array("Q")

    def add(self, pair: SentencePair, *, may_be_held_out: bool) -> None:
        """Add the next row; one that may not be held out belongs to document 2^64 - 1."""
        self._sources.append(digest_of_source(pair.source, seed=self.seed))
        place = pair.document and ((pair.corpus + 1) << _CORPUS_BITS) + pair.document
        self._documents.append(place if may_be_held_out else (1 << 64) - 1)

    @property
    def sources(self) -> NDArray[np.uint64]:
        """The digests of the sources."""
        return np.frombuffer(self._sources, dtype=np.uint64) if self._sources else _NO_DIGESTS

    @property
    def documents(self) -> NDArray[np.uint64]:
        """The documents; 0 where none is known."""
        return np.frombuffer(self._documents, dtype=np.uint64) if self._documents else _NO_DIGESTS


def split_rows(
    rows: SplitRows,
    config: SplitConfig,
    *,
    valid: Iterable[SentencePair] | None,
    test: Iterable[SentencePair] | None,
) -> Split:
    """Give each row a role.

    Args:
        rows: of the cleaned training text.
        config: how much to hold out.
        valid: the validation text, if it has its own files.
        test: the test text, likewise.

    Raises:
        DataError: there are too few pairs, or all training pairs would leak.
    """
    sources, documents = rows.sources, rows.documents
    free = documents != np.uint64((1 << 64) - 1)
    roles = np.full(len(sources), Role.TRAINING, dtype=np.uint8)
    wanted = [(Role.TEST, test)] if test is not None or config.test else []
    by_document, is_tried = True, False
    known: list[NDArray[np.uint64]] = []
    for role, text in [*wanted, (Role.VALIDATION, valid)]:
        if text is not None:
            known.append(np.array([digest_of_source(pair.source, seed=rows.seed) for pair in text], dtype=np.uint64))
            continue
        want = min(config.most, max(1, round(config.share * int(np.count_nonzero(free)))))
        open_rows = free & (roles == Role.TRAINING) & ~_among(sources, known)
        chosen, is_whole = _chosen(sources, documents, open_rows, want)
        by_document, is_tried = by_document and is_whole, True
        roles[chosen] = role
        known.append(sources[roles == role])
    roles[(roles == Role.TRAINING) & _among(sources, known)] = Role.LEFT_OUT
    has_documents = bool(((documents != 0) & free).any())
    split = Split(roles, by_document and is_tried and has_documents, has_documents)
    _refuse_poor(split, tests=test is None and config.test, validates=valid is None)
    return split


def _among(sources: NDArray[np.uint64], known: list[NDArray[np.uint64]]) -> NDArray[np.bool_]:
    return np.isin(sources, np.concatenate(known)) if known else np.zeros(len(sources), dtype=bool)


def _chosen(
    sources: NDArray[np.uint64], documents: NDArray[np.uint64], is_open: NDArray[np.bool_], want: int
) -> tuple[NDArray[np.int64], bool]:
    """Return the rows to hold out, and whether documents were kept whole."""
    rows = np.flatnonzero(is_open)
    if not rows.size:
        return rows, True
    owner = np.where(documents[rows] == 0, sources[rows], documents[rows])
    found = _taken(rows, owner, sources, want)
    if found.size * 2 >= want:
        return found, True
    return _taken(rows, sources[rows], sources, want), False


def _taken(
    rows: NDArray[np.int64], owner: NDArray[np.uint64], sources: NDArray[np.uint64], want: int
) -> NDArray[np.int64]:
    """Take whole groups until there are enough rows."""
    _, first, group, sizes = np.unique(owner, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(sources[rows[first]], kind="stable")
    total, chosen = 0, []
    for one in order:
        if total >= want:
            break
        if total + sizes[one] <= _LARGEST_DOCUMENT * want:
            chosen.append(one)
            total += int(sizes[one])
    return rows[np.isin(group, chosen)]


def _refuse_poor(split: Split, *, tests: bool, validates: bool) -> None:
    wanted = {Role.TEST: tests, Role.VALIDATION: validates, Role.TRAINING: True}
    words = {Role.TEST: "test", Role.VALIDATION: "validate", Role.TRAINING: "train on"}
    for role, is_wanted in wanted.items():
        if is_wanted and not split.count(role):
            pairs = counted(len(split.roles), "cleaned training pair")
            raise DataError(
                f"of {pairs} none is left to {words[role]} whose source is in no other part; give more text with "
                "different sources, or name files for [data.valid] and [data.test]"
            )
