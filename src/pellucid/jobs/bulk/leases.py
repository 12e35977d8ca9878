"""Who works on which part, where several processes share one folder of parts.

    part-000001.lease    who works on the part, a counter that grows while they live, and what happened before

A lease saves work, and nothing depends on it: two processes that run the same part write the same bytes. It is created
by a hard link, which is one step on network file systems too. No clock is compared with that of another machine: a
lease has expired when its counter did not change for ``patience`` seconds of the process that looks at it. Read
``together.py`` next.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["History", "Leases", "new_member"]

_BEATS: Final = 4
"""Beats of the counter within the patience."""


@dataclass(frozen=True)
class History:
    """What happened to a part before, as far as it can explain why processes ended."""

    ends: int = 0
    """How many processes ended without finishing the part."""
    line: int | None = None
    """Number in the file of the line that is being translated alone, from 1; None if lines are translated together."""
    suspects: Mapping[str, int] = field(default_factory=dict)
    """How many processes ended at a line that they translated alone, by its number."""

    def after_an_end(self) -> History:
        """Return the history after a process ended without finishing the part."""
        suspects = dict(self.suspects)
        if self.line is not None:
            suspects[str(self.line)] = suspects.get(str(self.line), 0) + 1
        return History(self.ends + 1, None, suspects)


@dataclass
class _Held:
    name: str
    beat: int
    history: History


class Leases:
    """The leases of this process in a folder; a thread keeps them alive.

    Args:
        folder: of the parts.
        patience: seconds without a sign of life after which a lease has expired.
        now: seconds of a clock that never goes back.
    """

    def __init__(self, folder: Path, *, patience: float, now: Callable[[], float] = time.monotonic) -> None:
        self.member = new_member()
        self.patience = patience
        self._folder = folder
        self._now = now
        self._held: dict[str, _Held] = {}
        self._seen: dict[str, tuple[bytes, float]] = {}
        """What others' leases held, and since when."""
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        for name in list(self._held):
            self.release(name)

    def take(self, name: str) -> History | None:
        """Take the lease of that name; return its history, or None if another process has it."""
        with self._lock:
            history = History()
            if (expired := self._expired(name)) is not None:
                if not self._remove_expired(name, expired):
                    return None
                history = _history_of(expired).after_an_end()
            held = _Held(name, 1, history)
            beside = self._write_beside(held)
            try:
                _create(self._path(name), beside)
            except FileExistsError:
                return None
            finally:
                beside.unlink(missing_ok=True)
            self._held[name] = held
            self._seen.pop(name, None)
            return history

    def is_free(self, name: str) -> bool:
        """Return whether ``take`` would probably succeed."""
        with self._lock:
            return not self._path(name).exists() or self._expired(name) is not None

    def note(self, name: str, line: int | None) -> None:
        """Note in a lease that a line is translated alone from now on, before it can end the process."""
        with self._lock:
            held = self._held[name]
            held.history = replace(held.history, line=line)
            self._renew(held)

    def release(self, name: str) -> None:
        """Give a lease back, whether or not the part was finished."""
        with self._lock:
            held = self._held.pop(name, None)
            if held is not None and self._is_ours(name):
                self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.lease"

    def _is_ours(self, name: str) -> bool:
        with suppress(OSError, ValueError):
            return bool(json.loads(self._path(name).read_bytes())["member"] == self.member)
        return False

    def _expired(self, name: str) -> bytes | None:
        """Return what a lease holds if it has expired."""
        try:
            content = self._path(name).read_bytes()
        except FileNotFoundError:
            self._seen.pop(name, None)
            return None
        before = self._seen.get(name)
        if before is None or before[0] != content:
            self._seen[name] = content, self._now()
            return None
        return content if self._now() - before[1] >= self.patience else None

    def _remove_expired(self, name: str, expired: bytes) -> bool:
        """Remove an expired lease, unless another process was faster; then put back what it wrote."""
        taken = self._folder / f".{name}.lease.{self.member}.taken"
        try:
            self._path(name).rename(taken)
        except FileNotFoundError:
            return False
        try:
            if taken.read_bytes() == expired:
                return True
            with suppress(FileExistsError):
                _create(self._path(name), taken)
            return False
        finally:
            taken.unlink(missing_ok=True)

    def _write_beside(self, held: _Held) -> Path:
        beside = self._folder / f".{held.name}.lease.{self.member}.new"
        record = {"member": self.member, "beat": held.beat, **asdict(held.history)}
        beside.write_text(json.dumps(record), encoding="utf-8")
        return beside

    def _renew(self, held: _Held) -> None:
        held.beat += 1
        self._write_beside(held).replace(self._path(held.name))

    def _keep_alive(self) -> None:
        while not self._end.wait(self.patience / _BEATS):
            with self._lock:
                for held in self._held.values():
                    # A full disk, or a server that is away: the lease expires, and the part may be run twice.
                    with suppress(OSError):
                        self._renew(held)


def new_member() -> str:
    """Return a name for a process among those of all machines."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"


def _create(path: Path, beside: Path) -> None:
    """Create a file with the content of another one, in one step where the file system has hard links."""
    try:
        os.link(beside, path)
    except OSError as error:
        # Buckets that are mounted as folders have no links. Of two processes both may create the file there, and then
        # both run the part and write the same bytes.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        with path.open("xb") as file:
            file.write(beside.read_bytes())


def _history_of(content: bytes) -> History:
    """Return the history in a lease; an unreadable one is that of a process which ended while it wrote."""
    try:
        table: Any = json.loads(content)
        line = None if table["line"] is None else int(table["line"])
        return History(int(table["ends"]), line, {str(k): int(v) for k, v in table["suspects"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return History()
