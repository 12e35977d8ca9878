"""How the time of a step grows with the length of its text."""

from __future__ import annotations

import time
from collections.abc import Callable

SHORTEST_SECONDS = 0.004
"""Less than this is not told from the noise of a busy machine."""


def growth(step: Callable[[str], object], shape: Callable[[int], str], length: int) -> float:
    """Return how many times as long a step takes on a text of twice the length: about 2 where it is linear, 4 where
    it is quadratic.

    Seconds are those of this thread's processor time, which other programs add little to; the least of several runs
    counts, and both lengths take turns, so that a busy moment meets both.
    """
    texts = [shape(length), shape(2 * length)]
    best = [float("inf"), float("inf")]
    for _ in range(7):
        for place, text in enumerate(texts):
            start = time.thread_time()
            step(text)
            best[place] = min(best[place], time.thread_time() - start)
    return best[1] / max(best[0], SHORTEST_SECONDS)
