"""Count the pieces that a tokenizer does not know, and refuse text with too many of them.

A tokenizer with byte fallback knows every character. Without it, as in many models of other tools, unknown characters
become the unknown piece: the model cannot learn them, and translations show U+2047. Read ``store.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError

__all__ = ["UnknownCounter", "UnknownPieces", "refuse_unknown"]

MAX_EXAMPLES: Final = 8


@dataclass(frozen=True)
class UnknownPieces:
    """The number of unknown pieces of one side of a text, and some of the unknown characters."""

    side: str
    pieces: int
    unknown: int
    characters: str

    @property
    def share(self) -> float:
        """Return the share of unknown pieces among all; 0 without pieces."""
        return self.unknown / self.pieces if self.pieces else 0.0

    def __str__(self) -> str:
        examples = f", among them {' '.join(self.characters)}" if self.characters else ""
        share = f"{100 * self.share:.2g} %" if self.share < 0.1 else f"{100 * self.share:.0f} %"
        return f"{share} of the {self.side} pieces ({self.unknown:,} of {self.pieces:,}) are unknown{examples}"

    def to_table(self) -> dict[str, object]:
        """Return a table that ``from_table`` reads."""
        return {"pieces": self.pieces, "unknown": self.unknown, "characters": self.characters}

    @staticmethod
    def from_table(side: str, table: Mapping[str, object]) -> UnknownPieces:
        """Read a table of ``to_table``; counts that older files lack are 0."""
        pieces, unknown = table.get("pieces", 0), table.get("unknown", 0)
        if not isinstance(pieces, int) or not isinstance(unknown, int):
            return UnknownPieces(side, 0, 0, "")
        return UnknownPieces(side, pieces, unknown, str(table.get("characters", "")))


class UnknownCounter:
    """Counts the unknown pieces of one side.

    Args:
        side: "source" or "target".
        encode: the tokenizer's function for that side.
        unk: id of the unknown piece.
    """

    def __init__(self, side: str, encode: Callable[[Sequence[str]], list[list[int]]], *, unk: int) -> None:
        self._side = side
        self._encode = encode
        self._unk = unk
        self._pieces = self._unknown = 0
        self._is_known: dict[str, bool] = {}

    def see(self, texts: Sequence[str], ids: NDArray[np.integer], ends: NDArray[np.int64]) -> None:
        """Count the pieces of some texts: those of text i are ``ids[ends[i - 1] : ends[i]]``."""
        places = np.flatnonzero(ids == self._unk)
        self._pieces += len(ids)
        self._unknown += len(places)
        for row in np.unique(np.searchsorted(ends, places, side="right")):
            if len(self._characters()) >= MAX_EXAMPLES:
                break
            self._look_for_examples(texts[row])

    def result(self) -> UnknownPieces:
        """Return the counts so far."""
        return UnknownPieces(self._side, self._pieces, self._unknown, self._characters()[:MAX_EXAMPLES])

    def _characters(self) -> str:
        return "".join(character for character, is_known in self._is_known.items() if not is_known)

    def _look_for_examples(self, text: str) -> None:
        new = [c for c in dict.fromkeys(text) if c not in self._is_known and c.isprintable() and not c.isspace()]
        for character, row in zip(new, self._encode(new), strict=True):
            self._is_known[character] = self._unk not in row


def refuse_unknown(found: Sequence[UnknownPieces], *, most: float) -> None:
    """Refuse a text with too many unknown pieces.

    Raises:
        DataError: the share of unknown pieces of a side is over ``most``.
    """
    if over := [str(side) for side in found if side.share > most]:
        raise DataError(
            f"{'; '.join(over)}: the tokenizer has no pieces for this text, so the model cannot learn it and "
            f"translations show \u2047; the limit is data.max_unknown_share = {most:g}. Train without --init-from, or "
            "start from a model whose tokenizer has byte fallback (tokenizer.byte_fallback = true); to train anyway, "
            "raise data.max_unknown_share"
        )
