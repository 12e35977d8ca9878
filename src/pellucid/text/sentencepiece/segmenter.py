"""SentencePiece behind walls: what goes in is checked first, what comes out is exact.

A segmenter cuts text into pieces and the pieces join to the same text: no character is rewritten, lost
or taken for a special piece. The characters that SentencePiece keeps for itself are spelt in bytes.
Read ``segmenter_training.py`` for how one is learnt, ``tokenizer.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import sentencepiece

from pellucid.errors import BundleError
from pellucid.text.sentencepiece.file import SentencePieceFile, inspect
from pellucid.text.vocabulary import WORD_BOUNDARY, byte_piece

__all__ = ["Segmenter"]

_STAND_INS: Final = range(0x10FFFF, 0xDFFF, -1)


class Segmenter:
    """A SentencePiece model. Ids here are SentencePiece's own; ``tokenizer.py`` renumbers them.

    Args:
        model: the bytes of the model file.
        place: how messages call it.
        file: what ``inspect`` says of these bytes, where somebody asked already.

    Raises:
        BundleError: the bytes are no SentencePiece model, or one that could harm.
    """

    def __init__(self, model: bytes, *, place: str, file: SentencePieceFile | None = None) -> None:
        self.model = model
        self.file: SentencePieceFile = inspect(model, place=place) if file is None else file
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError, OSError) as error:
            raise BundleError(f"{place}: SentencePiece cannot read it ({_first_line(error)})") from None
        if len(self._processor) != len(self.file.pieces):
            raise BundleError(f"{place}: the file is damaged: its pieces cannot be counted")

    @property
    def pieces(self) -> tuple[str, ...]:
        """Pieces by SentencePiece's ids, its control pieces included."""
        return self.file.pieces

    @property
    def unknown_id(self) -> int:
        """SentencePiece's id for what it cannot spell."""
        return int(self._processor.unk_id())

    def encode(self, texts: Sequence[str], *, threads: int = 1) -> list[list[int]]:
        """Cut normalised texts into pieces; no text gives no pieces. Texts hold no lone surrogates."""
        if any(WORD_BOUNDARY in text for text in texts):
            return [self._encode_with_boundary(text) for text in texts]
        found: list[list[int]] = self._processor.encode(list(texts), out_type=int, num_threads=threads)
        return found

    def spell(self, texts: Sequence[str]) -> list[list[str]]:
        """Cut texts into pieces as they are spelt; what no piece covers is spelt as it stands in the text.

        The way of tools that look pieces up in a vocabulary of their own. U+2581 counts as a space here.
        """
        found: list[list[str]] = self._processor.encode(list(texts), out_type=str)
        return found

    def _encode_with_boundary(self, text: str) -> list[int]:
        """Encode a text that may hold U+2581, which SentencePiece would take for a space.

        A character that stands nowhere in the text takes its place; its bytes (or its unknown piece) are
        then exchanged for those of U+2581.
        """
        if WORD_BOUNDARY not in text:
            return list(self._processor.encode(text, out_type=int))
        taken = self._alphabet.union(text)
        stand_in = next((chr(c) for c in _STAND_INS if chr(c) not in taken), "\ufffd")
        ids = self._processor.encode(text.replace(WORD_BOUNDARY, stand_in), out_type=int)
        spelt = self._spell(stand_in)
        return _exchange(ids, spelt, self._boundary) if spelt else list(ids)

    @cached_property
    def _alphabet(self) -> frozenset[str]:
        return frozenset("".join(self.pieces))

    @cached_property
    def _boundary(self) -> list[int]:
        return self._spell(WORD_BOUNDARY)

    def _spell(self, character: str) -> list[int]:
        """Return the ids of a character's bytes, or nothing in a model without byte pieces."""
        if not self.file.has_bytes:
            return []
        return [int(self._processor.piece_to_id(byte_piece(b))) for b in character.encode("utf-8")]


def _exchange(ids: Sequence[int], old: Sequence[int], new: Sequence[int]) -> list[int]:
    exchanged: list[int] = []
    position = 0
    while position < len(ids):
        if list(ids[position : position + len(old)]) == old:
            exchanged += new
            position += len(old)
        else:
            exchanged.append(ids[position])
            position += 1
    return exchanged


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
