"""The cache folder of the user, where engines keep what they compile and prepare. Read ``native/library.py`` next."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
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


def private_cache() -> Path:
    """Return the user's cache folder, made if it is missing; or one for this process alone.

    What is compiled into it is executed, and what is prepared in it is believed, so a folder that other users may write
    to is not used.
    """
    folder = cache_folder()
    if folder is not None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
        except OSError:
            return _folder_of_this_process()
        is_own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
        if is_own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and os.access(folder, os.W_OK):
            return folder
    return _folder_of_this_process()


@cache
def _folder_of_this_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="pellucid-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
