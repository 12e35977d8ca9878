"""Wait for the results of a request, which come from the threads that translate. Read ``service.py`` next."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pellucid.serving.scheduling.work import Outcome

__all__ = ["Gathering"]


class Gathering:
    """The results of the sentences of a request, as long as its block runs.

    All methods but ``on_done`` belong to the event loop.

    Args:
        count: how many sentences there are.
        until_gone: ends when the client has disconnected.
        seconds: until the deadline.
    """

    def __init__(self, count: int, *, until_gone: Coroutine[Any, Any, None], seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._new: list[tuple[int, Outcome]] = []
        self._to_come = count
        self.is_late = False
        self._watch = self._loop.create_task(until_gone)
        self._watch.add_done_callback(lambda watch: self._event.set())
        self._timer = self._loop.call_later(max(seconds, 0), self._note_deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        self._watch.cancel()

    @property
    def is_waiting(self) -> bool:
        """Whether a result is to come, or was not taken."""
        return self._to_come > 0 or bool(self._new)

    @property
    def is_abandoned(self) -> bool:
        """Whether the client has disconnected."""
        return self._watch.done()

    def on_done(self, outcomes: list[tuple[int, Outcome]]) -> None:
        """Take results; called from other threads."""
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._take, outcomes)

    async def changed(self) -> None:
        """Wait for results, the end of the client, or the deadline."""
        await self._event.wait()
        self._event.clear()

    def new(self) -> list[tuple[int, Outcome]]:
        """Return the results that came since the last call, each with the number of its sentence."""
        new, self._new = self._new, []
        return new

    def _take(self, outcomes: list[tuple[int, Outcome]]) -> None:
        self._new += outcomes
        self._to_come -= len(outcomes)
        self._event.set()

    def _note_deadline(self) -> None:
        self.is_late = True
        self._event.set()
