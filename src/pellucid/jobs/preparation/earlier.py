"""Find the store of an earlier preparation whose rows can be copied. Read ``../../text/storing/reuse.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pellucid.bundle import Bundle
from pellucid.errors import DataError, counted
from pellucid.text.store import INDEX_FILE, TokenStore
from pellucid.text.storing.reuse import EarlierRows
from pellucid.text.tokenizer import Tokenizer

__all__ = ["EarlierStore", "earlier_store", "stores_of"]


@dataclass(frozen=True)
class EarlierStore:
    """A store that was written before."""

    folder: Path
    rows: EarlierRows | None
    """To be copied; None if another tokenizer or another release of pellucid cut them."""

    def to_text(self) -> str:
        """Return how many pairs were copied and cut, as a line for the screen."""
        if self.rows is None:
            return f"pieces: every pair is cut, because another tokenizer or release of pellucid wrote {self.folder}"
        copied, cut = self.rows.copied, self.rows.cut
        return f"pieces: {counted(copied + cut, 'pair')} = {copied:,} copied from {self.folder} + {cut:,} cut"


def stores_of(folder: Path, initial: Bundle | None) -> list[Path]:
    """Return where a store of the same text can be: in the data folder of this run, and of the run to start from."""
    return [folder / "train", *([] if initial is None else [initial.folder.parent / "data" / "train"])]


def earlier_store(
    places: Iterable[Path], tokenizer: Tokenizer, *, say: Callable[[str], None] = lambda text: None
) -> EarlierStore | None:
    """Return the largest store that this tokenizer wrote, or else any; None if there is none.

    A damaged store is not used, and ``say`` gets a line about it.
    """
    found: list[EarlierStore] = []
    for place in places:
        if not (place / INDEX_FILE).is_file():
            continue
        try:
            found.append(EarlierStore(place, TokenStore.open(place).rows_for(tokenizer)))
        except DataError as error:
            say(f"{error}; none of its rows is used")
    return max(found, key=lambda one: -1 if one.rows is None else len(one.rows), default=None)
