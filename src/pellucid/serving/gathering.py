"""The results of a request, as they come from the threads that translate. Read ``service.py`` next."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pellucid.serving.scheduling.work import Outcome

__all__ = ["Gathering"]


class Gathering:
    """The results of the sentences of a request. All methods but ``on_done`` belong to the event loop.

    Args:
        count: how many sentences there are.
    """

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._new: list[tuple[int, Outcome]] = []
        self._to_come = count

    @property
    def is_waiting(self) -> bool:
        """Whether a result is to come, or was not taken."""
        return self._to_come > 0 or bool(self._new)

    def on_done(self, outcomes: list[tuple[int, Outcome]]) -> None:
        """Take results; called from other threads."""
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._take, outcomes)

    def wake(self) -> None:
        """End ``changed``."""
        self._event.set()

    async def changed(self) -> None:
        """Wait for results."""
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
