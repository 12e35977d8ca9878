"""Read and write text files that may be compressed with gzip, bzip2, xz or Zstandard.

For a file that is read the first bytes decide, not the name; for one that is written, the end of its name.

pellucid reads every text file through this module, so all inputs support the same formats and report damage in the
same words. Read ``lines.py`` next.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from pellucid.errors import ConfigError, DataError

__all__ = [
    "NO_COMPRESSION",
    "Opened",
    "Packer",
    "open_compressed",
    "packer_of",
    "refuse_packed_stream",
    "telling_damage",
]

NO_COMPRESSION: Final = "none"
_MAGIC_BYTES: Final = 10
_ZSTANDARD: Final = "zstd"
_TO_INSTALL: Final = "pip install backports.zstd"
_REFUSED: Final = frozenset({".7z", ".br", ".lz", ".lz4", ".lzma", ".rar", ".tar", ".tgz", ".z", ".zip"})
_WRITTEN: Final = ".gz, .xz, .bz2 and .zst"

Packer = Callable[[BinaryIO], BinaryIO]
"""Wrap the stream of a file in one that compresses; closing the wrapper leaves the file open."""


@dataclass(frozen=True)
class _Format:
    """A compression format. ``open`` is None for a format that pellucid recognises but cannot read."""

    name: str
    magic: re.Pattern[bytes]
    unpack: str
    """The command that writes the plain text to standard output."""
    suffix: str = ""
    open: Callable[[Path], Any] | None = None


def _open_zstandard(path: Path) -> Any:
    module = _zstandard()
    if module is None:
        raise DataError(
            f"{path}: is compressed with {_ZSTANDARD}, which this Python cannot read; {_TO_INSTALL}, or unpack the "
            "file (zstd -d)"
        )
    return module.ZstdFile(path)


def _zstandard() -> Any:
    """Return the module of Python 3.14, its backport, or None."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _magic(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


_FORMATS: Final = (
    _Format("gzip", _magic(rb"\x1f\x8b"), "gunzip -c", ".gz", gzip.GzipFile),
    # "BZh" alone could be text. After it come the digits of pi, or of its square root if the file is empty.
    _Format(
        "bzip2",
        _magic(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)"),
        "bunzip2 -c",
        ".bz2",
        bz2.BZ2File,
    ),
    _Format("xz", _magic(rb"\xfd7zXZ\x00"), "unxz -c", ".xz", lzma.LZMAFile),
    # The second form is a skippable frame, which parallel compressors write first.
    _Format(_ZSTANDARD, _magic(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), "zstd -dc", ".zst", _open_zstandard),
    _Format("ZIP", _magic(rb"PK\x03\x04"), "unzip -p"),
    _Format("7-Zip", _magic(rb"7z\xbc\xaf\x27\x1c"), "7z x -so"),
    _Format("LZ4", _magic(rb"\x04\x22\x4d\x18"), "lz4 -dc"),
    _Format("lzip", _magic(rb"LZIP[\x00\x01]"), "lzip -dc"),
    _Format("compress", _magic(rb"\x1f\x9d"), "uncompress -c"),
)


@dataclass(frozen=True)
class Opened:
    """A stream of plain bytes, and the compression of the file or ``NO_COMPRESSION``."""

    stream: BinaryIO
    compression: str


def open_compressed(path: Path) -> Opened:
    """Open a file to read its plain bytes; a pipe or device is not decompressed.

    Raises:
        DataError: the compression is not supported, or the content does not match the suffix.
        OSError: the file cannot be opened.
    """
    found, magic = None, b""
    if path.is_file():  # reading a pipe consumes its bytes
        with path.open("rb") as stream:
            magic = stream.read(_MAGIC_BYTES)
        found = _format_of(magic)
    if found is None:
        _refuse_misnamed(path, magic)
        return Opened(path.open("rb"), NO_COMPRESSION)
    if found.open is None:
        raise DataError(f"{path}: is compressed with {found.name}, which is not supported; unpack it ({found.unpack})")
    return Opened(cast(BinaryIO, found.open(path)), found.name)


def refuse_packed_stream(name: str, first: bytes) -> None:
    """Refuse compressed data in a stream such as standard input.

    Raises:
        DataError: ``first`` are the first bytes of a compressed format.
    """
    if (found := _format_of(first)) is not None:
        raise DataError(
            f"{name}: is compressed with {found.name}; unpack it first ({found.unpack}), or name a regular file"
        )


@contextmanager
def telling_damage(name: str | Path, compression: Callable[[], str], *, lines: Callable[[], int]) -> Iterator[None]:
    """Turn errors of reading into a ``DataError``.

    Args:
        name: the name of the file or stream in messages.
        compression: returns the compression of ``Opened``, which is only known when the file is open.
        lines: returns the number of lines before the damage.

    Raises:
        DataError: the compressed data ends too early or is damaged, or the file cannot be read.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        if (kind := compression()) != NO_COMPRESSION and _is_damage(error):
            raise DataError(
                f"{name}: the {kind} data is truncated or damaged after line {lines():,} ({error}); fetch or "
                "compress the file again"
            ) from None
        if isinstance(error, OSError):
            raise DataError(f"{name}: cannot be read: {error.strerror or error}") from None
        raise


def _is_damage(error: Exception) -> bool:
    if isinstance(error, OSError):  # bzip2 and gzip raise it without an error number
        return error.errno is None
    zstandard = _zstandard()
    errors: tuple[type[Exception], ...] = (EOFError, zlib.error, lzma.LZMAError)
    return isinstance(error, errors if zstandard is None else (*errors, zstandard.ZstdError))


def _format_of(first: bytes) -> _Format | None:
    return next((one for one in _FORMATS if one.magic.match(first)), None)


def _refuse_misnamed(path: Path, magic: bytes) -> None:
    promised = next((one for one in _FORMATS if one.suffix and path.suffix == one.suffix), None)
    if magic and promised is not None:
        raise DataError(
            f"{path}: is named {promised.suffix} but does not contain {promised.name} data; rename it if it is plain "
            "text, or fetch it again"
        )


def packer_of(output: Path) -> Packer | None:
    """Return the function that compresses a file of this name, or None for plain text.

    Raises:
        ConfigError: the ending names a compression or an archive that is not supported, or its library is missing.
    """
    suffix = output.suffix.lower()
    if suffix == ".zst":
        return _zstandard_of(output)
    if suffix in _REFUSED:
        raise ConfigError(
            f"{output}: cannot write {suffix} files; name a plain text file, or one that ends with {_WRITTEN}"
        )
    return {".gz": _gzip, ".xz": _xz, ".bz2": _bzip2}.get(suffix)


def _gzip(file: BinaryIO) -> BinaryIO:
    # No time and no file name in the header, so that the same text gives the same bytes.
    return cast(BinaryIO, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))


def _xz(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, lzma.LZMAFile(file, "wb"))


def _bzip2(file: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, bz2.BZ2File(file, "wb"))


def _zstandard_of(output: Path) -> Packer:
    module = _zstandard()
    if module is None:
        raise ConfigError(
            f"{output}: this Python cannot write .zst files; {_TO_INSTALL}, or write a .gz, .xz or .bz2 file"
        )
    return lambda file: cast(BinaryIO, module.ZstdFile(file, "wb"))
