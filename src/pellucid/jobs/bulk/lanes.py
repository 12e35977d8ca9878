"""Divide parts among several runners, one for each device: a part goes to a runner that is free.

Which lines are a part, and in which order parts are joined, does not depend on the runners. Read ``crew.py`` next.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence

from pellucid.jobs.bulk.survey import Part
from pellucid.jobs.bulk.work import Finished, Runner

__all__ = ["Lanes"]


class Lanes:
    """Several runners as one.

    Args:
        runners: each with the number of parts that it runs at once.
    """

    def __init__(self, runners: Sequence[tuple[Runner, int]]) -> None:
        self._free: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        # The first of every runner before the second of any, so that few parts are spread over all of them.
        for number in range(max(calls for _, calls in runners)):
            for runner, calls in runners:
                if number < calls:
                    self._free.put(runner)
        self.at_once = sum(calls for _, calls in runners)

    def __call__(self, part: Part, advance: Callable[[int], None]) -> Finished:
        """Run a part by the next free runner; see ``Runner``."""
        runner = self._free.get()
        try:
            return runner(part, advance)
        finally:
            self._free.put(runner)
