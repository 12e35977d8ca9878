"""The traces that a server keeps, up to so many bytes, and the one queue for its models. Read ``gate.py`` next."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from pellucid.errors import RequestError
from pellucid.page.answers_trace import TraceRecord
from pellucid.page.catalogue import UnknownPathError

__all__ = ["BusyError", "ClientGoneError", "ComputeQueue", "TraceGoneError", "TraceStore", "new_id"]

_LONGEST_QUEUE: Final = 8
"""More than a browser asks at once (6 of one server), so that nobody alone is refused."""

Result = TypeVar("Result")


class BusyError(RequestError):
    """More wait for the model than is sensible."""


class TraceGoneError(UnknownPathError):
    """A trace is not kept any more, or another server made it."""


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


def new_id() -> str:
    """Return an id that nobody can guess."""
    return secrets.token_hex(16)


class TraceStore:
    """Traces by id; the least recently used go when the limit is reached. For several threads."""

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._records: OrderedDict[str, tuple[TraceRecord, int]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of everything kept."""
        with self._lock:
            return sum(size for _, size in self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: TraceRecord) -> None:
        """Keep a trace, and drop old ones where it needs their room.

        Raises:
            RequestError: the trace alone is larger than the limit.
        """
        size = record.nbytes
        if size > self.limit_bytes:
            raise RequestError(
                f"the trace of this sentence takes {size / 1e6:,.1f} MB and the server keeps "
                f"{self.limit_bytes / 1e6:,.1f}; give a shorter sentence, or start it with a larger --trace-memory-mb"
            )
        with self._lock:
            self._records[record.id] = (record, size)
            while sum(size for _, size in self._records.values()) > self.limit_bytes:
                self._records.popitem(last=False)

    def get(self, trace_id: str) -> TraceRecord:
        """Return a trace, which is the most recently used from now on.

        Raises:
            TraceGoneError: it is not kept, or never was.
        """
        with self._lock:
            if trace_id not in self._records:
                raise TraceGoneError("this trace is not kept any more; translate the sentence again")
            self._records.move_to_end(trace_id)
            return self._records[trace_id][0]


class ComputeQueue:
    """Lets one thing compute at a time, in a thread of its own, so that everything else is answered meanwhile.

    What waits holds its request and nothing else.

    Args:
        longest: how many may wait beside the one that computes.
    """

    def __init__(self, *, longest: int = _LONGEST_QUEUE) -> None:
        self._longest = longest
        self._inside = 0
        self._lock = anyio.Lock()

    async def run(self, work: Callable[[], Result], *, is_gone: Callable[[], Awaitable[bool]]) -> Result:
        """Wait for the turn, and run ``work``.

        Raises:
            BusyError: the queue is full.
            ClientGoneError: the client left while it waited.
        """
        if self._inside > self._longest:  # one of them computes
            raise BusyError(f"{self._longest} others wait for the model already; try again in a moment")
        self._inside += 1
        try:
            async with self._lock:
                if await is_gone():
                    raise ClientGoneError
                return await anyio.to_thread.run_sync(work)
        finally:
            self._inside -= 1
