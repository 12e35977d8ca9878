"""Which processes of a run give signs of life, so that an error can name the one that does not.

Every process counts in the store of ``torchrun``, in a thread with a connection of its own. A process that loses the
others looks at the counters twice. During training the thread looks at them too, because a cable that is cut breaks no
connection: both sides would wait for hours. Read ``watchdog.py`` next.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final, Protocol

import torch.distributed

__all__ = ["Lives", "Store", "store_of_environment"]

_SECONDS: Final = 1.0
"""Between two signs of life."""
_SILENT: Final = 4
"""So many signs must fail to come from a process that has closed its connections."""
_BEATS_OF_A_LOOK: Final = 4
"""Of this process, between two looks at the counters of the others."""
_SILENT_BEATS: Final = 30
"""So many beats without a sign end the wait for a process whose connections are open. Beats are counted, not seconds:
a process that was suspended finds the others alive."""


class Store(Protocol):
    """Texts by name that all processes see."""

    def set(self, key: str, value: str) -> None:
        """Store a text."""

    def get(self, key: str) -> bytes:
        """Return a text; wait for it if it is not there yet."""


def store_of_environment() -> Store | None:
    """Connect to the store at ``MASTER_ADDR`` and ``MASTER_PORT``, which ``torchrun`` or the first process serves."""
    try:
        store: Store = torch.distributed.TCPStore(  # type: ignore[attr-defined]
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=10),
        )
        return store
    except (KeyError, ValueError, RuntimeError):  # another rendezvous, without a store there
        return None


class Lives:
    """The signs of life of a process and of the others."""

    def __init__(self, store: Store, *, rank: int, count: int, seconds: float = _SECONDS) -> None:
        self._store = store
        self._rank = rank
        self._count = count
        self._seconds = seconds
        self._end = threading.Event()
        self._seen: dict[int, bytes | None] = {}
        self._beats = 0
        self._beat()
        threading.Thread(target=self._keep_beating, daemon=True).start()

    @property
    def _others(self) -> list[int]:
        return [rank for rank in range(self._count) if rank != self._rank]

    def silent(self) -> tuple[int, ...]:
        """Return the processes that gave no sign of life for some seconds; all others if the store is gone."""
        before = {rank: self._read(rank) for rank in self._others}
        time.sleep(_SILENT * self._seconds)
        return tuple(rank for rank in self._others if before[rank] is None or before[rank] == self._read(rank))

    @contextmanager
    def watching(self, on_silence: Callable[[tuple[int, ...]], None]) -> Iterator[None]:
        """Call ``on_silence``, in a thread, with the processes that give no sign of life for half a minute."""
        end = threading.Event()
        # A thread of its own: after the limit on an answer, the store's client still waits for an answer without one.
        threading.Thread(target=self._watch, args=(on_silence, end), daemon=True).start()
        try:
            yield
        finally:
            end.set()

    def close(self) -> None:
        """Give no more signs."""
        self._end.set()

    def _beat(self) -> None:
        self._beats += 1
        self._store.set(f"pellucid/alive/{self._rank}", str(self._beats))

    def _keep_beating(self) -> None:
        while not self._end.wait(self._seconds):
            with suppress(RuntimeError):  # the store ended with its process
                self._beat()
            if self._beats % _BEATS_OF_A_LOOK == 0:
                self._seen = {rank: self._read(rank) for rank in self._others}

    def _watch(self, on_silence: Callable[[tuple[int, ...]], None], end: threading.Event) -> None:
        seen = self._seen
        silent_beats = dict.fromkeys(self._others, 0)
        while not end.wait(self._seconds):
            before, seen = seen, self._seen
            for rank in self._others:
                has_beaten = seen.get(rank) is not None and seen[rank] != before.get(rank)
                silent_beats[rank] = 0 if has_beaten else silent_beats[rank] + 1
            if silent := tuple(rank for rank, beats in silent_beats.items() if beats >= _SILENT_BEATS):
                on_silence(silent)
                return

    def _read(self, rank: int) -> bytes | None:
        try:
            return self._store.get(f"pellucid/alive/{rank}")
        except RuntimeError:
            return None
