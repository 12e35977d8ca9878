"""The file of a trace: ``.npz`` with the arrays, and everything else as JSON in one of them. No pickle.

    manifest            UTF-8 bytes of the JSON: format_version, level, tokens, hypothesis, search, provenance ...
    site/<name>         the arrays of the sites; an array with two names is stored once, ``aliases`` has the other name
    predictions/<name>  the arrays of the predictions

Files are untrusted: sizes are checked before anything is read, and every record of the manifest is checked for its
type.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from pellucid.durable import DISK, refuse_full_disk
from pellucid.errors import BundleError, DataError, RequestError, counted
from pellucid.npz_file import open_npz
from pellucid.tracing.predictions import Array, Predictions
from pellucid.tracing.provenance import Provenance
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import Level
from pellucid.tracing.tokens import Tokens
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import Expansion
from pellucid.untrusted import parse_json, shown

__all__ = ["FORMAT_VERSION", "content_sha256", "load_trace", "manifest_of", "save_trace", "trace_bytes", "write_whole"]

FORMAT_VERSION: Final = 1
_LARGEST_MANIFEST_BYTES: Final = 128 << 20
_MOST_VALUES: Final = 16 << 20
_LARGEST_BYTES: Final = 8 << 30
_LARGEST_RATIO: Final = 20
"""``save_trace`` does not compress; compression would make attention weights a few times smaller."""

Table = dict[str, Any]


class _Manifest(BaseModel):
    """The records of a trace as they are stored; values of another type are refused, not converted."""

    model_config = ConfigDict(strict=True, extra="forbid")

    format_version: int
    source: str
    text: str
    level: Level
    flags: tuple[str, ...]
    tokens: Tokens
    hypothesis: Hypothesis | None
    search: tuple[Expansion, ...]
    provenance: dict[str, object]
    aliases: dict[str, str]
    order: tuple[str, ...]


def manifest_of(trace: Trace) -> Table:
    """Return everything except the arrays, ready for JSON."""
    return {"format_version": FORMAT_VERSION, **trace.records()}


def content_sha256(trace: Trace) -> str:
    """Return a digest of the records and arrays of a trace: two traces have the same digest if they are equal."""
    digest = hashlib.sha256(json.dumps(manifest_of(trace), ensure_ascii=False, sort_keys=True).encode("utf-8"))
    for name, array in sorted(trace.named_arrays().items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save_trace(trace: Trace, path: Path) -> None:
    """Write a trace to a file.

    Raises:
        StoppedError: the disk is full.
        DataError: the file cannot be written there.
    """
    write_whole(path, trace_bytes(trace))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; an existing file of that name is replaced only when the new one is complete.

    Raises:
        StoppedError: the disk is full.
        DataError: the file cannot be written there.
    """
    try:
        with refuse_full_disk(path.parent, needed_bytes=len(content)):
            DISK.write_replacing(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from None


def trace_bytes(trace: Trace) -> bytes:
    """Return a trace as the bytes of its file."""
    stored: dict[int, str] = {}
    aliases: dict[str, str] = {}
    arrays: dict[str, Array] = {}
    for name, array in trace.named_arrays().items():
        first = stored.setdefault(id(array), name)
        if first == name:
            arrays[name] = array
        else:
            aliases[name] = first
    text = json.dumps(manifest_of(trace) | {"aliases": aliases, "order": list(trace.arrays)}, ensure_ascii=False)
    manifest = np.frombuffer(text.encode("utf-8"), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, manifest=manifest, **arrays)
    return buffer.getvalue()


def load_trace(path: Path) -> Trace:
    """Read a trace.

    Raises:
        DataError: the file is missing, too large, damaged, not a trace, or has a newer format.
    """
    try:
        arrays = _read(path)
        return _trace_from(_manifest(path, arrays.pop("manifest", None)), arrays)
    except BundleError as error:
        raise DataError(f"{path}: is not a trace, or is damaged: {str(error).removeprefix(f'{path}: ')}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"{path}: there is not enough memory for this trace") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise DataError(
            f"{path}: is not a trace, or is damaged: {place} = {shown(first['input'])}: {first['msg']}"
        ) from None
    except (ValueError, TypeError, KeyError, RequestError) as error:
        raise DataError(f"{path}: is not a trace, or is damaged: {str(error)[:300]}") from None


def _read(path: Path) -> dict[str, Array]:
    with open_npz(path, most_bytes=_LARGEST_BYTES, most_ratio=_LARGEST_RATIO) as archive:
        for name, (shape, kind) in archive.shapes().items():
            if np.dtype(kind).kind not in "biuf":
                raise ValueError(f"{name} has the number format {kind}, which no trace has")
            if name == "manifest" and shape[0:1] > (_LARGEST_MANIFEST_BYTES,):
                raise ValueError(
                    f"its manifest has {counted(shape[0], 'byte')}; the limit is {_LARGEST_MANIFEST_BYTES:,}"
                )
        return {name: archive.array(name) for name in archive.names}


def _manifest(path: Path, raw: Array | None) -> _Manifest:
    if raw is None or raw.dtype != np.uint8 or raw.ndim != 1:
        raise DataError(f"{path}: has no manifest, so it is not a trace")
    text = raw.tobytes()
    table = parse_json(text, most_values=_MOST_VALUES)
    found = table.get("format_version") if isinstance(table, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= FORMAT_VERSION:
        raise DataError(
            f"{path}: format_version = {shown(found)}; this version of pellucid reads up to {FORMAT_VERSION}; upgrade"
        )
    return _Manifest.model_validate_json(text)


def _trace_from(manifest: _Manifest, arrays: Mapping[str, Array]) -> Trace:
    named = {**arrays, **{name: arrays[first] for name, first in manifest.aliases.items()}}
    wanted = {field.name for field in fields(Predictions)}
    predictions = {name.removeprefix("predictions/"): a for name, a in named.items() if name.startswith("predictions/")}
    if predictions and predictions.keys() != wanted:
        raise ValueError(
            f"the predictions are {', '.join(sorted(predictions))}; required are {', '.join(sorted(wanted))}"
        )
    return Trace(
        source=manifest.source,
        text=manifest.text,
        tokens=manifest.tokens,
        level=manifest.level,
        arrays={site: named[f"site/{site}"] for site in manifest.order},
        predictions=Predictions(**predictions) if predictions else None,
        hypothesis=manifest.hypothesis,
        search=manifest.search,
        flags=manifest.flags,
        provenance=Provenance.from_table(manifest.provenance),
    )
