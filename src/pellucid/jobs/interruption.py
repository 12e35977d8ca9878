"""Ctrl-C that cannot cut a line in two. ``training/signals.py`` does the same for the steps of a run.

Read ``translate.py`` next, whose output it guards.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

__all__ = ["HeldInterrupt"]


class HeldInterrupt:
    """While it is entered, Ctrl-C waits for the end of a part that is ``held``; a second one does not wait.

    Outside of such parts, in other threads than the main one, and where Ctrl-C is ignored or handled by
    somebody else, nothing changes.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._is_waiting = False
        self._is_ours = False

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
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
        """Finish what stands under it before an interruption acts.

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
