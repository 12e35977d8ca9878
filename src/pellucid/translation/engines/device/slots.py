"""The state of the slots: tensors that are allocated once and only written in place, as a recorded graph requires.

A slot that has no sentence, or whose sentence has ended, takes part in every step; nothing of it is kept. Read
``selection.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from pellucid.translation.engines.device.network import Network, View

__all__ = ["BROKEN", "LIVE", "OVER", "Encoded", "Rules", "Size", "Slots", "on_device"]

OVER: Final = 0
LIVE: Final = 1
BROKEN: Final = 2
"""What the status of a slot may be; a broken one has log-probabilities that are no numbers."""


@dataclass(frozen=True)
class Size:
    """Everything that decides the shapes of the tensors; two searches of one size use the same slots and graphs."""

    slots: int
    beam_size: int
    capacity: int
    """Most positions of a sentence, on either side."""
    forbidden: int
    """How many tokens never come."""
    has_minimum: bool
    """Whether there is a minimum length."""
    eos_id: int
    log_steps: int
    """Steps whose candidates are all written down, for lists of several hypotheses; 0 writes down live rows only."""

    @property
    def candidates(self) -> int:
        """How many candidates a step has for each slot."""
        return 2 * self.beam_size


@dataclass(frozen=True)
class Rules:
    """The settings of a search, as the tensors hold them."""

    divisors: Sequence[float]
    """Of the scores of hypotheses of 0, 1, 2 ... tokens, at least ``capacity`` of them after the 0."""
    forbidden_ids: Sequence[int]
    min_length: int


@dataclass(frozen=True)
class Encoded:
    """Sentences that were encoded together."""

    cross: Tensor
    """[sentences, layers, 2, heads, source, d_head]."""
    lengths: Tensor
    """[sentences] int64, on the device."""


def on_device(values: Sequence[int] | Sequence[float], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return values as a tensor on a device, without waiting for what the device still has to do.

    The driver copies memory that is not pinned before it returns, so nothing needs to be kept alive.
    """
    return torch.tensor(values, dtype=dtype).to(device, non_blocking=True)


