"""How fast a text is prepared, and in how many processes. Read ``../prepare.py`` next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pellucid.errors import counted
from pellucid.jobs.preparation.states import TextState

__all__ = ["Pace", "processes_for"]

_FEWEST_PAIRS: Final = 25_000
"""For each process: with fewer, its start takes longer than its work."""


def processes_for(texts: Sequence[TextState], *, threads: int) -> int:
    """Return in how many processes the training text is cut into pieces: one for each thread if it is large."""
    return max(1, min(threads, sum(text.pairs for text in texts) // _FEWEST_PAIRS))


class Pace:
    """Measures the time to clean, cut and store; learning a tokenizer from a sample is measured apart."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._began = _now()
        self._learning = (0.0, 0.0)
        self._taken = (0.0, 0.0)
        self._pairs = 0

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Measure what is done inside as the learning of the tokenizer."""
        began = _now()
        yield
        self._learning = _since(began)

    def end(self, pairs: int) -> None:
        """End the measurement; so many pairs were read."""
        wall, processor = _since(self._began)
        self._taken = (wall - self._learning[0], processor - self._learning[1])
        self._pairs = pairs

    def to_text(self) -> str:
        """Return the line for the screen."""
        wall, processor = (max(seconds, 1e-3) for seconds in self._taken)
        return (
            f"prepared: {counted(self._pairs, 'pair')} in {wall:.1f} s by {counted(self.processes, 'process')}, "
            f"{self._pairs / wall:,.0f} a second, and {self._pairs / processor:,.0f} for each second of a core; "
            f"the tokenizer took {self._learning[0]:.1f} s more"
        )


def _now() -> tuple[float, float]:
    times = os.times()
    return time.monotonic(), times.user + times.system + times.children_user + times.children_system


def _since(began: tuple[float, float]) -> tuple[float, float]:
    now = _now()
    return now[0] - began[0], now[1] - began[1]
