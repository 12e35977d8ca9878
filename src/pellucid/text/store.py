"""Token ids on disk, memory-mapped, so that a corpus may be larger than memory.

A store is a folder: ``source.ids`` and ``target.ids`` (16-bit where every id is below 65,536, else 32-bit),
``*.offsets`` (64-bit, one more than rows: row i is ids[offsets[i] : offsets[i + 1]]), ``line`` and ``corpus``
of each row, and ``index.json``, which says what is there and is written last. All numbers are little-endian.
It is derived from the corpora: a store that does not match is written again. Read ``batching.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.durable import DISK, sha256_of, shortage_of
from pellucid.errors import DataError, StoppedError
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import Tokenizer
from pellucid.text.unknown import UnknownCounter, UnknownPieces
from pellucid.untrusted import parse_json, read_at_most, shown

__all__ = ["TokenStore", "write_store"]

FORMAT_VERSION: Final = 1
INDEX_FILE: Final = "index.json"
CHUNK_PAIRS: Final = 4096
LARGEST_INDEX_BYTES: Final = 1 << 20
IDS_BELOW_16_BITS: Final = 1 << 16
_SIDES: Final = ("source", "target")
_TYPES: Final = {
    "source.ids": ("<u2", "<u4"),
    "target.ids": ("<u2", "<u4"),
    "source.offsets": ("<i8",),
    "target.offsets": ("<i8",),
    "line": ("<i8",),
    "corpus": ("<u2",),
}
_COLUMNS: Final = tuple(_TYPES)


class TokenStore:
    """The rows of a store: two lists of piece ids each, without specials, with where they came from.

    Made by ``write_store`` or ``TokenStore.open``. Arrays are memory maps, read only.
    """

    def __init__(self, folder: Path, index: dict[str, object], columns: dict[str, NDArray[np.integer]]) -> None:
        self.folder = folder
        self.index = index
        self._source, self._target = columns["source.ids"], columns["target.ids"]
        self._source_offsets, self._target_offsets = columns["source.offsets"], columns["target.offsets"]
        self.line = columns["line"]
        """Line of each row in its corpus file, from 0; int64 [rows]."""
        self.corpus = columns["corpus"]
        """Index of the corpus of each row, from 0; uint16 [rows]."""
        self.source_lengths: NDArray[np.int64] = np.diff(self._source_offsets).astype(np.int64)
        """Source pieces of each row, without specials; int64 [rows]."""
        self.target_lengths: NDArray[np.int64] = np.diff(self._target_offsets).astype(np.int64)
        """Target pieces of each row, without specials; int64 [rows]."""
        self.left_out = _integer(index, "left_out")
        """Pairs left out for having more than ``max_length`` tokens on a side, end of sentence included."""
        table = index.get("unknown")
        counts = table if isinstance(table, dict) else {}
        self.unknown = tuple(UnknownPieces.from_table(side, counts.get(side, {})) for side in _SIDES)
        """The unknown pieces of source and target."""
        self.fingerprint = str(index.get("fingerprint", ""))
        """Digest of the contents."""

    @staticmethod
    def open(folder: Path) -> TokenStore:
        """Open a store; check that its files have the sizes that its index states and that its rows lie in them.

        Raises:
            DataError: no store, a damaged one, or one of another format; remove the folder to make it anew.
        """
        path = folder / INDEX_FILE
        try:
            index = parse_json(read_at_most(path, LARGEST_INDEX_BYTES))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); remove {folder} to make it anew") from None
        except ValueError:
            raise DataError(f"{path}: is not JSON; remove {folder} to make it anew") from None
        if not isinstance(index, dict) or index.get("format_version") != FORMAT_VERSION or index.get("variants") != 1:
            raise DataError(f"{path}: is no token store of format {FORMAT_VERSION}; remove {folder} to make it anew")
        columns = {name: _map(folder, index, name) for name in _COLUMNS}
        rows = len(columns["line"])
        for side in ("source", "target"):
            offsets = columns[f"{side}.offsets"]
            ends = (int(offsets[0]), int(offsets[-1])) if len(offsets) else ()
            if ends != (0, len(columns[f"{side}.ids"])) or len(offsets) != rows + 1 or (np.diff(offsets) < 0).any():
                raise DataError(f"{folder}: its {side} rows lie outside of its ids; remove {folder} to make it anew")
        if len(columns["corpus"]) != rows:
            raise DataError(f"{folder}: not every row has a corpus; remove {folder} to make it anew")
        return TokenStore(folder, index, columns)

    def __len__(self) -> int:
        return len(self.line)

    def source(self, row: int) -> NDArray[np.integer]:
        """Return the source piece ids of a row."""
        return self._source[self._source_offsets[row] : self._source_offsets[row + 1]]

    def target(self, row: int) -> NDArray[np.integer]:
        """Return the target piece ids of a row."""
        return self._target[self._target_offsets[row] : self._target_offsets[row + 1]]

    def verify(self, *, source_vocab_size: int, target_vocab_size: int) -> None:
        """Read every file and compare its digest with the index, and its ids with the sizes of the vocabularies.

        Raises:
            DataError: a file was changed or damaged, or an id is no piece's.
        """
        table = self.index.get("columns")
        for name in _COLUMNS:
            stated = table[name]["sha256"] if isinstance(table, dict) else None
            if sha256_of(self.folder / name) != stated:
                raise DataError(f"{self.folder / name}: is damaged; remove {self.folder} to make it anew")
        for name, ids, size in (
            ("source.ids", self._source, source_vocab_size),
            ("target.ids", self._target, target_vocab_size),
        ):
            most = int(ids.max()) if len(ids) else -1
            if most >= size:
                raise DataError(
                    f"{self.folder / name}: has the id {most}, and the vocabulary has {size} pieces; remove "
                    f"{self.folder} to make it anew"
                )


def write_store(
    folder: Path,
    pairs: Iterable[SentencePair],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    progress: Callable[[int], None] | None = None,
) -> TokenStore:
    """Encode pairs into a new store; it appears whole or not at all, and replaces one that was there.

    Args:
        folder: the store's place; its parent is made.
        pairs: read once, some thousands at a time.
        tokenizer: both sides are encoded with it.
        max_length: tokens a side may have, its end of sentence included; longer pairs are left out and counted.
        progress: called with the number of pairs read since the last call.

    Raises:
        DataError: no pair is left.
        StoppedError: the disk is full; nothing of an older store is lost.
    """
    beside = folder.with_name(f".{folder.name}.writing")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        DISK.remove(beside)  # what a killed run may have left
        beside.mkdir()
        with closing(_Writer(beside, tokenizer, max_length)) as writer:
            for chunk in _chunks(pairs, CHUNK_PAIRS):
                writer.add(chunk)
                if progress:
                    progress(len(chunk))
            writer.finish()
        _put_in_place(beside, folder)
    except OSError as error:
        if shortage := shortage_of(error):
            raise StoppedError(f"{folder}: {shortage}") from None
        raise DataError(f"{folder}: the token store cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return TokenStore.open(folder)


class _Writer:
    """The columns of a store, each a file that grows; nothing but one chunk is held in memory."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, max_length: int) -> None:
        self.folder = folder
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.rows = self.left_out = 0
        sizes = {"source": tokenizer.source_vocab_size, "target": tokenizer.target_vocab_size}
        ids = {side: "<u2" if size <= IDS_BELOW_16_BITS else "<u4" for side, size in sizes.items()}
        self.types = {
            "source.ids": ids["source"],
            "target.ids": ids["target"],
            "source.offsets": "<i8",
            "target.offsets": "<i8",
            "line": "<i8",
            "corpus": "<u2",
        }
        self.files = {name: (folder / name).open("wb") for name in _COLUMNS}
        self.digests = {name: hashlib.sha256() for name in _COLUMNS}
        self.counts = dict.fromkeys(_COLUMNS, 0)
        encoders = (tokenizer.encode_source, tokenizer.encode_target)
        self.unknown = [
            UnknownCounter(side, encode, unk=tokenizer.specials.unk)
            for side, encode in zip(_SIDES, encoders, strict=True)
        ]
        for side in _SIDES:
            self._write(f"{side}.offsets", [0])

    def add(self, pairs: Sequence[SentencePair]) -> None:
        sources = self.tokenizer.encode_source([pair.source for pair in pairs])
        targets = self.tokenizer.encode_target([pair.target for pair in pairs])
        most = self.max_length - 1
        fits = [len(s) <= most and len(t) <= most for s, t in zip(sources, targets, strict=True)]
        kept_pairs = [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
        texts = ([pair.source for pair in kept_pairs], [pair.target for pair in kept_pairs])
        for side, rows, own, counter in zip(_SIDES, (sources, targets), texts, self.unknown, strict=True):
            kept = [row for row, fit in zip(rows, fits, strict=True) if fit]
            counter.see(own, kept)
            ends = self.counts[f"{side}.ids"] + np.cumsum([len(row) for row in kept], dtype=np.int64)
            self._write(f"{side}.ids", [i for row in kept for i in row])
            self._write(f"{side}.offsets", ends)
        self._write("line", [pair.line for pair in kept_pairs])
        self._write("corpus", [pair.corpus for pair in kept_pairs])
        self.rows += len(kept_pairs)
        self.left_out += len(pairs) - len(kept_pairs)

    def finish(self) -> None:
        for stream in self.files.values():
            stream.flush()
            os.fsync(stream.fileno())
        if self.rows == 0:
            raise DataError(
                f"no sentence pair is left: {self.left_out} had more than max_length = {self.max_length} tokens on a "
                "side; give more text, or raise training.max_length"
            )
        columns = {
            name: {"type": self.types[name], "count": self.counts[name], "sha256": self.digests[name].hexdigest()}
            for name in _COLUMNS
        }
        index = {
            "format_version": FORMAT_VERSION,
            "rows": self.rows,
            "left_out": self.left_out,
            "max_length": self.max_length,
            "variants": 1,
            "unknown": {counter.result().side: counter.result().to_table() for counter in self.unknown},
            "tokenizer": self.tokenizer.fingerprint,
            "columns": columns,
            "fingerprint": hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest(),
        }
        DISK.write(self.folder / INDEX_FILE, json.dumps(index, indent=2).encode())
        DISK.sync(self.folder)

    def close(self) -> None:
        for stream in self.files.values():
            with suppress(OSError):  # on a full disk closing fails too, and the first error is the one to tell
                stream.close()

    def _write(self, name: str, values: Sequence[int] | NDArray[np.int64]) -> None:
        raw = np.asarray(values, dtype=self.types[name]).tobytes()
        self.files[name].write(raw)
        self.digests[name].update(raw)
        self.counts[name] += len(values)


def _chunks(pairs: Iterable[SentencePair], size: int) -> Iterator[list[SentencePair]]:
    rest = iter(pairs)
    while chunk := list(islice(rest, size)):
        yield chunk


def _put_in_place(beside: Path, folder: Path) -> None:
    # A kill between the two renames leaves no store, which is then written again: it is derived data.
    old = folder.with_name(f".{folder.name}.old")
    DISK.remove(old)
    if folder.exists():
        DISK.replace(folder, old)
    DISK.replace(beside, folder)
    DISK.remove(old)


def _map(folder: Path, index: dict[str, object], name: str) -> NDArray[np.integer]:
    path = folder / name
    remedy = f"remove {folder} to make it anew"
    try:
        column = index["columns"][name]  # type: ignore[index]
        kind, count = column["type"], column["count"]
        size = path.stat().st_size
    except (KeyError, TypeError):
        raise DataError(f"{folder / INDEX_FILE}: does not describe {name}; {remedy}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    if kind not in _TYPES[name] or type(count) is not int or size != count * np.dtype(kind).itemsize:
        raise DataError(
            f"{path}: has {size} bytes and its index says {shown(count)} numbers of {shown(kind)}; {remedy}"
        )
    if count == 0:
        return np.zeros(0, dtype=kind)  # an empty file cannot be mapped
    # A plain view of the map: slicing a memmap object itself costs several times as much.
    return np.asarray(np.memmap(path, dtype=kind, mode="r", shape=(count,)))


def _integer(index: dict[str, object], name: str) -> int:
    value = index.get(name)
    return value if isinstance(value, int) else 0
