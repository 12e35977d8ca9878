"""Sentences that wait for a slot. They are encoded in batches of their own, ahead of the slots that become free.

Read ``lists.py`` next, or ``batching.py`` for the use of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from pellucid.translation.engines.device.network import Network
from pellucid.translation.engines.device.slots import Encoded

__all__ = ["Loaded", "Sentence", "Waiting", "width_of"]

_TOKENS_AT_ONCE: Final = 8192
_NARROWEST: Final = 32


@dataclass(frozen=True)
class Sentence:
    """A sentence to search: its place in the request, its source with the end of sentence, and its most tokens."""

    place: int
    ids: Sequence[int]
    limit: int


@dataclass(frozen=True)
class Loaded:
    """Sentences of one encoder batch: all that was encoded together, and the places of these in it."""

    encoded: Encoded
    places: Sequence[int]
    sentences: Sequence[Sentence]


def width_of(length: int) -> int:
    """Return the width of the tensors for a length: few widths, so that few graphs are recorded."""
    return max(_NARROWEST, 1 << (length - 1).bit_length())


class Waiting:
    """The sentences of a search that have no slot yet, the longest first.

    A batch holds sentences of one width, which their own length alone decides.
    """

    def __init__(self, network: Network, sentences: Sequence[Sentence]) -> None:
        self._network = network
        self._left = deque(sorted(sentences, key=lambda sentence: -len(sentence.ids)))
        self._ready: deque[tuple[Encoded, int, Sentence]] = deque()

    def __len__(self) -> int:
        return len(self._left) + len(self._ready)

    def take(self, count: int) -> Iterator[Loaded]:
        """Yield the next sentences, at most ``count`` of them, together with those of their batch."""
        while len(self._ready) < count and self._left:
            self._encode()
        taken = [self._ready.popleft() for _ in range(min(count, len(self._ready)))]
        while taken:
            encoded = taken[0][0]
            of_batch = [one for one in taken if one[0] is encoded]
            taken = taken[len(of_batch) :]
            yield Loaded(encoded, [place for _, place, _ in of_batch], [sentence for *_, sentence in of_batch])

    def _encode(self) -> None:
        batch = [self._left.popleft()]
        width = width_of(len(batch[0].ids))
        while self._left and width_of(len(self._left[0].ids)) == width and (len(batch) + 1) * width <= _TOKENS_AT_ONCE:
            batch.append(self._left.popleft())
        width = min(width, self._network.config.max_positions)
        device, filler = self._network.device, self._network.config.specials.pad
        ids = torch.tensor([[*one.ids, *[filler] * (width - len(one.ids))] for one in batch])
        lengths = torch.tensor([len(one.ids) for one in batch]).to(device, non_blocking=True)
        mask = torch.arange(width, device=device) < lengths[:, None]
        encoded = Encoded(self._network.encode(ids.to(device, non_blocking=True), mask), lengths)
        self._ready += [(encoded, place, sentence) for place, sentence in enumerate(batch)]
