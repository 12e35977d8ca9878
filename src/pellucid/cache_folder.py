"""The user's cache folder: what pellucid computed on this machine and can compute again, never a user's work.

``PELLUCID_CACHE`` names another folder; else it is ``pellucid`` in ``XDG_CACHE_HOME`` or in ``~/.cache``. The folder
belongs to the user alone, since code that was compiled into it is executed: one that others may write to is not used.
Read ``config/`` next.
"""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the folder, made if it is missing; one for this process alone where the usual one cannot be used."""
    named = os.environ.get("PELLUCID_CACHE")
    parent = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(named) if named else Path(parent) / "pellucid"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return _folder_of_this_process()
    is_own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    is_private = not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if is_own and is_private and os.access(folder, os.W_OK) else _folder_of_this_process()


@cache
def _folder_of_this_process() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="pellucid-")
    _kept.append(folder)
    return Path(folder.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []
