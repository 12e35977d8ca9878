"""The random numbers of sampling, which all engines share: so they draw the same translations.

They depend on the seed, the source ids, the draw's number and the step, and on nothing else. Read ``torch_engine.py``
next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["uniform_numbers"]


def uniform_numbers(seed: int, source_ids: Sequence[int], number: int, steps: int) -> NDArray[np.float64]:
    """Return the numbers of [0, 1) for the steps of draw ``number`` of a sentence; those of fewer steps begin alike."""
    content = np.asarray([seed, number, *source_ids], dtype=np.uint64).tobytes()
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(content).digest()[:16], "little"))
    return generator.random(steps)
