"""The peak of the memory that Python allocates for one thing, and for nothing that earlier tests left behind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Peak", "traced_peak"]


class Peak:
    """The most bytes that were allocated at once."""

    bytes: int


@contextmanager
def traced_peak() -> Iterator[Peak]:
    """Measure the peak of a block; its bytes are known at the end of the block.

    Garbage of earlier tests is collected before. What its finalisers allocate, such as the text of a warning, took
    6 MB once in the middle of a measurement, and so the collector rests meanwhile. What is left then stays long, and
    the collector need not go through it for the next measurement.
    """
    peak = Peak()
    gc.collect()
    gc.freeze()
    gc.disable()
    tracemalloc.start()
    try:
        yield peak
        peak.bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()
