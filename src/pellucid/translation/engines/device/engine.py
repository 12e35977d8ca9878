"""The device engine as the translator sees it: greedy and beam search in slots, on a GPU with CUDA graphs.

It searches what ``torch_engine.py`` searches, step by step, and lacks what would need a look at the device in every
step. Read ``network.py`` next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import torch

from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.model.transformer import Transformer
from pellucid.runtime import is_lack_of_memory
from pellucid.translation.constraints import max_length_of
from pellucid.translation.engines.device.batching import STEPS_AT_ONCE, Batching
from pellucid.translation.engines.device.graphs import CudaGraphs, Graphs, Stepped
from pellucid.translation.engines.device.network import Network
from pellucid.translation.engines.device.selection import advance
from pellucid.translation.engines.device.slots import Rules, Size, Slots
from pellucid.translation.engines.device.waiting import Sentence, Waiting, width_of
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.hypothesis import length_divisor

if TYPE_CHECKING:
    from pellucid.translation.units import Unit

__all__ = ["DeviceEngine"]

_ROWS_AT_ONCE: Final = {"cuda": 2560, "cpu": 96}
"""Rows of a step, over all slots."""
_SHARE_OF_MEMORY: Final = 8
"""The slots of one size may use the memory of the device divided by this."""
_MEMORY_OF_A_PROCESSOR: Final = 8 << 30
_WIDEST_BEAM: Final = 64
_MOST_SIZES: Final = 4
"""Sets of slots that are kept for the next search."""
_NO_MEMORY: Final = "there is not enough memory for this text; lower beam_size or n_best, or split the text"
_NAMES: Final = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}


def _nobody(text: str) -> None:
    pass


class DeviceEngine:
    """Searches by a Transformer, in the number format and on the device of its weights.

    Args:
        model: in evaluation mode; it may not be trained or moved afterwards.
        graphs: records steps; None is CUDA graphs on a GPU, and none elsewhere.
        rows_at_once: rows of a step; 0 is what suits the device.
        say: called with a sentence if a step cannot be recorded.
    """

    def __init__(
        self,
        model: Transformer,
        *,
        graphs: Callable[[], Graphs] | None = None,
        rows_at_once: int = 0,
        say: Callable[[str], None] = _nobody,
    ) -> None:
        self._network = Network(model)
        device = self._network.device
        self._graphs = (lambda: CudaGraphs(device)) if graphs is None and device.type == "cuda" else graphs
        self._rows_at_once = rows_at_once or _ROWS_AT_ONCE[device.type]
        self._say = say
        self._lock = threading.Lock()
        self._idle: list[tuple[Slots, Stepped]] = []
        self.name = f"device ({_NAMES[self._network.dtype]})"

    def divided(self) -> tuple[DeviceEngine, int]:
        """Return this engine and how many calls at once keep the device busy: one is searched, one prepared or read."""
        return self, 1 if self._network.device.type == "cpu" else 2

    def lacks(self, request: SearchRequest) -> str | None:
        """Return what this engine cannot do, or None."""
        config = request.config
        lacking = {
            "sampling": config.sampling,
            "a forced prefix": any(unit.prefix.longest for unit in request.units),
            "a record of the search": request.observer is not None,
            "terms": any(unit.watch is not None for unit in request.units),
            "no_repeat_ngram_size": config.no_repeat_ngram_size > 0,
            "the attention of one head": request.head is not None,
            f"a beam over {_WIDEST_BEAM}": config.beam_size > _WIDEST_BEAM,
        }
        return next((what for what, is_wanted in lacking.items() if is_wanted), None)

    def search(self, request: SearchRequest) -> Iterator[Outcome]:
        """Search all units. Long ones get slots of their own where short ones would have to do with fewer slots."""
        groups: dict[int, list[Sentence]] = {}
        beam = request.config.beam_size
        for place, unit in enumerate(request.units):
            try:
                sentence = self._sentence(place, unit, request.config)
            except RequestError as error:
                yield place, str(error)
            else:
                groups.setdefault(width_of(max(sentence.limit, len(sentence.ids))), []).append(sentence)
        most = self._most_slots(1, beam)
        shared = max((width for width in groups if self._most_slots(width, beam) == most), default=0)
        together = [sentence for width in groups if width <= shared for sentence in groups[width]]
        groups = {width: some for width, some in groups.items() if width > shared} | {shared: together}
        for capacity in sorted(groups, reverse=True):
            yield from self._search_group(capacity, groups[capacity], request)

    def _sentence(self, place: int, unit: Unit, config: TranslationConfig) -> Sentence:
        positions = self._network.model.encoder.input.positions
        positions(len(unit.ids))  # refuses a source that is too long
        limit = max_length_of(len(unit.ids), config=config, stepper_max_length=positions.max_positions)
        return Sentence(place, unit.ids, limit)

    def _search_group(self, capacity: int, sentences: Sequence[Sentence], request: SearchRequest) -> Iterator[Outcome]:
        """Search sentences of one capacity; where memory runs out, what is left of them in fewer slots."""
        size = self._size(capacity, max(1, len(sentences)), request)
        left = {sentence.place: sentence for sentence in sentences}
        while left:
            try:
                for place, result in self._search_in(size, [*left.values()], request):
                    del left[place]
                    yield place, result
            except (RuntimeError, MemoryError) as error:
                if not is_lack_of_memory(error):
                    raise
            # Outside of the except clause, whose error keeps the tensors of the failed search alive.
            if not left or self._forget_idle():
                continue
            if size.slots == 1:
                yield from ((place, _NO_MEMORY) for place in left)
                return
            size = replace(size, slots=size.slots // 2)

    def _forget_idle(self) -> bool:
        """Free the memory of slots that no search uses, and return whether there were any."""
        with self._lock:
            had_some = bool(self._idle)
            self._idle.clear()
        return had_some

    def _size(self, capacity: int, count: int, request: SearchRequest) -> Size:
        beam, constraints = request.config.beam_size, request.constraints
        return Size(
            slots=min(self._most_slots(capacity, beam), 1 << (count - 1).bit_length()),
            beam_size=beam,
            capacity=capacity,
            forbidden=len(constraints.forbidden_ids),
            has_minimum=constraints.min_length > 0,
            eos_id=constraints.eos_id,
            log_steps=STEPS_AT_ONCE if request.config.n_best > 1 else 0,
        )

    def _most_slots(self, capacity: int, beam: int) -> int:
        """Return how many slots a step may have: a power of two, so that there are few sizes."""
        most = max(1, min(self._rows_at_once // beam, self._memory() // self._bytes_of_a_slot(capacity, beam)))
        return 1 << (most.bit_length() - 1)

    def _memory(self) -> int:
        """Return what the slots may use. It depends on the device alone, so that a search can be repeated exactly."""
        device = self._network.device
        if device.type == "cpu":
            return _MEMORY_OF_A_PROCESSOR // _SHARE_OF_MEMORY
        return int(torch.cuda.get_device_properties(device).total_memory) // _SHARE_OF_MEMORY

    def _bytes_of_a_slot(self, capacity: int, beam: int) -> int:
        config = self._network.config
        keys_values = 2 * config.num_decoder_layers * config.d_model * self._network.dtype.itemsize
        scores = 4 * torch.float32.itemsize * self._network.num_columns
        return (beam + 1) * capacity * keys_values + beam * scores

    def _search_in(self, size: Size, sentences: Sequence[Sentence], request: SearchRequest) -> Iterator[Outcome]:
        with self._here():
            slots, step = self._take(size)
            slots.begin(_rules(size, request))
            batching = Batching(slots, step, Waiting(self._network, sentences), request)
        while not batching.is_over:
            with self._here():
                outcomes = batching.advance()
            yield from outcomes
        with self._lock:
            self._idle = [(slots, step), *self._idle][:_MOST_SIZES]

    def _here(self) -> ExitStack:
        """Make the device of the model the present one."""
        stack = ExitStack()
        stack.enter_context(torch.inference_mode())
        if self._network.device.type == "cuda":
            stack.enter_context(torch.cuda.device(self._network.device))
        return stack

    def _take(self, size: Size) -> tuple[Slots, Stepped]:
        """Return slots that no other search uses until they are idle again."""
        with self._lock:
            for number, (slots, _) in enumerate(self._idle):
                if slots.size == size:
                    return self._idle.pop(number)
        slots = Slots(self._network, size)

        def step(target: int, source: int) -> None:
            advance(self._network, slots, target, source)

        return slots, Stepped(step, None if self._graphs is None else self._graphs(), self._do_without_graphs)

    def _do_without_graphs(self, why: str) -> None:
        with self._lock:
            is_known = self._graphs is None
            self._graphs = None
            for _, step in self._idle:
                step.graphs = None
        if not is_known:
            self._say(why)


def _rules(size: Size, request: SearchRequest) -> Rules:
    config, constraints = request.config, request.constraints
    lengths = range(size.capacity + 1)
    return Rules(
        divisors=[length_divisor(length, form=config.length_penalty, alpha=config.alpha) for length in lengths],
        forbidden_ids=constraints.forbidden_ids,
        min_length=constraints.min_length,
    )
