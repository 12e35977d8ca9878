"""Several processes as one: what a step has to add up over them. One process is the common case.

Read ``update.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

__all__ = ["Ranks"]


class Ranks:
    """The processes of a run. This class is a single one; nothing has to be added up."""

    rank = 0
    count = 1

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return numbers added up over all processes."""
        return list(numbers)

    def add_gradients(self, parameters: Sequence[nn.Parameter], sums: Tensor) -> None:
        """Add gradients, and the sums of a step, over all processes, in place."""
