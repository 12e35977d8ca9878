"""The stored traces of a server, up to a limit of bytes, and the one queue for its models. Read ``gate.py`` next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from pellucid.errors import RequestError
from pellucid.page.answers_trace import TraceRecord
from pellucid.page.catalogue import UnknownPathError

__all__ = ["BusyError", "ClientGoneError", "ComputeQueue", "TraceGoneError", "TraceStore"]

_LONGEST_QUEUE: Final = 8
"""More than the 6 requests that a browser sends at once, so that a single user is never refused."""

Result = TypeVar("Result")


class BusyError(RequestError):
    """The request queue is full."""


class TraceGoneError(UnknownPathError):
    """A trace is no longer stored, or another server made it."""


class ClientGoneError(Exception):
    """The client has disconnected."""


class TraceStore:
    """Traces by id; at the limit the least recently used are dropped. Safe for several threads."""

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._records: OrderedDict[str, tuple[TraceRecord, int]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of all stored traces."""
        with self._lock:
            return sum(size for _, size in self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: TraceRecord) -> None:
        """Store a trace, and drop old ones if it needs their room.

        Raises:
            RequestError: the trace alone is larger than the limit.
        """
        size = record.nbytes
        if size > self.limit_bytes:
            raise RequestError(
                f"the trace of this sentence takes {size / 1e6:,.1f} MB; the limit here is "
                f"{self.limit_bytes / 1e6:,.1f} MB; shorten the sentence, or start it with a larger --trace-memory-mb"
            )
        with self._lock:
            self._records[record.id] = (record, size)
            while sum(size for _, size in self._records.values()) > self.limit_bytes:
                self._records.popitem(last=False)

    def get(self, trace_id: str) -> TraceRecord:
        """Return a trace and mark it as the most recently used.

        Raises:
            TraceGoneError: it is not stored.
        """
        with self._lock:
            if trace_id not in self._records:
                raise TraceGoneError("this trace is no longer stored; translate the sentence again")
            self._records.move_to_end(trace_id)
            return self._records[trace_id][0]


class ComputeQueue:
    """Runs one computation at a time, in a separate thread, so that the server can answer other requests.

    A waiting request holds only itself in memory.

    Args:
        longest: how many requests may wait in addition to the running one.
    """

    def __init__(self, *, longest: int = _LONGEST_QUEUE) -> None:
        self._longest = longest
        self._inside = 0
        self._lock = anyio.Lock()

    async def run(self, work: Callable[[], Result], *, is_gone: Callable[[], Awaitable[bool]]) -> Result:
        """Wait for a turn, then run ``work``.

        Raises:
            BusyError: the queue is full.
            ClientGoneError: the client disconnected while it waited.
        """
        if self._inside > self._longest:  # one of them is running
            raise BusyError(f"the request queue is full: {self._longest} requests are waiting; try again in a moment")
        self._inside += 1
        try:
            async with self._lock:
                if await is_gone():
                    raise ClientGoneError
                return await anyio.to_thread.run_sync(work)
        finally:
            self._inside -= 1
