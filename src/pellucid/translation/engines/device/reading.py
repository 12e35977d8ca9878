"""Bring tensors and hypotheses from the device to the processor. Read ``lists.py`` next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Ended", "Reading"]


class Reading:
    """Copies of tensors that are on their way to the processor; what changes the tensors later does not change them."""

    def __init__(self, *tensors: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if tensors[0].device.type == "cpu":
            self._copies = [tensor.clone() for tensor in tensors]
            return
        # Only memory that is pinned can be written to while the processor goes on.
        self._copies = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
        for copy, tensor in zip(self._copies, tensors, strict=True):
            copy.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._event.record(torch.cuda.current_stream(tensors[0].device))

    def arrays(self) -> list[NDArray[Any]]:
        """Wait for the copies, and for nothing that was launched after them."""
        if self._event is not None:
            self._event.synchronize()
        return [copy.numpy() for copy in self._copies]


class Ended:
    """The best hypotheses of slots that have ended: read from the last token to the first.

    Args:
        best_end: [ended, 4], as ``slots.py`` has it.
        best_gain: [ended].
        links: [ended, steps, beam], as ``slots.py`` has them; ``gains`` alike.
        gains: of the tokens.
    """

    def __init__(self, best_end: Tensor, best_gain: Tensor, links: Tensor, gains: Tensor) -> None:
        self._reading = Reading(best_end, best_gain, links, gains)

    def __iter__(self) -> Iterator[tuple[Sequence[int], Sequence[float], bool]]:
        """Yield ids, log-probabilities and whether it is finished, of each."""
        best_end, best_gain, links, gains = self._reading.arrays()
        count, steps, beam = links.shape
        numbers = np.arange(count)
        lengths, rows, last_ids, is_finished = best_end.T
        ids = np.zeros((count, steps), np.int64)
        terms = np.zeros((count, steps), np.float32)
        for step in reversed(range(steps)):
            link = links[numbers, step, rows]
            ids[:, step], terms[:, step] = link // beam, gains[numbers, step, rows]
            rows = np.where(step < lengths, link % beam, rows)
        for number, length in enumerate(lengths.tolist()):
            last = int(last_ids[number] >= 0)
            yield (
                ids[number, :length].tolist() + [int(last_ids[number])] * last,
                terms[number, :length].tolist() + [float(best_gain[number])] * last,
                bool(is_finished[number]),
            )
