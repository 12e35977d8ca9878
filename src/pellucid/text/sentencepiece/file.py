"""Check a SentencePiece model file in Python, before the C++ library opens it.

The file is a protocol buffer (sentencepiece_model.proto, ``ModelProto``): field 1 the pieces (1 text,
2 score, 3 type), field 2 how it was trained (3 model type), field 3 the normaliser (1 name, 2 table of
characters, 3 dummy prefix), field 5 the same for decoding. Other fields are skipped within bounds. Readers of protocol
buffers treat unusual encodings differently (some drop the high bits of a key), so a file that two readers could read
differently is refused. Read ``segmenter.py`` next.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from pellucid.errors import BundleError, counted

__all__ = ["MAX_MODEL_BYTES", "MAX_PIECES", "SentencePieceFile", "fields", "inspect"]

MAX_MODEL_BYTES: Final = 64 << 20
MAX_PIECES: Final = 1 << 20
MAX_PIECE_BYTES: Final = 4096
_MAX_FIELD_NUMBER: Final = (1 << 29) - 1
_MAX_VARINT_BYTES: Final = 10
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_UNKNOWN, _BYTE = 2, 6
_TYPES: Final = frozenset({1, _UNKNOWN, 3, 4, 5, _BYTE})
_MODEL_FIELDS: Final = frozenset({1, 2, 3, 5})
_PIECE_FIELDS: Final = {1: _BYTES, 2: _FOUR, 3: _VARINT}
_NORMALISER_FIELDS: Final = {1: _BYTES, 2: _BYTES, 3: _VARINT}
_MODEL_TYPES: Final = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}

Field = tuple[int, int, int | bytes]
"""Number, wire type, value."""


@dataclass(frozen=True)
class SentencePieceFile:
    """The contents of a model file."""

    pieces: tuple[str, ...]
    types: tuple[int, ...]
    """1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte."""
    model_type: str
    normaliser: str
    dummy_prefix: bool
    has_bytes: bool
    has_character_table: bool


def inspect(raw: bytes, *, place: str) -> SentencePieceFile:
    """Check a model file and return its contents.

    Raises:
        BundleError: the file is too large, truncated, not a protocol buffer, or has invalid pieces.
    """
    if not raw or len(raw) > MAX_MODEL_BYTES:
        raise BundleError(
            f"{place}: has {counted(len(raw), 'byte')}, and a SentencePiece model has 1 to "
            f"{MAX_MODEL_BYTES:,}; fetch or export "
            "it again"
        )
    try:
        return _inspect(raw)
    except (ValueError, struct.error) as error:
        raise BundleError(f"{place}: is not a valid SentencePiece model ({error}); fetch or export it again") from None


def _inspect(raw: bytes) -> SentencePieceFile:
    pieces: list[str] = []
    types: list[int] = []
    once: dict[int, bytes] = {}
    for number, wire, value in fields(raw):
        if number not in _MODEL_FIELDS:
            continue
        _refuse_other_wire(number, wire, _BYTES)
        message = cast(bytes, value)
        if number == 1:
            piece, kind = _piece(message, len(pieces))
            pieces.append(piece)
            types.append(kind)
            if len(pieces) > MAX_PIECES:
                raise ValueError(f"more than {MAX_PIECES:,} pieces")
        elif number in once:
            raise ValueError(f"field {number} occurs twice in a message")
        else:
            once[number] = message
    model_type = _known_fields(once.get(2, b""), {3: _VARINT}).get(3, 1)
    normaliser, table, dummy_prefix = _normaliser(once.get(3, b""))
    _normaliser(once.get(5, b""))
    _check_pieces(pieces, types)
    if model_type not in _MODEL_TYPES:
        raise ValueError(f"model type {model_type!r} is unknown")
    return SentencePieceFile(
        tuple(pieces),
        tuple(types),
        _MODEL_TYPES[model_type],
        normaliser,
        dummy_prefix,
        _BYTE in types,
        bool(table),
    )


def _check_table(table: bytes) -> None:
    """Check that no lookup leaves the table of characters, which the C++ library does not check.

    The table is a length (4 bytes, little-endian), a double array of 32-bit units (darts-clone: bits 0 to 7
    and 31 the label, 8 whether a value follows, 10 to 30 the offset, shifted by 8 where bit 9 is set), and the
    texts that values point to, each ended by a zero byte.
    """
    if not table:
        return
    length = int.from_bytes(table[:4], "little")
    if len(table) < 5 or not 0 < length <= len(table) - 5 or length % 1024:
        raise ValueError("its table of characters has a wrong length")
    units = np.frombuffer(table, dtype="<u4", count=length // 4, offset=4).astype(np.int64)
    texts = table[4 + length :]
    nodes = np.flatnonzero(units >> 31 == 0)
    found = units[nodes]
    children = nodes ^ ((found >> 10) << ((found & 0x200) >> 6))
    # A label changes the low 8 bits only, and the array is a whole number of blocks of 256.
    if (children >= len(units)).any() or texts[-1] != 0:
        raise ValueError("its table of characters has an offset beyond its end")
    values = units[children[(found >> 8) & 1 == 1]] & 0x7FFFFFFF
    if (values >= len(texts)).any():
        raise ValueError("its table of characters refers to texts beyond its end")


def _check_pieces(pieces: list[str], types: list[int]) -> None:
    if not pieces:
        raise ValueError("it has no pieces")
    if len(set(pieces)) != len(pieces):
        raise ValueError("it has a piece twice")
    if types.count(_UNKNOWN) != 1:
        raise ValueError(f"it has {types.count(_UNKNOWN)} unknown pieces and must have one")
    if types.count(_BYTE) not in (0, 256):
        raise ValueError(f"it has {types.count(_BYTE)} byte pieces and must have 256 or none")


def _normaliser(raw: bytes) -> tuple[str, bytes, bool]:
    """Return the name, the checked table of characters, and whether a space is put before a text."""
    found = _known_fields(raw, _NORMALISER_FIELDS)
    name, table, prefix = found.get(1, b""), found.get(2, b""), found.get(3, 1)
    if prefix not in (0, 1):
        raise ValueError(f"add_dummy_prefix is {prefix!r}, neither 0 nor 1")
    _check_table(cast(bytes, table))
    return cast(bytes, name).decode("utf-8"), cast(bytes, table), prefix == 1


def _piece(raw: bytes, index: int) -> tuple[str, int]:
    found = _known_fields(raw, _PIECE_FIELDS)
    text, score, kind = cast(bytes, found.get(1, b"")), cast(bytes, found.get(2, bytes(4))), found.get(3, 1)
    if not math.isfinite(struct.unpack("<f", score)[0]):
        raise ValueError(f"piece {index} has a score that is not a finite number")
    if not 0 < len(text) <= MAX_PIECE_BYTES:
        raise ValueError(f"piece {index} has {counted(len(text), 'byte')}")
    if kind not in _TYPES:
        raise ValueError(f"piece {index} has the unknown type {kind!r}")
    return text.decode("utf-8"), kind


def _known_fields(raw: bytes, wires: Mapping[int, int]) -> dict[int, int | bytes]:
    """Return the values of the known fields, each of which can occur once.

    If a field occurs twice, some readers take the last value and some join both; no writer does this.
    """
    found: dict[int, int | bytes] = {}
    for number, wire, value in fields(raw):
        if number not in wires:
            continue
        _refuse_other_wire(number, wire, wires[number])
        if number in found:
            raise ValueError(f"field {number} occurs twice in a message")
        found[number] = value
    return found


def _refuse_other_wire(number: int, wire: int, needed: int) -> None:
    """Refuse a known field with another wire type, which some readers treat as unknown."""
    if wire != needed:
        raise ValueError(f"field {number} has the wire type {wire} instead of {needed}")


def fields(raw: bytes) -> Iterator[Field]:
    """Yield the fields of a message in order; an inner message is bytes.

    Raises:
        ValueError: the message is truncated, or not a protocol buffer.
    """
    position = 0
    while position < len(raw):
        start = position
        key, position = _varint(raw, position)
        number, wire = key >> 3, key & 7
        if not 0 < number <= _MAX_FIELD_NUMBER:
            raise ValueError(f"byte {start} starts the field {number}; field numbers are 1 to 2^29 - 1")
        if wire == _VARINT:
            value, position = _varint(raw, position)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, position = _varint(raw, position)
        elif wire in (_FOUR, _EIGHT):
            length = 4 if wire == _FOUR else 8
        else:
            raise ValueError(f"byte {start} does not start a field of a known type")
        if length > len(raw) - position:
            raise ValueError("it is truncated")
        yield number, wire, raw[position : position + length]
        position += length


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    """Read a number of up to 64 bits in its shortest encoding, the only one that all readers accept."""
    if position < len(raw) and raw[position] < 0x80:  # nearly always
        return raw[position], position + 1
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= len(raw):
            raise ValueError("it is truncated")
        byte = raw[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if (index and not byte) or value >= 1 << 64:
                raise ValueError(f"the number at byte {position} is not in its shortest encoding")
            return value, position + index + 1
    raise ValueError(f"byte {position} does not start a number")
