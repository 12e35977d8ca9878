"""Write ``metrics.jsonl``: one JSON object per line, appended during the run.

Every line has a ``kind``: ``step``, ``validation``, ``rollback`` or ``message``. A checkpoint stores the
length of the file; a run that continues from it cuts off the rest, so no step occurs twice.
Read ``probes.py`` next.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pellucid.durable import open_to_append, refuse_full_disk

__all__ = ["Journal", "NoJournal"]

_FSYNC_SECONDS = 10.0
_TAIL_BYTES = 1 << 16


class Journal:
    """The metrics file of a run, open for appending.

    Lines stay in memory until ``cut`` has set the end of the file; from then on they are written.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = open_to_append(path)
        self._waiting: list[bytes] | None = []
        self._last_fsync = time.monotonic()

    def append(self, kind: str, fields: Mapping[str, object]) -> None:
        """Append a line. Numbers that are not finite become strings, since JSON does not support them.

        Raises:
            StoppedError: the disk is full.
        """
        content = {"kind": kind, **{name: _plain(value) for name, value in fields.items()}}
        line = json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace") + b"\n"
        if self._waiting is not None:
            self._waiting.append(line)
            return
        with refuse_full_disk(self.path, needed_bytes=len(line)):
            self._file.write(line)
        if time.monotonic() - self._last_fsync > _FSYNC_SECONDS:
            self.flush()

    def flush(self) -> int:
        """Write everything to the disk and return the length in bytes.

        Raises:
            StoppedError: the disk is full.
        """
        with refuse_full_disk(self.path, needed_bytes=0):
            self._file.flush()
            os.fsync(self._file.fileno())
        self._last_fsync = time.monotonic()
        return self._file.tell()

    def last(self, kind: str) -> dict[str, object] | None:
        """Return the last line of this kind if it is within the last 64 KiB of the file."""
        self._file.flush()
        with self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().splitlines()
        for line in reversed(lines):
            # Only the first of these lines can be incomplete.
            fields = json.loads(line) if line.startswith(b"{") else {}
            if fields.get("kind") == kind:
                return dict(fields)
        return None

    def cut(self, keep_bytes: int) -> int:
        """Cut the file to ``keep_bytes``, and return how many bytes it is shorter than that."""
        self._file.flush()
        size = self._file.seek(0, os.SEEK_END)
        # If the file is shorter, its last line may be incomplete.
        keep = keep_bytes if size >= keep_bytes else self.path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(keep)
        self._file.seek(0, os.SEEK_END)
        waiting, self._waiting = self._waiting or [], None
        self._file.write(b"".join(waiting))
        return max(0, keep_bytes - size)

    def close(self) -> None:
        """Write everything and close the file.

        Raises:
            StoppedError: the disk is full.
        """
        with refuse_full_disk(self.path, needed_bytes=0):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class NoJournal(Journal):
    """The journal of a process that writes none, because the first process does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kind: str, fields: Mapping[str, object]) -> None:
        """Do nothing."""

    def flush(self) -> int:
        """Return 0."""
        return 0

    def last(self, kind: str) -> dict[str, object] | None:
        """Return None."""
        return None

    def cut(self, keep_bytes: int) -> int:
        """Return 0."""
        return 0

    def close(self) -> None:
        """Do nothing."""


def _plain(value: object) -> object:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value
