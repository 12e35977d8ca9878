"""Read a stranger's files: plain files only, of limited size, and JSON of the expected shape.

Read ``huggingface/config.py`` next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pellucid.errors import BundleError
from pellucid.text.sentencepiece.file import MAX_MODEL_BYTES
from pellucid.text.sentencepiece.foreign import foreign_segmenter
from pellucid.text.sentencepiece.segmenter import Segmenter
from pellucid.untrusted import TooLargeError, parse_json, plain_file, read_at_most

__all__ = ["MAX_JSON_BYTES", "Table", "read_bytes", "read_pieces", "read_segmenter", "read_table", "without_doubles"]

MAX_JSON_BYTES: Final = 64 << 20
"""Enough for a vocabulary of a million pieces."""

_MOST_VALUES: Final = 1 << 22

Table = dict[str, object]


def read_bytes(path: Path, *, most: int) -> bytes:
    """Return a file's contents.

    Raises:
        BundleError: it is not a plain file, has more than ``most`` bytes, or cannot be read.
    """
    try:
        return read_at_most(plain_file(path), most)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None
    except TooLargeError as error:
        raise BundleError(f"{path}: {error}") from None


def read_pieces(path: Path) -> tuple[str, ...]:
    """Return the list of pieces that a JSON file holds.

    Raises:
        BundleError: as ``read_bytes``, or it is not JSON in UTF-8, or not a list of different texts.
    """
    pieces = _read_json(path, most=MAX_JSON_BYTES)
    if not isinstance(pieces, list) or not pieces or not all(isinstance(piece, str) for piece in pieces):
        raise BundleError(f"{path}: must be a JSON list of pieces; fetch it again")
    if len(set(pieces)) != len(pieces):
        raise BundleError(f"{path}: lists a piece twice; fetch it again")
    return tuple(pieces)


def read_table(path: Path, *, most: int = MAX_JSON_BYTES) -> Table:
    """Return the object that a JSON file holds.

    Raises:
        BundleError: as ``read_bytes``, or it is not JSON in UTF-8, or not an object.
    """
    table = _read_json(path, most=most)
    if not isinstance(table, dict):
        raise BundleError(f"{path}: must be a JSON object, and is {type(table).__name__}; fetch it again")
    return table


def _read_json(path: Path, *, most: int) -> object:
    raw = read_bytes(path, most=most)
    try:
        return parse_json(raw, most_values=_MOST_VALUES, pairs=without_doubles)
    except ValueError as error:
        raise BundleError(f"{path}: is not JSON in UTF-8 ({str(error)[:100]}); fetch it again") from None


def read_segmenter(path: Path) -> Segmenter:
    """Return the segmenter of a SentencePiece file, which a child process has opened first.

    Raises:
        BundleError: as ``read_bytes``, or the file is damaged.
    """
    return foreign_segmenter(read_bytes(path, most=MAX_MODEL_BYTES), place=str(path))


def without_doubles(pairs: list[tuple[str, object]]) -> Table:
    """Make an object of a JSON file; ``ValueError`` if a name occurs twice in it."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice in it")
    return table
