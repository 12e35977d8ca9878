"""How the time of a step grows with the length of its text."""

from __future__ import annotations

import time
from collections.abc import Callable

SHORTEST_SECONDS = 0.003
"""Less than this is not told from the noise of a busy machine."""

FEWEST_RUNS, MOST_RUNS = 3, 60
CLEARLY_LINEAR = 2.2


def growth(step: Callable[[str], object], shape: Callable[[int], str], length: int) -> float:
    """Return how many times as long a step takes on a text of twice the length: about 2 where it is linear, 4 where
    it is quadratic.

    Where the answer is not clear, texts of twice the size are compared as well and the lesser growth counts: what is
    quadratic is so at both sizes, while a text outgrows a cache of the processor once.
    """
    found = _growth(step, shape, length)
    return found if found <= CLEARLY_LINEAR else min(found, _growth(step, shape, 2 * length))


def _growth(step: Callable[[str], object], shape: Callable[[int], str], length: int) -> float:
    """Compare two lengths.

    The least time of several runs counts. It can only fall with more runs, so a machine that is busy gets more of them
    until the answer is clear. Seconds are those of this thread's processor time, and both lengths take turns.
    """
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
