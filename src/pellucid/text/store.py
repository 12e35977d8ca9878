"""Token ids on disk, memory-mapped, so that a corpus can be larger than memory.

A store is a folder: ``source.ids`` and ``target.ids`` (16 bits if every id is below 65,536, otherwise 32 bits),
``*.offsets`` (64 bits, one more than rows: row i is ids[offsets[i] : offsets[i + 1]]), ``line`` and ``corpus`` of each
row, and ``index.json``, which describes the other files and is written last. All numbers are little-endian. A store
is derived from the corpora, so one that does not match them is written again. Read ``batching.py`` next.
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
_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "source.ids": ("<u2", "<u4"),
    "target.ids": ("<u2", "<u4"),
    "source.offsets": ("<i8",),
    "target.offsets": ("<i8",),
    "line": ("<i8",),
    "corpus": ("<u2",),
}


class TokenStore:
    """The rows of a store: the piece ids of both sides, without specials, and the place of the pair.

    ``write_store`` and ``TokenStore.open`` return one. Arrays are read-only memory maps.
    """

    def __init__(self, folder: Path, index: dict[str, object], columns: dict[str, NDArray[np.integer]]) -> None:
        self.folder = folder
        self.index = index
        self.source_ids, self.target_ids = columns["source.ids"], columns["target.ids"]
        """The piece ids of all rows, one after the other, without specials."""
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
        """The number of pairs with more than ``max_length`` tokens on a side, which are not in the store."""
        table = index.get("unknown")
        counts = table if isinstance(table, dict) else {}
        self.unknown = tuple(UnknownPieces.from_table(side, counts.get(side, {})) for side in _SIDES)
        """The unknown pieces of source and target."""
        self.fingerprint = str(index.get("fingerprint", ""))
        """Digest of the contents."""

    @staticmethod
    def open(folder: Path) -> TokenStore:
        """Open a store; check the sizes of its files, and that its rows lie within them.

        Raises:
            DataError: there is no store, or it is damaged or of another format.
        """
        try:
            index = parse_json(read_at_most(folder / INDEX_FILE, LARGEST_INDEX_BYTES))
        except OSError as error:
            raise _damage(folder, f"{INDEX_FILE} cannot be read ({error.strerror})") from None
        except ValueError:
            raise _damage(folder, f"{INDEX_FILE} is not JSON") from None
        if not isinstance(index, dict) or index.get("format_version") != FORMAT_VERSION or index.get("variants") != 1:
            raise _damage(folder, f"{INDEX_FILE} does not describe a token store of format {FORMAT_VERSION}")
        columns = {name: _map(folder, index, name) for name in _TYPES}
        rows = len(columns["line"])
        for side in ("source", "target"):
            offsets = columns[f"{side}.offsets"]
            ends = (int(offsets[0]), int(offsets[-1])) if len(offsets) else ()
            if ends != (0, len(columns[f"{side}.ids"])) or len(offsets) != rows + 1 or (np.diff(offsets) < 0).any():
                raise _damage(folder, f"{side}.offsets has rows outside {side}.ids")
        if len(columns["corpus"]) != rows:
            raise _damage(folder, f"corpus has {len(columns['corpus'])} rows and line has {rows}")
        return TokenStore(folder, index, columns)

    def __len__(self) -> int:
        return len(self.line)

    def pairs_of_corpora(self, count: int) -> list[int]:
        """Return the number of rows of each of the first ``count`` corpora."""
        found: list[int] = np.bincount(self.corpus, minlength=count)[:count].tolist()
        return found

    def source(self, row: int) -> NDArray[np.integer]:
        """Return the source piece ids of a row."""
        return self.source_ids[self._source_offsets[row] : self._source_offsets[row + 1]]

    def target(self, row: int) -> NDArray[np.integer]:
        """Return the target piece ids of a row."""
        return self.target_ids[self._target_offsets[row] : self._target_offsets[row + 1]]

    def verify(self, *, source_vocab_size: int, target_vocab_size: int) -> None:
        """Check the digest of every file, and that every id is in the vocabulary.

        Raises:
            DataError: a file is damaged, or an id is not in the vocabulary.
        """
        table = self.index.get("columns")
        for name in _TYPES:
            stated = table[name]["sha256"] if isinstance(table, dict) else None
            if sha256_of(self.folder / name) != stated:
                raise _damage(self.folder, f"{name} has another SHA-256 than {INDEX_FILE} records")
        for name, ids, size in (
            ("source.ids", self.source_ids, source_vocab_size),
            ("target.ids", self.target_ids, target_vocab_size),
        ):
            most = int(ids.max()) if len(ids) else -1
            if most >= size:
                raise _damage(self.folder, f"{name} has the id {most}, and the vocabulary has {size} pieces")


def write_store(
    folder: Path,
    pairs: Iterable[SentencePair],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    progress: Callable[[int], None] | None = None,
) -> TokenStore:
    """Encode pairs into a new store, which replaces an older one in one step.

    Args:
        folder: the place of the store; its parent is created.
        pairs: read once, in chunks of some thousands.
        tokenizer: encodes both sides.
        max_length: limit of tokens for each side, end of sentence included; longer pairs are skipped and counted.
        progress: called with the number of pairs since the last call.

    Raises:
        DataError: no pair is left.
        StoppedError: the disk is full; an older store is intact.
    """
    beside = folder.with_name(f".{folder.name}.writing")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        DISK.remove(beside)  # of a killed run
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
    """Appends to the files of a new store; only one chunk is in memory."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, max_length: int) -> None:
        self.folder = folder
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.rows = self.left_out = 0
        sizes = {"source": tokenizer.source_vocab_size, "target": tokenizer.target_vocab_size}
        needs_32_bits = {f"{side}.ids" for side, size in sizes.items() if size > IDS_BELOW_16_BITS}
        self.types = {name: types[name in needs_32_bits] for name, types in _TYPES.items()}
        self.files = {name: (folder / name).open("wb") for name in _TYPES}
        self.digests = {name: hashlib.sha256() for name in _TYPES}
        self.counts = dict.fromkeys(_TYPES, 0)
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
                f"no sentence pair is left: {self.left_out} have more than max_length = {self.max_length} tokens on a "
                "side; give more text, or raise training.max_length"
            )
        columns = {
            name: {"type": self.types[name], "count": self.counts[name], "sha256": self.digests[name].hexdigest()}
            for name in _TYPES
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
            with suppress(OSError):  # on a full disk closing fails too; the first error is reported
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
    # A kill between the two renames leaves no store; the next run writes it again.
    old = folder.with_name(f".{folder.name}.old")
    DISK.remove(old)
    if folder.exists():
        DISK.replace(folder, old)
    DISK.replace(beside, folder)
    DISK.remove(old)


def _map(folder: Path, index: dict[str, object], name: str) -> NDArray[np.integer]:
    path = folder / name
    try:
        column = index["columns"][name]  # type: ignore[index]
        kind, count = column["type"], column["count"]
        size = path.stat().st_size
    except (KeyError, TypeError):
        raise _damage(folder, f"{INDEX_FILE} does not describe {name}") from None
    except OSError as error:
        raise _damage(folder, f"{name} cannot be read ({error.strerror})") from None
    if kind not in _TYPES[name] or type(count) is not int or size != count * np.dtype(kind).itemsize:
        raise _damage(
            folder, f"{name} has {size} bytes, and {INDEX_FILE} records {shown(count)} numbers of type {shown(kind)}"
        )
    if count == 0:
        return np.zeros(0, dtype=kind)  # an empty file cannot be mapped
    # A plain array over the map: slicing a memmap object takes several times as long.
    return np.asarray(np.memmap(path, dtype=kind, mode="r", shape=(count,)))


def _damage(folder: Path, problem: str) -> DataError:
    return DataError(f"{folder}: the token store is damaged: {problem}; remove the folder and prepare the text again")


def _integer(index: dict[str, object], name: str) -> int:
    value = index.get(name)
    return value if isinstance(value, int) else 0
