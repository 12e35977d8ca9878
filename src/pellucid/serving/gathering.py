"""The results of a request, as they come from the threads that translate. Read ``service.py`` next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from pellucid.translation.hypothesis import Translation

__all__ = ["Gathering"]

Outcome = Translation | Exception


class Gathering:
    """The sentences of some texts, and which texts are complete. All methods but ``on_done`` belong to the event loop.

    Args:
        counts: the sentences of each text; they are numbered through all texts.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._starts = [sum(counts[:i]) for i in range(len(counts) + 1)]
        self._text_of = [text for text, count in enumerate(counts) for _ in range(count)]
        self._left = [*counts]
        self._outcomes: list[Outcome | None] = [None] * sum(counts)
        self._complete = [text for text, count in enumerate(counts) if not count]
        self._to_come = sum(count > 0 for count in counts)

    @property
    def is_waiting(self) -> bool:
        """Whether a text is not complete."""
        return self._to_come > 0

    def on_done(self, outcomes: list[tuple[int, Outcome]]) -> None:
        """Take results; called from other threads."""
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._take, outcomes)

    def wake(self) -> None:
        """End ``changed``."""
        self._event.set()

    async def changed(self) -> None:
        """Wait until a text is complete."""
        await self._event.wait()
        self._event.clear()

    def complete(self) -> list[int]:
        """Return the texts that are complete since the last call, in their order."""
        complete, self._complete = sorted(self._complete), []
        return complete

    def results_of(self, text: int) -> list[Outcome]:
        """Return the results of a complete text."""
        found = self._outcomes[self._starts[text] : self._starts[text + 1]]
        return [one for one in found if one is not None]

    def _take(self, outcomes: list[tuple[int, Outcome]]) -> None:
        for number, outcome in outcomes:
            self._outcomes[number] = outcome
            text = self._text_of[number]
            self._left[text] -= 1
            if not self._left[text]:
                self._complete.append(text)
                self._to_come -= 1
                self._event.set()
