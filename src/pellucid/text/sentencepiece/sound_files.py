"""Remember which SentencePiece files are sound, so that each is opened in a child once on a machine.

A file is known by the SHA-256 of its bytes and by the version of SentencePiece that opened it. What was found in this
process is kept in memory; what was ever found here, as a line a file in ``sound-segmenters`` of the user's cache
folder. Where there is no such folder, or it cannot be written to, a new process asks again and nothing else changes.
Read ``foreign_segmenter.py`` next.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

import sentencepiece

from pellucid.durable import cache_folder

__all__ = ["is_known_sound", "remember_sound"]

_FILE: Final = "sound-segmenters"
_LARGEST_FILE_BYTES: Final = 1 << 16
_MOST_IN_MEMORY: Final = 1024
_in_memory: dict[str, None] = {}


def is_known_sound(model: bytes) -> bool:
    """Tell whether these bytes were trained here, or went through a child without harm."""
    line = _line(model)
    return line in _in_memory or line in _on_disk()


def remember_sound(model: bytes) -> None:
    """Note that SentencePiece itself wrote these bytes here, or opened them in a child without harm."""
    line = _line(model)
    while len(_in_memory) >= _MOST_IN_MEMORY:
        _in_memory.pop(next(iter(_in_memory)), None)
    _in_memory[line] = None
    folder = cache_folder()
    if folder is None or line in _on_disk():
        return
    path = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _LARGEST_FILE_BYTES:
            path.unlink()
        # One write in append mode: lines of processes that write at the same time do not mix.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, f"{line}\n".encode("ascii"))
        finally:
            os.close(handle)
    except OSError:
        return  # the next process opens a child again


def _on_disk() -> frozenset[str]:
    folder = cache_folder()
    if folder is None:
        return frozenset()
    try:
        with (folder / _FILE).open(encoding="ascii", errors="replace") as file:
            return frozenset(file.read(2 * _LARGEST_FILE_BYTES).splitlines())
    except OSError:
        return frozenset()


def _line(model: bytes) -> str:
    return f"{sentencepiece.__version__} {hashlib.sha256(model).hexdigest()}"
