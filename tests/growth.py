"""How the time of a step grows with the length of its text."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

SHORTEST_SECONDS = 0.003
"""Less than this is not told from the noise of a busy machine."""

FEWEST_RUNS, MOST_RUNS = 3, 60
CLEARLY_LINEAR = 2.2
LINEAR = 2.5


def growth(step: Callable[[str], object], shape: Callable[[int], str], length: int) -> float:
    """Return how many times as long a step takes on a text of twice the length: about 2 where it is linear, 4 where
    it is quadratic.

    Where the answer is not clear, texts of twice the size are compared as well and the lesser growth counts: what is
    quadratic is so at all sizes, while a text outgrows a cache of the processor once. If it still looks more than
    linear, the machine gets a third chance, with texts of four times the size.
    """
    found = _growth(step, shape, length)
    if found > CLEARLY_LINEAR:
        found = min(found, _growth(step, shape, 2 * length))
    if found > LINEAR:
        found = min(found, _growth(step, shape, 4 * length))
    return found


def _growth(step: Callable[[str], object], shape: Callable[[int], str], length: int) -> float:
    """Compare two lengths.

    The least time of several runs counts. It can only fall with more runs, so a machine that is busy gets more of them
    until the answer is clear. Seconds are those of this thread's processor time, and both lengths take turns. The
    collector of garbage is off: it looks at everything that the tests before have left, and where only the longer text
    makes enough objects for that, it does so in each of its runs.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return _ratio_of_least_times(step, shape, length)
    finally:
        if was_on:
            gc.enable()


def _ratio_of_least_times(step: Callable[[str], object], shape: Callable[[int], str], length: int) -> float:
    texts = [shape(length), shape(2 * length)]
    best = [float("inf"), float("inf")]
    for run in range(MOST_RUNS):
        for place, text in enumerate(texts):
            start = time.thread_time()
            step(text)
            best[place] = min(best[place], time.thread_time() - start)
        if run >= FEWEST_RUNS and best[1] <= CLEARLY_LINEAR * max(best[0], SHORTEST_SECONDS):
            break
    return best[1] / max(best[0], SHORTEST_SECONDS)
