"""The two sentences of a trace in pieces, and which label belongs to which row and column of a picture.

A decoder row has two labels. Row t was *fed* the previous piece, y_{t-1}, and *predicts* y_t: the first row is
fed the start, and the last row of a finished sentence predicts ``</s>``. With only one label, half of the readers
misread the picture. Read ``predictions.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.errors import RequestError, counted
from pellucid.tracing.sites import AttentionKind
from pellucid.translation.alignment.words import Word, merge_words

__all__ = ["ZERO_VECTOR_PIECE", "Labels", "Tokens", "make_tokens"]

ZERO_VECTOR_PIECE = "<zero vector>"
"""The name of the start if the decoder begins with a zero vector, which is not a piece."""


@dataclass(frozen=True)
class Labels:
    """The labels of an attention matrix: row i looks at column j.

    ``rows`` are the pieces that the rows were fed; ``predicts``, in a decoder, are the pieces that they predict.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    predicts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Tokens:
    """Source pieces, end of sentence included, and target pieces as they were fed and as they are predicted.

    Ids are empty if they are not known. ``source_words`` span source positions, ``target_words`` span predicted
    positions.
    """

    source_pieces: tuple[str, ...]
    fed_pieces: tuple[str, ...]
    predicted_pieces: tuple[str, ...]
    source_ids: tuple[int, ...] = ()
    fed_ids: tuple[int, ...] = ()
    predicted_ids: tuple[int, ...] = ()
    source_words: tuple[Word, ...] = ()
    target_words: tuple[Word, ...] = ()

    def __post_init__(self) -> None:
        sizes = {"fed": len(self.fed_pieces), "predicted": len(self.predicted_pieces)}
        if not self.source_pieces or not self.fed_pieces or sizes["fed"] != sizes["predicted"]:
            raise RequestError(
                f"{counted(len(self.source_pieces), 'source piece')}, {counted(sizes['fed'], 'piece')} fed and "
                f"{sizes['predicted']} predicted; a trace requires at least one of each, "
                "and equal numbers fed and predicted"
            )
        for name in ("source", "fed", "predicted"):
            ids, pieces = getattr(self, f"{name}_ids"), getattr(self, f"{name}_pieces")
            if ids and len(ids) != len(pieces):
                raise RequestError(
                    f"{len(ids)} {name} ids for {len(pieces)} {name} pieces; give one id per piece, or none"
                )

    @property
    def source_length(self) -> int:
        """Number of source positions."""
        return len(self.source_pieces)

    @property
    def target_length(self) -> int:
        """Number of target positions."""
        return len(self.fed_pieces)

    def labels(self, kind: AttentionKind) -> Labels:
        """Return the labels of one of the three kinds of attention."""
        if kind is AttentionKind.ENCODER:
            return Labels(self.source_pieces, self.source_pieces)
        columns = self.fed_pieces if kind is AttentionKind.DECODER else self.source_pieces
        return Labels(self.fed_pieces, columns, self.predicted_pieces)


def make_tokens(
    source_pieces: Sequence[str],
    fed_pieces: Sequence[str],
    predicted_pieces: Sequence[str],
    *,
    source_is_special: Sequence[bool],
    predicted_is_special: Sequence[bool],
    source_ids: Sequence[int] = (),
    fed_ids: Sequence[int] = (),
    predicted_ids: Sequence[int] = (),
) -> Tokens:
    """Make the record and merge pieces to words.

    Raises:
        RequestError: a side has no pieces, or numbers of pieces or ids differ.
    """
    return Tokens(
        source_pieces=tuple(source_pieces),
        fed_pieces=tuple(fed_pieces),
        predicted_pieces=tuple(predicted_pieces),
        source_ids=tuple(source_ids),
        fed_ids=tuple(fed_ids),
        predicted_ids=tuple(predicted_ids),
        source_words=merge_words(source_pieces, is_special=source_is_special),
        target_words=merge_words(predicted_pieces, is_special=predicted_is_special),
    )
