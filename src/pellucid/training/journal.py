"""``metrics.jsonl``: one JSON object a line, appended while the run goes on.

Every line has a ``kind``: ``step``, ``validation``, ``rollback`` or ``message``. A checkpoint
remembers how long the file was; a run that continues from it cuts the rest off, so no step stands
there twice. Read ``probes.py`` next.
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

    Lines wait in memory until ``cut`` has said where the file goes on, and are written from then on.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = open_to_append(path)
        self._waiting: list[bytes] | None = []
        self._last_fsync = time.monotonic()

    def append(self, kind: str, fields: Mapping[str, object]) -> None:
        """Add a line. Numbers that are not finite become strings, since JSON has none.

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
        """Wait until everything is on the disk and return the length in bytes.

        Raises:
            StoppedError: the disk is full.
        """
        with refuse_full_disk(self.path, needed_bytes=0):
            self._file.flush()
            os.fsync(self._file.fileno())
        self._last_fsync = time.monotonic()
        return self._file.tell()

    def last(self, kind: str) -> dict[str, object] | None:
        """Return the last line of that kind that is on the disk, if it is one of the last few."""
        self._file.flush()
        with self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().splitlines()
        for line in reversed(lines):
            # Only the first of these lines can be cut in two.
            fields = json.loads(line) if line.startswith(b"{") else {}
            if fields.get("kind") == kind:
                return dict(fields)
        return None

    def cut(self, keep_bytes: int) -> int:
        """Cut everything after ``keep_bytes`` off, and return how many of them were not there."""
        self._file.flush()
        size = self._file.seek(0, os.SEEK_END)
        # In a file that is shorter than it was, the last line may be torn.
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
    """The journal of a process that keeps none, because another one does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kind: str, fields: Mapping[str, object]) -> None:
        """Ignore."""

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
