"""Handlers of Ctrl-C and SIGTERM, as context managers that restore the former handlers at the end.

    StopSignals       a training step ends and is saved before the run stops
    HeldInterrupt     a line of output is written whole before Ctrl-C or SIGTERM acts
    RaiseOnSigterm    SIGTERM raises a given error at once

The command line raises ``Terminated`` on SIGTERM, so what handles Ctrl-C handles SIGTERM, too. Only the
main thread of a process receives signals; in other threads all three do nothing. Read ``config/`` next.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Self

from pellucid.errors import InterruptedByUser, StoppedError

__all__ = ["HeldInterrupt", "RaiseOnSigterm", "StopSignals", "Terminated", "stopped_by"]

_SECONDS_FOR_AN_IMPORT: Final = 30.0
_SECONDS_BETWEEN_LOOKS: Final = 0.05


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception that unwinds the program as Ctrl-C does."""


def stopped_by(interrupt: KeyboardInterrupt, message: str) -> StoppedError:
    """Return the error for work that Ctrl-C or SIGTERM stopped; its exit status says which of them."""
    return (StoppedError if isinstance(interrupt, Terminated) else InterruptedByUser)(message)


class _Handling(ABC):
    """Installs handlers of signals on entry and restores the former handlers on exit."""

    def __init__(self, *kinds: signal.Signals) -> None:
        self._kinds = kinds
        self._former: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for kind in self._kinds:
                self._former[kind] = signal.signal(kind, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._former.items():
            signal.signal(kind, handler)
        self._former.clear()

    @abstractmethod
    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""


class StopSignals(_Handling):
    """Stores the first SIGINT, SIGTERM or SIGUSR1 in ``received``; a second SIGINT stops the run at once.

    Schedulers send SIGUSR1 some time before they take a machine away.
    """

    def __init__(self) -> None:
        super().__init__(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
        self.received: signal.Signals | None = None
        self._interrupted = False

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._interrupted:
            raise InterruptedByUser(
                "stopped at once, without a save; the same command continues from the newest checkpoint"
            )
        self._interrupted |= number == signal.SIGINT
        self.received = self.received or signal.Signals(number)


class HeldInterrupt(_Handling):
    """Delays Ctrl-C, and a SIGTERM that raises, to the end of a block in ``held()``; a second one is not delayed.

    Outside such blocks both act as usual. If the program ignores Ctrl-C or handles it, that stays so.
    """

    def __init__(self) -> None:
        sigterm = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        delayed = {
            signal.SIGINT: signal.getsignal(signal.SIGINT) is signal.default_int_handler,
            signal.SIGTERM: isinstance(sigterm, RaiseOnSigterm),
        }
        super().__init__(*(kind for kind, is_delayed in delayed.items() if is_delayed))
        self._is_held = False
        self._waiting: signal.Signals | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Finish the block before Ctrl-C acts.

        Raises:
            KeyboardInterrupt: at the end, if Ctrl-C was pressed during the block; after SIGTERM, the error for that.
        """
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if (kind := self._waiting) is not None:
            self._waiting = None
            self._former[kind](kind, None)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        kind = signal.Signals(number)
        if not self._is_held or self._waiting is not None:
            self._former[kind](kind, frame)
        self._waiting = kind


class RaiseOnSigterm(_Handling):
    """Raises an error in the main thread when SIGTERM arrives; ``has_arrived`` says afterwards whether it did.

    While a module is imported, the error waits: libraries catch errors of their imports, or go on with half a module.
    """

    def __init__(self, make_error: Callable[[], BaseException]) -> None:
        super().__init__(signal.SIGTERM)
        self._make_error = make_error
        self._waits_until: float | None = None
        self.has_arrived = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.has_arrived = True
        now = time.monotonic()
        self._waits_until = self._waits_until or now + _SECONDS_FOR_AN_IMPORT
        if now < self._waits_until and _is_importing(frame):
            again = threading.Timer(_SECONDS_BETWEEN_LOOKS, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
        else:
            self._waits_until = None
            raise self._make_error()


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
