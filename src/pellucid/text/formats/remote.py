"""Files at addresses such as ``s3://bucket/corpus/*.jsonl``: each is copied to this machine and read there.

The library fsspec knows the protocols. Text is read several times, so a copy is kept in the cache folder, and taken
again only if the file at the address changed. Read ``naming.py`` next.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pellucid.durable import DISK, cache_folder, draft_of, shortage_of
from pellucid.errors import DataError, counted

__all__ = ["address_in", "copies_of", "kept_place", "send"]

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+(?:::[A-Za-z][A-Za-z0-9+.-]+)*):/+(?=[^/])")
_BLOCK_BYTES: Final = 4 << 20
_FOLDER: Final = "copies"
_OF_THIS_MACHINE: Final = ("file", "local")


def address_in(name: str | Path) -> str | None:
    """Return the address that a name is, or None for a file of this machine.

    A path has ``s3:/bucket`` for ``s3://bucket``, which is the address unless there is a folder ``s3:``.
    """
    text = str(name)
    found = _ADDRESS.match(text)
    if found is None or Path(f"{found[1]}:").exists():
        return None
    root = "/" if found[1] in _OF_THIS_MACHINE else ""
    return f"{found[1]}://{root}{text[found.end() :]}"


def copies_of(address: str) -> list[Path]:
    """Return copies of the files that an address or a pattern stands for, sorted by their names.

    Raises:
        DataError: fsspec or the package of the protocol is not installed, there is no such file, or it cannot be read.
    """
    system, path = _system_of(address)
    try:
        if not set("*?[") & set(path):
            if system.isdir(path):
                raise DataError(f"{address}: is a folder; name files in it by a pattern, such as {address}/*.jsonl")
            return [_copy(system, path, address)]
        names = [name for name in sorted(system.glob(path)) if not system.isdir(name)]
        if not names:
            raise DataError(f"{address}: no file matches this pattern")
        return [_copy(system, name, address) for name in names]
    except FileNotFoundError:
        raise DataError(f"{address}: no such file") from None
    except DataError:
        raise
    except Exception as error:  # each protocol has errors of its own
        if isinstance(error, OSError) and shortage_of(error):  # of the disk that gets the copy
            raise
        raise DataError(_unreadable(address, error)) from None


def kept_place(address: str) -> Path:
    """Return where the file of an address is kept on this machine; the folder exists afterwards.

    Raises:
        DataError: there is no cache folder.
    """
    cache = cache_folder()
    if cache is None:
        raise DataError(f"{address}: there is no home folder to keep a copy in; set PELLUCID_CACHE to a folder")
    parent, _, name = address.rpartition("/")
    folder = cache / _FOLDER / hashlib.sha256(parent.encode()).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def send(file: Path, address: str) -> None:
    """Copy a file to an address.

    Raises:
        DataError: it cannot be written there.
    """
    system, path = _system_of(address)
    try:
        system.put_file(str(file), path)
    except Exception as error:  # each protocol has errors of its own
        raise DataError(
            f"{address}: cannot be written: {type(error).__name__}: {str(error)[:300]}; the result is in {file}, and "
            "the same command sends it again"
        ) from None


def _system_of(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise DataError(
            f"{address}: addresses need fsspec, which is not installed; pip install 'pellucid[remote]'"
        ) from None
    try:
        system, path = url_to_fs(address)
    except (ImportError, ValueError) as error:  # the package of a protocol is missing, or no protocol has this name
        raise DataError(f"{address}: cannot be opened: {error}") from None
    return system, path


def _copy(system: Any, path: str, address: str) -> Path:
    """Copy a file unless it is the one that was copied before.

    Several processes may do this at once: each writes a draft of its own, and a reader keeps the file that it opened.
    """
    place = kept_place(f"{address.partition('://')[0]}://{path.lstrip('/')}")
    stamp = place.with_name(f".{place.name}.state")
    size, state = _state_of(system, path)
    if place.is_file() and stamp.is_file() and stamp.read_text() == state:
        return place
    DISK.remove(stamp)
    with draft_of(place, may_replace=True) as draft:
        with system.open(path, "rb") as stream:
            DISK.write(draft, _blocks(stream.read, address))
        copied = draft.stat().st_size
        if size is not None and copied != size:  # a connection that ends early can look like the end of the file
            raise DataError(
                f"{address}: {counted(copied, 'byte')} of {size:,} arrived; give the same command again, and the file "
                "is fetched again"
            )
        system.invalidate_cache()
        if _state_of(system, path)[1] != state:
            raise DataError(f"{address}: was changed while it was copied; give the same command again")
    with draft_of(stamp, may_replace=True) as draft:
        DISK.write(draft, state.encode())
    return place


def _state_of(system: Any, path: str) -> tuple[int | None, str]:
    """Return the size of a file, None if it is not known, and what changes with its content."""
    size = system.size(path)
    return size, json.dumps([size, str(system.ukey(path))])


def _blocks(read: Callable[[int], bytes], address: str) -> Iterator[bytes]:
    while True:
        try:
            block = read(_BLOCK_BYTES)
        except Exception as error:  # before it looks like an error of the draft that is written
            raise DataError(_unreadable(address, error)) from None
        if not block:
            return
        yield block


def _unreadable(address: str, error: Exception) -> str:
    return f"{address}: cannot be read: {type(error).__name__}: {str(error)[:300]}"
