"""The ids of pieces, and the special ids.

These ids differ from those of SentencePiece, because every toolkit numbers pieces differently and a model of another
tool has to keep its numbers. ``vocabulary.json`` maps each piece to its id. Read ``sentencepiece/segmenter.py`` next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pellucid.config import SpecialIds
from pellucid.errors import BundleError, counted
from pellucid.untrusted import parse_json

__all__ = ["MOST_VALUES", "UNKNOWN_SURFACE", "WORD_BOUNDARY", "Vocabulary", "byte_piece"]

WORD_BOUNDARY: Final = "\u2581"
"""The character for a space in pieces of SentencePiece (LOWER ONE EIGHTH BLOCK)."""

UNKNOWN_SURFACE: Final = "\u2047"
"""The unknown piece in decoded text, so that the loss is visible."""

MOST_VALUES: Final = 1 << 22
"""Limit of commas in ``vocabulary.json``: four for each piece of the largest vocabulary, as pieces contain commas."""

_NAMES: Final[Mapping[str, str]] = {"pad": "<pad>", "unk": "<unk>", "bos": "<s>", "eos": "</s>"}
_BYTE_PIECE: Final = re.compile(r"<0x([0-9A-F]{2})>")


def byte_piece(value: int) -> str:
    """Return the piece of a single byte, as SentencePiece writes it."""
    return f"<0x{value:02X}>"


class Vocabulary:
    """Pieces by id and ids by piece. Ids run from 0 without gaps; immutable by convention.

    Args:
        pieces: every piece in the order of the ids, specials and tags included.
        specials: ids of the special pieces.
        tags: language tags such as ``>>fr<<``; each is one of the pieces.
    """

    def __init__(self, pieces: Sequence[str], *, specials: SpecialIds, tags: Sequence[str] = ()) -> None:
        self.pieces: tuple[str, ...] = tuple(pieces)
        self.ids: dict[str, int] = {piece: i for i, piece in enumerate(self.pieces)}
        self.specials = specials
        self.tags: tuple[str, ...] = tuple(tags)
        if len(self.ids) != len(self.pieces):
            twice = next(p for i, p in enumerate(self.pieces) if self.ids[p] != i)
            raise BundleError(f"the vocabulary has the piece {twice!r} twice; each piece must have one id")
        for name, special in specials.model_dump().items():
            if special >= len(self.pieces):
                raise BundleError(
                    f"the special id {name} = {special} is outside a vocabulary of {counted(len(self.pieces), 'piece')}"
                )
        for tag in self.tags:
            if tag not in self.ids:
                raise BundleError(f"the language tag {tag!r} is not in the vocabulary")
        self.surfaces: Sequence[bytes] = self._surfaces()
        """The text of each id in UTF-8; empty for tags and for specials other than the unknown piece."""

    @staticmethod
    def build(pieces: Iterable[str], *, specials: SpecialIds, tags: Sequence[str] = ()) -> Vocabulary:
        """Give ids to pieces: the specials keep theirs, the tags and then the pieces take the others in order."""
        fixed: dict[int, str] = {}
        for name, special in specials.model_dump().items():
            fixed.setdefault(special, _NAMES[name])
        rest = iter((*tags, *pieces))
        numbered: list[str] = []
        for piece in rest:
            while len(numbered) in fixed:
                numbered.append(fixed.pop(len(numbered)))
            numbered.append(piece)
        while len(numbered) in fixed:
            numbered.append(fixed.pop(len(numbered)))
        if fixed:
            raise BundleError(f"the special ids {sorted(fixed)} leave a gap after {counted(len(numbered), 'piece')}")
        return Vocabulary(numbered, specials=specials, tags=tags)

    def __len__(self) -> int:
        return len(self.pieces)

    def piece(self, index: int) -> str:
        """Return the piece of an id.

        Raises:
            IndexError: the id is negative or too large.
        """
        if index < 0:
            raise IndexError(f"piece id {index} is negative")
        return self.pieces[index]

    def text(self, ids: Iterable[int], *, strip_prefix: bool) -> str:
        """Join pieces to text; specials and tags are skipped, an unknown piece becomes U+2047.

        Invalid UTF-8 (a model can write half a character) becomes U+FFFD.

        Args:
            ids: ids of pieces, each within the vocabulary.
            strip_prefix: remove the one space that the segmenter put before the text.
        """
        joined = b"".join([self.surfaces[i] for i in ids])
        text = joined.decode("utf-8", errors="replace")
        return text.removeprefix(" ") if strip_prefix else text

    def to_json(self) -> bytes:
        """Return the contents of ``vocabulary.json``, with one piece on each line."""
        return (json.dumps(self.ids, ensure_ascii=False, indent=0) + "\n").encode("utf-8")

    @staticmethod
    def from_json(raw: bytes, *, place: str, specials: SpecialIds, tags: Sequence[str] = ()) -> Vocabulary:
        """Read the contents of ``vocabulary.json``.

        Raises:
            BundleError: it does not map pieces to ids, or the ids are not 0, 1, 2 ... each once.
        """
        try:
            table = parse_json(raw, most_values=MOST_VALUES)
        except ValueError as error:
            raise BundleError(f"{place}: is not JSON in UTF-8 ({str(error)[:200]}); the file is damaged") from None
        if not isinstance(table, dict) or not all(type(v) is int for v in table.values()):
            raise BundleError(f"{place}: must be an object that maps each piece to its id")
        if sorted(table.values()) != list(range(len(table))):
            raise BundleError(
                f"{place}: the ids of {counted(len(table), 'piece')} must be 0 to {len(table) - 1}, each once"
            )
        try:
            return Vocabulary(sorted(table, key=table.__getitem__), specials=specials, tags=tags)
        except BundleError as error:
            raise BundleError(f"{place}: {error}") from None

    def _surfaces(self) -> list[bytes]:
        surfaces: list[bytes] = []
        for piece in self.pieces:
            byte = _BYTE_PIECE.fullmatch(piece)
            surface = piece.replace(WORD_BOUNDARY, " ").encode("utf-8", errors="replace")
            surfaces.append(bytes([int(byte[1], 16)]) if byte else surface)
        for tag in self.tags:
            surfaces[self.ids[tag]] = b""
        surfaces[self.specials.unk] = UNKNOWN_SURFACE.encode("utf-8")
        for special in (self.specials.pad, self.specials.bos, self.specials.eos):
            surfaces[special] = b""
        return surfaces
