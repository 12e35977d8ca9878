"""End a process whose step hangs, after it showed where every thread was, so that a launcher can start it again.

A step hangs when a process of the run is stopped without ending, when a network drops packets in silence, or when a
driver waits for ever. Read ``../trainer.py`` next.
"""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Self

from pellucid.errors import StoppedError

__all__ = ["Watchdog"]

_LOOKS: Final = 50
"""Within the limit. Looks are counted, not seconds: a process that was suspended did not hang."""


def _end(text: str) -> None:
    # The screen and its locks may be what hangs, and no thread can be waited for.
    os.write(2, f"{text}\n".encode())
    faulthandler.dump_traceback(file=2, all_threads=True)
    os._exit(StoppedError.exit_status)


class Watchdog:
    """Watches blocks of code; one that takes longer than ``seconds`` ends the process. 0 seconds watch nothing.

    ``describe`` says what the process does.
    """

    def __init__(self, seconds: float, *, describe: Callable[[], str], end: Callable[[str], None] = _end) -> None:
        self._seconds = seconds
        self._describe = describe
        self._end = end
        self._is_watched = False
        self._looks = 0
        self._closed = threading.Event()
        if seconds > 0:
            threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch a block."""
        self._looks = 0
        self._is_watched = True
        try:
            yield
        finally:
            self._is_watched = False

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds / _LOOKS):
            self._looks = self._looks + 1 if self._is_watched else 0
            if self._looks > _LOOKS:
                self._end(
                    f"{self._describe()} takes longer than training.hang_seconds = {self._seconds:g}, so this process "
                    "ends; the same command continues from the newest checkpoint. Where the threads are:"
                )
                return
