"""What the process does on Ctrl-C and SIGTERM. Nothing here acts before it is entered, and all of it is undone after.

    StopSignals       a training step ends and is saved before the run stops
    HeldInterrupt     a line of output is written whole before Ctrl-C acts
    raising_on_sigterm   SIGTERM raises a given error at once

Only the main thread of a process receives signals; elsewhere all three do nothing. Read ``config/`` next.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from pellucid.errors import InterruptedByUser

__all__ = ["HeldInterrupt", "StopSignals", "raising_on_sigterm"]


class StopSignals:
    """Remembers the first SIGINT or SIGTERM in ``received`` while it is entered; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._interrupted = False
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if _receives_signals():
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._previous[kind] = signal.signal(kind, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned
        self._previous.clear()

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._interrupted:
            raise InterruptedByUser(
                "stopped at once, without another save; the same command continues from the newest checkpoint"
            )
        self._interrupted |= number == signal.SIGINT
        self.received = self.received or signal.Signals(number)


class HeldInterrupt:
    """While it is entered, Ctrl-C waits for the end of a part that is ``held``; a second Ctrl-C does not wait.

    Outside of such parts, and where Ctrl-C is ignored or handled by somebody else, nothing changes.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._is_waiting = False
        self._is_ours = False

    def __enter__(self) -> Self:
        if _receives_signals() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._receive)
            self._is_ours = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._is_ours = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Finish the enclosed part before an interruption acts.

        Raises:
            KeyboardInterrupt: at the end, if Ctrl-C came meanwhile.
        """
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_waiting:
            self._is_waiting = False
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self._is_held or self._is_waiting:
            raise KeyboardInterrupt
        self._is_waiting = True


@contextmanager
def raising_on_sigterm(make_error: Callable[[], BaseException]) -> Iterator[None]:
    """Raise an error when SIGTERM arrives, wherever the main thread is."""
    if not _receives_signals():
        yield
        return

    def receive(number: int, frame: FrameType | None) -> None:
        raise make_error()

    before = signal.signal(signal.SIGTERM, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _receives_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
