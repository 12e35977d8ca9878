"""What the page asks for, and what it is told: a path, an answer. No HTTP here, and no files written.

The page asks the same paths of a server and of the single file that it is embedded in. What a path means is said in
``answers_model.py``, ``answers_training.py`` and ``answers_trace.py``; here is what an answer is made of.

Octets are little-endian float32 (truth values and weights of the atlas: unsigned bytes), with shape and number
format beside them. JSON numbers have the fewest digits that give the same float32 again; one that is not finite is
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

__all__ = ["Answer", "Query", "json_answer", "octets_answer", "plain", "refuse_unknown", "whole_number"]

Query = Mapping[str, str]
"""What stands behind the ``?`` of a path."""

_JSON: Final = "application/json"
_OCTETS: Final = "application/octet-stream"


@dataclass(frozen=True)
class Answer:
    """The bytes that a path is answered with; ``shape`` and ``dtype`` (``f32``, ``u8``) where they are octets."""

    body: bytes
    media_type: str = _JSON
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    file_name: str | None = None
    """Of a download."""


def json_answer(value: object) -> Answer:
    """Write records, arrays and numbers as JSON."""
    return Answer(json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


def octets_answer(array: Array) -> Answer:
    """Write an array as octets: truth values and bytes as u8, everything else as f32."""
    is_bytes = array.dtype in (np.bool_, np.uint8)
    values = np.ascontiguousarray(array, dtype="u1" if is_bytes else "<f4")
    return Answer(values.tobytes(), _OCTETS, tuple(array.shape), "u8" if is_bytes else "f32")


def plain(value: object) -> object:
    """Return a value as JSON can hold it."""
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
    """Refuse parameters that a path does not have, which would otherwise be ignored without a word.

    Raises:
        RequestError: there is one.
    """
    if unknown := sorted(query.keys() - set(allowed)):
        has = f"it has {', '.join(allowed)}" if allowed else "it has none"
        raise RequestError(f"parameter {unknown[0]!r} is unknown to this path; {has}")


def whole_number(query: Query, name: str, *, below: int, least: int = 0) -> int | None:
    """Return a parameter that is a whole number from ``least`` on and under ``below``; None if it is not given.

    Raises:
        RequestError: it is something else.
    """
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 12 or not least <= int(text) < below:
        raise RequestError(f"{name} = {text!r}; allowed are whole numbers from {least} to {below - 1}")
    return int(text)


def _rows(row: object) -> object:
    return [_rows(inner) for inner in row] if isinstance(row, np.ndarray) else row


def _number(value: float | np.floating) -> object:
    """Shorten to the digits of a float32; wider numbers of the model itself are sent no wider than octets are."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    with np.errstate(over="ignore"):
        short = float(str(np.float32(value)))
    return short if math.isfinite(short) else float(value)
