"""Ctrl-C and SIGTERM as wishes: the step under way ends, a checkpoint is written, then the run stops.

Read ``trainer.py`` next, which looks at ``StopSignals.received`` after every step.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from pellucid.errors import InterruptedByUser

__all__ = ["StopSignals"]


class StopSignals:
    """Catches SIGINT and SIGTERM while it is entered; in other threads than the main one it does nothing.

    The first signal is remembered in ``received``. A second SIGINT stops at once, without a save.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._interrupted = False
        self._previous: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
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
