"""Compress an output file; the end of its name decides how.

Read ``line_files.py`` next.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from pellucid.errors import ConfigError

__all__ = ["Packer", "packer_of"]

Packer = Callable[[BinaryIO], BinaryIO]
"""Wrap the stream of a file in one that compresses; closing the wrapper leaves the file open."""

_REFUSED: Final = frozenset({".7z", ".br", ".lz", ".lz4", ".lzma", ".rar", ".tar", ".tgz", ".z", ".zip"})
_WRITTEN: Final = ".gz, .xz, .bz2 and .zst"


def packer_of(output: Path) -> Packer | None:
    """Return the function that compresses a file of this name, or None for plain text.

    Raises:
        ConfigError: the ending names a compression or an archive that is not supported, or its library is missing.
    """
    suffix = output.suffix.lower()
    if suffix == ".zst":
        return _zstandard(output)
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


def _zstandard(output: Path) -> Packer:
    for name in ("compression.zstd", "zstandard"):  # in Python 3.14, and the package for earlier versions
        try:
            library: Any = importlib.import_module(name)
        except ImportError:
            continue
        return lambda file: cast(BinaryIO, library.open(file, "wb"))
    raise ConfigError(
        f"{output}: .zst needs the package zstandard before Python 3.14 (pip install zstandard); "
        "install it, or name a file that ends with .gz, .xz or .bz2"
    )
