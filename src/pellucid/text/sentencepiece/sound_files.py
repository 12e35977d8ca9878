"""Remember which SentencePiece files are safe to open, so that each is opened in a child only once on a machine.

The key of a file is the SHA-256 of its bytes with the version of SentencePiece. Keys are kept in memory, and as lines
of ``sound-segmenters`` in the user's cache folder. Without a writable cache folder, each new process opens the file in
a child again; nothing else changes. Read ``foreign.py`` next.
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
    """Return whether these bytes were trained here, or a child opened them without error."""
    line = _line(model)
    return line in _in_memory or line in _on_disk()


def remember_sound(model: bytes) -> None:
    """Record that these bytes were trained here, or that a child opened them without error."""
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
        # One write in append mode, so that lines of simultaneous processes do not mix.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.write(handle, f"{line}\n".encode("ascii"))
        finally:
            os.close(handle)
    except OSError:
        return  # the next process starts a child again


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
