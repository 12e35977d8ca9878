"""Count the pieces that a tokenizer does not know, so that a model is not trained on them in silence.

A tokenizer with byte fallback knows every character. One without it, as older and foreign models have, turns what
it does not know into the unknown piece: nothing is learnt of it, and translations show it as U+2047. Read
``store.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pellucid.errors import DataError

__all__ = ["UnknownCounter", "UnknownPieces", "refuse_unknown"]

MAX_EXAMPLES: Final = 8


@dataclass(frozen=True)
class UnknownPieces:
    """How many pieces of one side of a text are unknown, and a few characters that are to blame."""

    side: str
    pieces: int
    unknown: int
    characters: str

    @property
    def share(self) -> float:
        """Return the share of unknown pieces among all; 0 where there are none."""
        return self.unknown / self.pieces if self.pieces else 0.0

    def __str__(self) -> str:
        examples = f", among them {' '.join(self.characters)}" if self.characters else ""
        share = f"{100 * self.share:.2g} %" if self.share < 0.1 else f"{100 * self.share:.0f} %"
        return f"{share} of the {self.side} pieces ({self.unknown:,} of {self.pieces:,}) are unknown{examples}"

    def to_table(self) -> dict[str, object]:
        """Return what ``from_table`` reads."""
        return {"pieces": self.pieces, "unknown": self.unknown, "characters": self.characters}

    @staticmethod
    def from_table(side: str, table: Mapping[str, object]) -> UnknownPieces:
        """Read what ``to_table`` wrote; what is absent, as in older files, was not counted."""
        pieces, unknown = table.get("pieces", 0), table.get("unknown", 0)
        if not isinstance(pieces, int) or not isinstance(unknown, int):
            return UnknownPieces(side, 0, 0, "")
        return UnknownPieces(side, pieces, unknown, str(table.get("characters", "")))


class UnknownCounter:
    """Count the unknown pieces of one side while it is cut into pieces.

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

    def see(self, texts: Sequence[str], ids: Sequence[Sequence[int]]) -> None:
        """Count the pieces of some texts; ``ids`` are theirs, text by text."""
        for text, row in zip(texts, ids, strict=True):
            self._pieces += len(row)
            if unknown := list(row).count(self._unk):
                self._unknown += unknown
                if len(self._characters()) < MAX_EXAMPLES:
                    self._look_for_examples(text)

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
    """Refuse a text of which a tokenizer does not know too much.

    Raises:
        DataError: a side has a share of unknown pieces over ``most``.
    """
    if over := [str(side) for side in found if side.share > most]:
        raise DataError(
            f"{'; '.join(over)}: the tokenizer has no pieces for this text, so that nothing is learnt of it, and "
            f"translations show \u2047; the limit is data.max_unknown_share = {most:g}. Train from nothing, or from a "
            "model whose tokenizer has byte fallback (tokenizer.byte_fallback = true); to go on all the same, raise "
            "data.max_unknown_share"
        )
