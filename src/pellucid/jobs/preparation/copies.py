"""Count the training pairs whose two sides are the same text. Read ``../prepare.py`` next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pellucid.errors import counted
from pellucid.text.corpus import SentencePair

__all__ = ["CopyCount"]

_WORTH_A_NOTE: Final = 0.1
"""Names, numbers and short exclamations are the same in many languages, but not in so large a share."""


class CopyCount:
    """Counts copies as the pairs pass; the cleaning has dropped the long ones."""

    def __init__(self) -> None:
        self._pairs = 0
        self._copies = 0

    def watching(self, pairs: Iterator[SentencePair]) -> Iterator[SentencePair]:
        """Yield the pairs as they are."""
        for pair in pairs:
            self._pairs += 1
            self._copies += pair.source.strip() == pair.target.strip()
            yield pair

    def lines(self) -> list[str]:
        """Return a note if many pairs are copies."""
        if self._copies < _WORTH_A_NOTE * max(self._pairs, 1):
            return []
        return [
            f"note: {self._copies:,} of {counted(self._pairs, 'training pair')} have the "
            "same text on both sides, so the model "
            "learns to copy; check that both files are the right ones, or drop these pairs with "
            "data.cleaning.copy_minimum_characters = 0"
        ]
