"""Cut text into pieces with SentencePiece, exactly: the pieces join to the same text.

No character is rewritten, lost, or mistaken for a special piece. Characters that SentencePiece reserves become byte
pieces. ``training.py`` learns a segmenter; read ``../tokenizer.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import sentencepiece

from pellucid.errors import BundleError, counted
from pellucid.text.sentencepiece.file import SentencePieceFile, inspect
from pellucid.text.vocabulary import WORD_BOUNDARY, byte_piece

__all__ = ["Segmenter"]

_FEW: Final = 8
"""For fewer texts than this, a call for each is faster than one for all, which starts a thread even if it has one."""
_STAND_INS: Final = range(0x10FFFF, 0xDFFF, -1)


class Segmenter:
    """A SentencePiece model. Ids here are those of SentencePiece; ``Side`` maps them to ours.

    Args:
        model: the bytes of the model file.
        place: the file's name in messages.
        file: what ``inspect`` returned for these bytes, if it was called before.

    Raises:
        BundleError: the bytes are not a valid SentencePiece model.
    """

    def __init__(self, model: bytes, *, place: str, file: SentencePieceFile | None = None) -> None:
        self.model = model
        self.file: SentencePieceFile = inspect(model, place=place) if file is None else file
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError, OSError) as error:
            raise BundleError(f"{place}: SentencePiece cannot read it ({_first_line(error)})") from None
        if len(self._processor) != len(self.file.pieces):
            raise BundleError(
                f"{place}: the file is damaged: SentencePiece reads {len(self._processor)} of "
                f"{counted(len(self.file.pieces), 'piece')}; fetch or export it again"
            )

    @property
    def pieces(self) -> tuple[str, ...]:
        """Pieces by SentencePiece's ids, its control pieces included."""
        return self.file.pieces

    @property
    def unknown_id(self) -> int:
        """SentencePiece's id of the unknown piece."""
        return int(self._processor.unk_id())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Cut normalised texts into pieces; an empty text gives no pieces. Texts must have no lone surrogates."""
        if any(WORD_BOUNDARY in text for text in texts):
            return [self._encode_with_boundary(text) for text in texts]
        if len(texts) < _FEW:
            return [self._processor.encode(text, out_type=int) for text in texts]
        found: list[list[int]] = self._processor.encode(list(texts), out_type=int, num_threads=1)
        return found

    def spell(self, texts: Sequence[str]) -> list[list[str]]:
        """Cut texts into the text of pieces; characters without a piece stay as they are.

        Tools with a separate vocabulary look pieces up by this text. U+2581 counts as a space here.
        """
        found: list[list[str]] = self._processor.encode(list(texts), out_type=str)
        return found

    def best_ways(self, text: str, count: int) -> list[tuple[list[int], float]]:
        """Return the most probable ways to cut a text, each with its log-probability; for unigram models only."""
        found: list[list[int]] = self._processor.nbest_encode(text, nbest_size=count, out_type=int)
        return [(ids, sum(self._score_table[i] for i in ids)) for ids in found]

    def scores(self) -> dict[str, float]:
        """Return the score of each piece: its log-probability (unigram), or minus its rank (BPE)."""
        return dict(zip(self.pieces, self._score_table, strict=True))

    @cached_property
    def _score_table(self) -> list[float]:
        return [float(self._processor.get_score(i)) for i in range(len(self.pieces))]

    def _encode_with_boundary(self, text: str) -> list[int]:
        """Encode a text that can contain U+2581, which SentencePiece would read as a space.

        A character that is not in the text stands in for U+2581; its byte pieces are then replaced by those of U+2581.
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
        """Return the ids of a character's byte pieces; empty for a model without byte pieces."""
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
