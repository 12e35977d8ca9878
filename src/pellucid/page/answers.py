"""The answers to the paths that the page requests. Nothing here uses HTTP or writes files.

The page requests the same paths from a server and from the single file that contains it. ``answers_model.py``,
``answers_training.py`` and ``answers_trace.py`` define the paths; this file defines the form of an answer.

Octets are little-endian float32 (unsigned bytes for booleans and for the atlas), sent with their shape and number
format. JSON numbers have the fewest digits that give the same float32; numbers that are not finite become
the text ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``. Read ``answers_model.py`` next.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pellucid.errors import RequestError
from pellucid.tracing.predictions import Array

__all__ = ["Answer", "Query", "json_answer", "number_in", "octets_answer", "plain", "refuse_unknown", "whole_number"]

Query = Mapping[str, str]
"""The parameters after the ``?`` of a path."""

_JSON: Final = "application/json"
_OCTETS: Final = "application/octet-stream"


@dataclass(frozen=True)
class Answer:
    """The bytes of an answer; octets also have ``shape`` and ``dtype`` (``f32`` or ``u8``)."""

    body: bytes
    media_type: str = _JSON
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    file_name: str | None = None
    """Name of the downloaded file, if the answer is a download."""


def json_answer(value: object) -> Answer:
    """Return records, arrays and numbers as JSON."""
    return Answer(json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


def octets_answer(array: Array) -> Answer:
    """Return an array as octets: booleans and bytes as u8, everything else as f32."""
    is_bytes = array.dtype in (np.bool_, np.uint8)
    values = np.ascontiguousarray(array, dtype="u1" if is_bytes else "<f4")
    return Answer(values.tobytes(), _OCTETS, tuple(array.shape), "u8" if is_bytes else "f32")


def plain(value: object) -> object:
    """Return a value in types that JSON supports."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist() if value.dtype.kind in "biu" else [_rows(row) for row in value])
    if isinstance(value, float | np.floating):
        return _number(value)
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


def refuse_unknown(query: Query, *allowed: str) -> None:
    """Refuse parameters that a path does not have.

    Raises:
        RequestError: there is such a parameter.
    """
    if unknown := sorted(query.keys() - set(allowed)):
        raise RequestError(f"unknown parameter {unknown[0]!r}; this path has {', '.join(allowed) or 'none'}")


def whole_number(query: Query, name: str, *, below: int, least: int = 0) -> int | None:
    """Return a parameter that is a whole number, at least ``least`` and under ``below``; None if it is not given.

    Raises:
        RequestError: the parameter is not such a number.
    """
    text = query.get(name)
    return None if text is None else number_in(text, name, below=below, least=least)


def number_in(text: str, name: str, *, below: int, least: int = 0) -> int:
    """Return the whole number in the text of parameter ``name``, at least ``least`` and under ``below``.

    Raises:
        RequestError: the text is not such a number.
    """
    if not (text.isascii() and text.isdecimal()) or len(text) > 12 or not least <= int(text) < below:
        raise RequestError(f"{name} = {text!r}; allowed are whole numbers from {least} to {below - 1}")
    return int(text)


def _rows(row: object) -> object:
    return [_rows(inner) for inner in row] if isinstance(row, np.ndarray) else row


def _number(value: float | np.floating) -> object:
    """Shorten to the digits of a float32, the precision of octets too."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    with np.errstate(over="ignore"):
        short = float(str(np.float32(value)))
    return short if math.isfinite(short) else float(value)
