"""Threads that run tasks side by side, while the main thread hands tasks over and stays free for Ctrl-C.

Read ``files.py`` next.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

__all__ = ["Crew", "Stopped"]

Task = TypeVar("Task")
_SECONDS_BETWEEN_LOOKS: Final = 0.1


class Stopped(Exception):
    """Raised in a task that has to end because the crew stops."""


class Crew(Generic[Task]):
    """Workers for tasks. As many tasks as workers wait at most, so that memory has a bound.

    Args:
        work: does a task; may raise ``Stopped`` after it sees ``is_stopping``.
        workers: number of threads.
        look: called by the main thread about ten times a second while it waits.
    """

    def __init__(self, work: Callable[[Task], None], *, workers: int, look: Callable[[], None]) -> None:
        self._work = work
        self._look = look
        self._waiting: queue.Queue[Task | None] = queue.Queue(maxsize=workers)
        self._stop = threading.Event()
        self._problems: list[BaseException] = []
        # Daemons, so that a second Ctrl-C ends the process although a task still runs.
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]

    @property
    def is_stopping(self) -> bool:
        """Whether tasks should end now, unfinished."""
        return self._stop.is_set()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            for _ in self._threads:
                self._put(None)
        else:
            self._stop.set()
        while any(thread.is_alive() for thread in self._threads):
            self._threads[0].join(_SECONDS_BETWEEN_LOOKS)
            for thread in self._threads[1:]:
                thread.join(_SECONDS_BETWEEN_LOOKS / len(self._threads))
            self._look()
        if error is None and self._problems:
            raise self._problems[0]

    def hand_over(self, task: Task) -> None:
        """Give a task to the next free worker; wait until there is room for it.

        Raises:
            BaseException: what an earlier task raised.
        """
        self._put(task)
        if self._problems:
            raise self._problems[0]

    def _put(self, task: Task | None) -> None:
        while not self._stop.is_set():
            try:
                self._waiting.put(task, timeout=_SECONDS_BETWEEN_LOOKS)
                self._look()
                return
            except queue.Full:
                self._look()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                task = self._waiting.get(timeout=_SECONDS_BETWEEN_LOOKS)
            except queue.Empty:
                continue
            if task is None:
                return
            try:
                self._work(task)
            except Stopped:
                return
            except BaseException as error:
                self._problems.append(error)
                self._stop.set()
                return
