"""The cache folder of the user, where engines keep what they compile and prepare. Read ``compiler.py`` next."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from pellucid.durable import cache_folder

__all__ = ["alone", "private_cache"]


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold what makes a file of the cache folder alone; other processes that want the same file wait."""
    with path.with_name(f".{path.name}.lock").open("wb") as lock:
        # Where the file system has no locks, two may do the same work.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def private_cache(say: Callable[[str], None] = lambda text: None) -> Path:
    """Return the user's cache folder, made if it is missing; or one for this process alone, and say why.

    What is compiled into it is executed, and what is prepared in it is believed, so a folder that other users may write
    to is not used.
    """
    folder = cache_folder()
    if folder is None:
        return _folder_of_this_process(say, "there is no home folder for a cache; set PELLUCID_CACHE to a folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        return _folder_of_this_process(say, f"the cache folder {folder} cannot be used ({error.strerror})")
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        return _folder_of_this_process(say, f"the cache folder {folder} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return _folder_of_this_process(say, f"other users may write to the cache folder {folder}")
    if not os.access(folder, os.W_OK):
        return _folder_of_this_process(say, f"the cache folder {folder} is read-only")
    return folder


def _folder_of_this_process(say: Callable[[str], None], problem: str) -> Path:
    if not _temporary_folder.cache_info().currsize:
        say(f"{problem}, so what is compiled and prepared for this machine is made again at each start")
    return _temporary_folder()


@cache
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pellucid-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
