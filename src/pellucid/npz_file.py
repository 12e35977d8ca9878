"""Read the arrays of a stranger's .npz one at a time, within bounds and without unpickling.

An .npz is a zip archive of .npy files; each begins with its shape and number format. The sizes in the archive's list
are bounded, and each array's head is compared with them, before memory is allocated. Read ``bundle.py`` next.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import BundleError, counted
from pellucid.untrusted import refuse_zip

__all__ = ["NpzFile", "open_npz"]

_MOST_ENTRIES: Final = 1 << 14
_LARGEST_HEAD: Final = 1 << 12
# NumPy's own parser gives a damaged head to Python's tokenizer, which warns and raises errors of any kind.
_HEAD: Final = re.compile(
    rb"\s*\{'descr': '([<>|=][a-zA-Z][0-9]{1,3})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}(?:, ?|(?=\))))*)\),? ?\}\s*"
)
_DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # an entry with a password
    NotImplementedError,
    ValueError,
    TypeError,  # an unknown number format
    OverflowError,
    MemoryError,
)


class NpzFile:
    """An open archive whose list has been checked. ``names`` are those of the arrays, without ``.npy``."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> None:
        self.path = path
        self._archive = archive
        self._entries = {entry.filename.removesuffix(".npy"): entry for entry in entries}
        self.names: tuple[str, ...] = tuple(self._entries)

    def small_bytes(self, name: str, *, most: int) -> bytes:
        """Return an array of single bytes, such as a text, as bytes.

        Raises:
            BundleError: no array has this name, or it is larger or of another format.
        """
        if name not in self._entries:
            raise BundleError(f"{self.path}: holds no array {name!r}; name another .npz")
        with self._entry(name) as (file, shape, dtype, _):
            if dtype.itemsize != 1 or dtype.kind not in "iuS" or math.prod(shape) > most:
                raise BundleError(
                    f"{self.path}: {name} is {dtype} {list(shape)}, and must be a text of at most {most:,} bytes"
                )
            return _exactly(file, math.prod(shape))

    def shapes(self, *, without: frozenset[str] = frozenset()) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return the shape and number format in each array's head."""
        found = {}
        for name in self.names:
            if name not in without:
                with self._entry(name) as (_, shape, dtype, _):
                    found[name] = (shape, dtype.str)
        return found

    def array(self, name: str) -> NDArray[np.generic]:
        """Return an array as it is stored; it cannot be written to.

        Raises:
            BundleError: no array has this name, it is damaged, or there is not enough memory for it.
        """
        if name not in self._entries:
            raise BundleError(f"{self.path}: holds no array {name!r}")
        with self._entry(name) as (file, shape, dtype, is_fortran):
            raw = _exactly(file, math.prod(shape) * dtype.itemsize)
            return np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")

    @contextmanager
    def _entry(self, name: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype[np.generic], bool]]:
        """Open an array after its head; errors of any kind name the array."""
        entry = self._entries[name]
        try:
            with self._archive.open(entry) as file:
                shape, is_fortran, dtype = _head(file)
                held = entry.file_size - file.tell()
                if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held:
                    raise ValueError(f"{dtype} {list(shape)} does not take {counted(held, 'byte')}")
                yield file, shape, dtype, is_fortran
        except BundleError:
            raise
        except MemoryError:
            raise BundleError(
                f"{self.path}: there is not enough memory for {name}, which has {counted(entry.file_size, 'byte')}"
            ) from None
        except _DAMAGE as error:
            raise BundleError(f"{self.path}: {name} cannot be read ({_message(error)}); fetch the file again") from None


@contextmanager
def open_npz(path: Path, *, most_bytes: int, most_ratio: int) -> Iterator[NpzFile]:
    """Open an archive and check its list.

    Args:
        path: of the file.
        most_bytes: limit on the bytes of all arrays together.
        most_ratio: limit on the same as a multiple of the file's bytes.

    Raises:
        BundleError: it is not a sound zip archive, exceeds a limit, or has entries that no .npz has.
    """
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise BundleError(f"{path}: cannot be read: No such file or directory") from None
    except _DAMAGE as error:
        raise BundleError(f"{path}: is not an .npz file ({_message(error)}); fetch it again") from None
    with archive:
        entries = archive.infolist()
        try:
            refuse_zip(
                entries,
                path.stat().st_size,
                most_members=_MOST_ENTRIES,
                most_bytes=most_bytes,
                most_ratio=most_ratio,
            )
            _refuse_names(entries)
        except ValueError as error:
            raise BundleError(f"{path}: is not a supported .npz file: {error}") from None
        yield NpzFile(path, archive, entries)


def _refuse_names(entries: list[zipfile.ZipInfo]) -> None:
    for entry in entries:
        if not entry.filename.endswith(".npy"):
            raise ValueError(f"{entry.filename[:60]!r} is not an .npy file")
    if len({entry.filename for entry in entries}) != len(entries):
        raise ValueError("it repeats a name")


def _head(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Read the head of a .npy: magic, version, length, and a table that is matched and never evaluated."""
    start = file.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:7] not in (b"\1", b"\2", b"\3"):
        raise ValueError("it is not an .npy file")
    length = int.from_bytes(file.read(2 if start[6] == 1 else 4), "little")
    if length > _LARGEST_HEAD:
        raise ValueError(f"its head has {counted(length, 'byte')}, limit {_LARGEST_HEAD:,}")
    match = _HEAD.fullmatch(file.read(length))
    if match is None:
        raise ValueError("NumPy does not write such a head")
    shape = tuple(int(size) for size in match[3].replace(b",", b" ").split())
    return shape, match[2] == b"True", np.dtype(match[1].decode("ascii"))


def _exactly(file: IO[bytes], count: int) -> bytes:
    raw = file.read(count)
    # The checksum is compared when the last byte has been read.
    if len(raw) != count or file.read(1):
        raise EOFError("it is too short or too long")
    return raw


def _message(error: BaseException) -> str:
    return (str(error).strip().partition("\n")[0] or type(error).__name__)[:120]
