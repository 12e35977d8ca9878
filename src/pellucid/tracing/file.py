"""A trace in a file: ``.npz`` with the arrays, and everything else as JSON in one of them. No pickle.

    manifest            UTF-8 bytes of the JSON: format_version, level, tokens, hypothesis, search, provenance ...
    site/<name>         the arrays of the sites; one with two names is stored once, ``aliases`` has the other
    predictions/<name>  the arrays of the predictions

Files of others are untrusted: sizes are bounded before anything is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from pellucid.durable import DISK, refuse_full_disk
from pellucid.errors import DataError, RequestError
from pellucid.tracing.predictions import Array, Predictions
from pellucid.tracing.provenance import Provenance
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import Level
from pellucid.tracing.tokens import Tokens
from pellucid.tracing.words import Word
from pellucid.translation.hypothesis import Hypothesis
from pellucid.translation.observer import Candidate, Expansion, Fate, LiveRow

__all__ = ["FORMAT_VERSION", "content_sha256", "load_trace", "manifest_of", "save_trace", "trace_bytes"]

FORMAT_VERSION: Final = 1
_LARGEST_MANIFEST_BYTES: Final = 256 << 20
_LARGEST_BYTES: Final = 8 << 30

Table = dict[str, Any]


def manifest_of(trace: Trace) -> Table:
    """Return everything but the arrays, as JSON can hold it."""
    return {"format_version": FORMAT_VERSION, **trace.records()}


def content_sha256(trace: Trace) -> str:
    """Return a digest of the records and arrays of a trace: equal traces have the same, others another."""
    digest = hashlib.sha256(json.dumps(manifest_of(trace), ensure_ascii=False, sort_keys=True).encode("utf-8"))
    for name, array in sorted(trace.named_arrays().items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def save_trace(trace: Trace, path: Path) -> None:
    """Write a trace; an old file of the name stays whole until the new one is.

    Raises:
        StoppedError: the disk is full.
        DataError: the file cannot be written there.
    """
    content = trace_bytes(trace)
    try:
        with refuse_full_disk(path.parent, needed_bytes=len(content)):
            DISK.write_replacing(path, content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from None


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
        DataError: the file is missing, too large, damaged, of a newer format or no trace.
    """
    try:
        arrays = _read(path)
        manifest = _manifest(path, arrays.pop("manifest", None))
        return _trace_from(manifest, arrays)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, RequestError, zipfile.BadZipFile, EOFError, RecursionError) as error:
        raise DataError(f"{path}: is no trace, or is damaged: {error}") from None


def _read(path: Path) -> dict[str, Array]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > _LARGEST_BYTES:
            raise DataError(f"{path}: {size:,} bytes unpacked is more than the {_LARGEST_BYTES:,} a trace may have")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _manifest(path: Path, raw: Array | None) -> Table:
    if raw is None or raw.dtype != np.uint8 or raw.ndim != 1 or raw.size > _LARGEST_MANIFEST_BYTES:
        raise DataError(f"{path}: has no manifest, so it is no trace")
    table = json.loads(raw.tobytes().decode("utf-8"))
    found = table.get("format_version") if isinstance(table, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= FORMAT_VERSION:
        raise DataError(f"{path}: format_version = {found!r}, and this pellucid reads up to {FORMAT_VERSION}; upgrade")
    return dict(table)


def _trace_from(manifest: Table, arrays: Mapping[str, Array]) -> Trace:
    named = {**arrays, **{name: arrays[first] for name, first in manifest["aliases"].items()}}
    wanted = {field.name for field in fields(Predictions)}
    predictions = {name.removeprefix("predictions/"): a for name, a in named.items() if name.startswith("predictions/")}
    if predictions and predictions.keys() != wanted:
        raise ValueError(
            f"the predictions are {', '.join(sorted(predictions))}; needed are {', '.join(sorted(wanted))}"
        )
    return Trace(
        source=manifest["source"],
        text=manifest["text"],
        tokens=_tokens(manifest["tokens"]),
        level=Level(manifest["level"]),
        arrays={site: named[f"site/{site}"] for site in manifest["order"]},
        predictions=Predictions(**predictions) if predictions else None,
        hypothesis=_hypothesis(manifest["hypothesis"]) if manifest["hypothesis"] else None,
        search=tuple(_expansion(table) for table in manifest["search"]),
        flags=tuple(manifest["flags"]),
        provenance=Provenance.from_table(manifest["provenance"]),
    )


def _tokens(table: Table) -> Tokens:
    words = {name: tuple(Word(**word) for word in table[name]) for name in ("source_words", "target_words")}
    return Tokens(**{**_with_tuples(table), **words})


def _hypothesis(table: Table) -> Hypothesis:
    return Hypothesis(**_with_tuples(table))


def _expansion(table: Table) -> Expansion:
    rows: Sequence[Table] = table["rows"]
    candidates: Sequence[Table] = table["candidates"]
    return Expansion(
        sentence=table["sentence"],
        step=table["step"],
        rows=tuple(LiveRow(**_with_tuples(row)) for row in rows),
        candidates=tuple(Candidate(**{**candidate, "fate": Fate(candidate["fate"])}) for candidate in candidates),
    )


def _with_tuples(table: Table) -> Table:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
