"""Token ids on disk, memory-mapped, so that a corpus can be larger than memory.

A store is a folder: ``source.ids`` and ``target.ids`` (16 bits if every id is below 65,536, otherwise 32 bits),
``*.offsets`` (64 bits, one more than rows: row i is ids[offsets[i] : offsets[i + 1]]), ``line`` and ``corpus`` of each
row, ``digests`` of the texts of each row, and ``index.json``, which describes the other files and is written last. All
numbers are little-endian. A store is derived from the corpora, so one that does not match them is written again; by the
digests, the new one copies the rows that did not change (``storing/reuse.py``). Read ``batching.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import compress, islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pellucid.durable import DISK, sha256_of, shortage_of
from pellucid.errors import DataError, StoppedError, counted
from pellucid.text.corpus import SentencePair
from pellucid.text.storing.cutting import CutPairs
from pellucid.text.storing.reuse import DIGEST, Digests, EarlierRows, cut_new, cutter
from pellucid.text.tokenizer import Tokenizer
from pellucid.text.unknown import UnknownCounter, UnknownPieces
from pellucid.untrusted import parse_json, read_at_most, shown

__all__ = ["TokenStore", "write_store"]

FORMAT_VERSION: Final = 1
INDEX_FILE: Final = "index.json"
DIGESTS_FILE: Final = "digests"
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
        self.source_lengths = _lengths(self._source_offsets)
        """Source pieces of each row, without specials; int32 [rows]."""
        self.target_lengths = _lengths(self._target_offsets)
        """Target pieces of each row, without specials; int32 [rows]."""
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
            if (
                ends != (0, len(columns[f"{side}.ids"]))
                or len(offsets) != rows + 1
                or (offsets[1:] < offsets[:-1]).any()
            ):
                raise _damage(folder, f"{side}.offsets has rows outside {side}.ids")
        if len(columns["corpus"]) != rows:
            raise _damage(folder, f"corpus has {counted(len(columns['corpus']), 'row')} and line has {rows}")
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

    def rows_for(self, tokenizer: Tokenizer) -> EarlierRows | None:
        """Return the rows for ``write_store`` to copy; None if another tokenizer or another release cut them.

        Raises:
            DataError: a file is damaged.
        """
        made = (self.index.get("tokenizer"), self.index.get("cut_by"))
        if made != (tokenizer.fingerprint, cutter()):
            return None
        self.verify(source_vocab_size=tokenizer.source_vocab_size, target_vocab_size=tokenizer.target_vocab_size)
        digests = np.memmap(self.folder / DIGESTS_FILE, dtype=DIGEST, mode="r")
        return EarlierRows(np.asarray(digests), source=self.source, target=self.target)

    def verify(self, *, source_vocab_size: int, target_vocab_size: int) -> None:
        """Check the digest of every file, and that every id is in the vocabulary.

        Raises:
            DataError: a file is damaged, or an id is not in the vocabulary.
        """
        table = self.index.get("columns")
        sums = {name: table[name]["sha256"] if isinstance(table, dict) else None for name in _TYPES}
        if DIGESTS_FILE in self.index:  # an older store has none
            sums[DIGESTS_FILE] = self.index[DIGESTS_FILE]
        for name, stated in sums.items():
            if not (self.folder / name).is_file() or sha256_of(self.folder / name) != stated:
                raise _damage(self.folder, f"{name} has another SHA-256 than {INDEX_FILE} records")
        for name, ids, size in (
            ("source.ids", self.source_ids, source_vocab_size),
            ("target.ids", self.target_ids, target_vocab_size),
        ):
            most = int(ids.max()) if len(ids) else -1
            if most >= size:
                raise _damage(self.folder, f"{name} has the id {most}, and the vocabulary has {counted(size, 'piece')}")


def write_store(
    folder: Path,
    pairs: Iterable[SentencePair],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    processes: int = 1,
    earlier: EarlierRows | None = None,
    progress: Callable[[int], None] | None = None,
) -> TokenStore:
    """Encode pairs into a new store, which replaces an older one in one step.

    The store has the same bytes whatever the number of processes, and with or without an earlier store.

    Args:
        folder: the place of the store; its parent is created.
        pairs: read once, in chunks of some thousands.
        tokenizer: encodes both sides.
        max_length: limit of tokens for each side, end of sentence included; longer pairs are skipped and counted.
        processes: number of processes that encode; with 1, this process does.
        earlier: rows of another store, by ``TokenStore.rows_for`` and this tokenizer; they are copied.
        progress: called with the number of pairs since the last call.

    Raises:
        DataError: no pair is left, or a process ended.
        StoppedError: the disk is full; an older store is intact.
    """
    beside = folder.with_name(f".{folder.name}.writing")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        DISK.remove(beside)  # of a killed run
        beside.mkdir()
        with (
            closing(_Writer(beside, tokenizer, max_length)) as writer,
            closing(
                cut_new(
                    _chunks(pairs, CHUNK_PAIRS), tokenizer, most=max_length - 1, processes=processes, earlier=earlier
                )
            ) as ready,
        ):
            for chunk, digests, found in ready:
                writer.add(chunk, digests, found)
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
        self.files = {name: (folder / name).open("wb") for name in (*_TYPES, DIGESTS_FILE)}
        self.digests = {name: hashlib.sha256() for name in self.files}
        self.counts = dict.fromkeys(_TYPES, 0)
        encoders = (tokenizer.encode_source, tokenizer.encode_target)
        self.unknown = [
            UnknownCounter(side, encode, unk=tokenizer.specials.unk)
            for side, encode in zip(_SIDES, encoders, strict=True)
        ]
        for side in _SIDES:
            self._write(f"{side}.offsets", [0])

    def add(self, pairs: Sequence[SentencePair], digests: Digests, found: CutPairs) -> None:
        kept = list(compress(pairs, found.fits.tolist()))
        for name, side, counter in zip(_SIDES, found.sides, self.unknown, strict=True):
            ends = np.cumsum(side.lengths, dtype=np.int64)
            counter.see([getattr(pair, name) for pair in kept], side.ids, ends)
            self._write(f"{name}.offsets", self.counts[f"{name}.ids"] + ends)
            self._write(f"{name}.ids", side.ids)
        self._write("line", [pair.line for pair in kept])
        self._write("corpus", [pair.corpus for pair in kept])
        self._append(DIGESTS_FILE, digests[found.fits].tobytes())
        self.rows += len(kept)
        self.left_out += len(pairs) - len(kept)

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
            "cut_by": cutter(),
            DIGESTS_FILE: self.digests[DIGESTS_FILE].hexdigest(),
            "columns": columns,
            "fingerprint": hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest(),
        }
        DISK.write(self.folder / INDEX_FILE, json.dumps(index, indent=2).encode())
        DISK.sync(self.folder)

    def close(self) -> None:
        for stream in self.files.values():
            with suppress(OSError):  # on a full disk closing fails too; the first error is reported
                stream.close()

    def _write(self, name: str, values: Sequence[int] | NDArray[np.integer]) -> None:
        self._append(name, np.asarray(values, dtype=self.types[name]).tobytes())
        self.counts[name] += len(values)

    def _append(self, name: str, raw: bytes) -> None:
        self.files[name].write(raw)
        self.digests[name].update(raw)


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
            folder,
            f"{name} has {counted(size, 'byte')}, and {INDEX_FILE} records {shown(count)} times the type {shown(kind)}",
        )
    if count == 0:
        return np.zeros(0, dtype=kind)  # an empty file cannot be mapped
    # A plain array over the map: slicing a memmap object takes several times as long.
    return np.asarray(np.memmap(path, dtype=kind, mode="r", shape=(count,)))


def _lengths(offsets: NDArray[np.integer]) -> NDArray[np.int32]:
    found = np.empty(len(offsets) - 1, dtype=np.int32)
    np.subtract(offsets[1:], offsets[:-1], out=found, casting="unsafe")  # without an array of 64 bits in between
    return found


def _damage(folder: Path, problem: str) -> DataError:
    return DataError(f"{folder}: the token store is damaged: {problem}; remove the folder and prepare the text again")


def _integer(index: dict[str, object], name: str) -> int:
    value = index.get(name)
    return value if isinstance(value, int) else 0