class Slots:
    """The tensors of one size. ``fill`` puts sentences into slots; ``selection.advance`` takes a step.

    Raises:
        torch.OutOfMemoryError: they do not fit into the memory of the device.
    """

    def __init__(self, network: Network, size: Size) -> None:
        config, device = network.config, network.device
        self.size = size
        self.start_id = network.model.start_id
        slots, beam, capacity = size.slots, size.beam_size, size.capacity

        def zeros(*shape: int, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        heads, d_head, layers = config.num_heads, config.d_head, config.num_decoder_layers
        # Zeros rather than any memory: a NaN behind a mask would still spoil a product.
        self.past = zeros(layers, slots, 2, heads, capacity, beam, d_head, dtype=network.dtype)
        self.cross = zeros(slots, layers, 2, heads, capacity, d_head, dtype=network.dtype)
        self.cross_mask = zeros(slots, 1, 1, capacity, dtype=network.dtype)
        self.ancestry = torch.arange(beam, device=device)[None, :, None].repeat(slots, 1, capacity)
        """[slots, beam, target]: the row whose keys each row continues; its own, from the present position on."""

        self.status = zeros(slots, dtype=torch.uint8)
        self.step = zeros(slots)
        """[slots]: tokens so far, and the position of the next one."""
        self.limit = zeros(slots) + 1
        self.last_ids = zeros(slots, beam)
        self.sums = zeros(slots, beam, dtype=torch.float64)
        self.links = zeros(slots, capacity, beam)
        """[slots, step, beam]: token * beam + parent of each row after each step."""
        self.gains = zeros(slots, capacity, beam, dtype=torch.float32)
        """The same shape: log-probability of the token."""

        self.num_finished = zeros(slots)
        self.best_score = zeros(slots, dtype=torch.float64)
        """[slots]: minus infinity as long as no hypothesis has finished."""
        self.best_end = zeros(slots, 4)
        """[slots, 4]: of the best hypothesis its last step, parent there, token or -1, and whether it is finished."""
        self.best_gain = zeros(slots, dtype=torch.float32)

        log = size.log_steps, slots, size.candidates
        self.log_links = zeros(*log)
        self.log_gains = zeros(*log, dtype=torch.float32)
        self.log_sums = zeros(*log, dtype=torch.float64)
        self.log_step = zeros(1)

        self.divisors = zeros(capacity + 1, dtype=torch.float64) + 1
        self.forbidden_ids = zeros(size.forbidden)
        self.min_length = zeros(1)

        self.slot_numbers = torch.arange(slots, device=device)
        self.rows = torch.arange(beam, device=device)
        self.positions = torch.arange(capacity, device=device)
        first = torch.full((beam,), -torch.inf, dtype=torch.float64, device=device)
        first[0] = 0
        self._first_sums = first

    def begin(self, rules: Rules) -> None:
        """Forget all sentences, and search with these rules from now on."""
        device = self.status.device
        self.status.zero_()
        self.log_step.zero_()
        self.divisors.copy_(on_device(rules.divisors[: self.size.capacity + 1], device, torch.float64))
        if rules.forbidden_ids:
            self.forbidden_ids.copy_(on_device(rules.forbidden_ids, device, torch.int64))
        self.min_length.fill_(rules.min_length)

    def fill(self, numbers: Sequence[int], encoded: Encoded, places: Sequence[int], limits: Sequence[int]) -> None:
        """Put sentences, those at ``places`` of what was encoded together, into the slots with these numbers."""
        device = self.status.device
        table = on_device([*zip(numbers, places, limits, strict=True)], device, torch.int64)  # type: ignore[arg-type]
        slots, chosen, limit = table.unbind(1)
        width = encoded.cross.shape[4]
        self.cross[:, :, :, :, :width].index_copy_(0, slots, encoded.cross.index_select(0, chosen))
        length = encoded.lengths.index_select(0, chosen)
        hidden = self.positions >= length[:, None]
        mask = torch.zeros_like(hidden, dtype=self.cross_mask.dtype).masked_fill(hidden, -torch.inf)
        self.cross_mask.index_copy_(0, slots, mask[:, None, None])
        self.limit.index_copy_(0, slots, limit)
        self.sums.index_copy_(0, slots, self._first_sums.expand(len(numbers), -1))
        own = self.rows[None, :, None].expand(len(numbers), -1, self.size.capacity)
        self.ancestry.index_copy_(0, slots, own)
        for state, value in (
            (self.status, LIVE),
            (self.step, 0),
            (self.last_ids, self.start_id),
            (self.num_finished, 0),
            (self.best_score, -torch.inf),
        ):
            state.index_fill_(0, slots, value)

    def numbers(self, numbers: Sequence[int]) -> Tensor:
        """Return numbers of slots as an index."""
        return on_device(numbers, self.status.device, torch.int64)

    def clear(self, numbers: Sequence[int]) -> None:
        """Remove what a broken sentence left: a NaN behind a mask would spoil the next one."""
        slots = self.numbers(numbers)
        self.past.index_fill_(1, slots, 0)
        self.cross.index_fill_(0, slots, 0)

    def stop(self, numbers: Sequence[int]) -> None:
        """Take no more steps with these slots."""
        self.status.index_fill_(0, self.numbers(numbers), OVER)

    def view(self, target: int, source: int) -> View:
        """Return what the next step sees of the first positions."""
        ancestors = self.ancestry[:, :, :target, None] == self.rows
        is_past = self.positions[:target] <= self.step[:, None]
        may_attend = (ancestors & is_past[:, None, :, None]).flatten(2)[:, None]
        mask = torch.zeros_like(may_attend, dtype=self.past.dtype).masked_fill(~may_attend, -torch.inf)
        return View(
            past=self.past,
            cross=self.cross,
            slots=self.slot_numbers,
            step=self.step,
            past_mask=mask,
            cross_mask=self.cross_mask[..., :source],
            target=target,
            source=source,
        )
