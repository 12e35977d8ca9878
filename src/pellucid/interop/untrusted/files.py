"""Read files that somebody else made: plain files only, of a sensible size, JSON that is a table.

Read ``huggingface/config.py`` next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pellucid.errors import BundleError
from pellucid.untrusted import parse_json

__all__ = ["MAX_JSON_BYTES", "Table", "plain_file", "read_bytes", "read_pieces", "read_table"]

MAX_JSON_BYTES: Final = 64 << 20
"""A vocabulary of a million pieces fits in it."""

_MOST_VALUES: Final = 1 << 22

Table = dict[str, object]


def plain_file(path: Path) -> Path:
    """Return a path that is a file in its own right, not a link to one.

    Raises:
        BundleError: it is missing, a folder or a symbolic link.
    """
    if path.is_symlink():
        raise BundleError(
            f"{path}: is a symbolic link, and a foreign folder's links are not followed; copy the folder with its "
            "files in place of the links (cp -rL FOLDER COPY) and name the copy"
        )
    if not path.is_file():
        raise BundleError(f"{path}: is missing, or is no plain file; fetch the folder again, with all its files")
    return path


def read_bytes(path: Path, *, most: int) -> bytes:
    """Return a file's contents.

    Raises:
        BundleError: no plain file, more than ``most`` bytes, or unreadable.
    """
    plain_file(path)
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > most:
        raise BundleError(f"{path}: has more than the {most:,} bytes that such a file may have")
    return raw


def read_pieces(path: Path, *, most: int = MAX_JSON_BYTES) -> tuple[str, ...]:
    """Return the list of pieces that a JSON file holds.

    Raises:
        BundleError: as ``read_bytes``, or it is not JSON in UTF-8, or no list of different texts.
    """
    raw = read_bytes(path, most=most)
    try:
        pieces = parse_json(raw, most_values=_MOST_VALUES)
    except ValueError as error:
        raise BundleError(f"{path}: is not JSON in UTF-8 ({str(error)[:100]}); fetch it again") from None
    if not isinstance(pieces, list) or not pieces or not all(isinstance(piece, str) for piece in pieces):
        raise BundleError(f"{path}: must be a JSON list of pieces; fetch it again")
    if len(set(pieces)) != len(pieces):
        raise BundleError(f"{path}: lists a piece twice; fetch it again")
    return tuple(pieces)


def read_table(path: Path, *, most: int = MAX_JSON_BYTES) -> Table:
    """Return the object that a JSON file holds.

    Raises:
        BundleError: as ``read_bytes``, or it is not JSON in UTF-8, or no object.
    """
    raw = read_bytes(path, most=most)
    try:
        table = parse_json(raw, most_values=_MOST_VALUES, pairs=_without_doubles)
    except ValueError as error:
        raise BundleError(f"{path}: is not JSON in UTF-8 ({str(error)[:100]}); fetch it again") from None
    if not isinstance(table, dict):
        raise BundleError(f"{path}: must be a JSON object, and is {type(table).__name__}; fetch it again")
    return table


def _without_doubles(pairs: list[tuple[str, object]]) -> Table:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands in it twice")
    return table
