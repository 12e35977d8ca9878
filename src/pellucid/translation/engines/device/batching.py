"""Continuous batching: a sentence leaves its slot when it ends, and a waiting one takes it.

The processor looks at the device once in a few steps. It

1. waits for what the last steps came to, and asks for the hypotheses of the slots that have ended;
2. puts waiting sentences into these slots, and launches the next steps;
3. reads the hypotheses while those steps run.

Read ``engine.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from pellucid.translation.candidates import NOT_NUMBERS
from pellucid.translation.engines.device.lists import Listed, NotANumber
from pellucid.translation.engines.device.reading import Ended, Reading
from pellucid.translation.engines.device.slots import BROKEN, LIVE, Slots
from pellucid.translation.engines.device.waiting import Sentence, Waiting, width_of
from pellucid.translation.engines.engine import Outcome, SearchRequest
from pellucid.translation.hypothesis import Hypothesis, make_hypothesis

__all__ = ["STEPS_AT_ONCE", "Batching"]

STEPS_AT_ONCE: Final = 4
"""Steps between two looks. A sentence that has ended occupies its slot for one and a half more in the mean."""


class Batching:
    """A search of some sentences, all with the same settings.

    Args:
        slots: in which they are searched; ``begin`` was called.
        step: takes a step, given how many positions of target and source it may see.
        waiting: the sentences.
        request: its settings.
    """

    def __init__(
        self, slots: Slots, step: Callable[[int, int], None], waiting: Waiting, request: SearchRequest
    ) -> None:
        self._slots = slots
        self._step = step
        self._waiting = waiting
        self._seated: dict[int, Sentence] = {}
        self._collector = _ListCollector(slots, request) if slots.size.log_steps else _BestCollector(slots, request)
        self._ages = np.zeros(slots.size.slots, np.int64)
        """How many steps each slot has taken since it was filled, where nothing ended it before."""

    @property
    def is_over(self) -> bool:
        """Whether all results were returned."""
        return not self._seated and not len(self._waiting)

    @torch.inference_mode()
    def advance(self) -> list[Outcome]:
        """Take a few steps, and return the results of the sentences that had ended before."""
        ended = self._collector.ended(self._seated, self._ages)
        sentences = [self._seated.pop(number) for number in ended]
        self._fill()
        if self._seated:
            self._collector.asked(self._run())
        return [(one.place, result) for one, result in zip(sentences, self._collector.results(), strict=True)]

    def _fill(self) -> None:
        free = [number for number in range(self._slots.size.slots) if number not in self._seated]
        for loaded in self._waiting.take(len(free)):
            numbers, free = free[: len(loaded.sentences)], free[len(loaded.sentences) :]
            limits = [sentence.limit for sentence in loaded.sentences]
            self._slots.fill(numbers, loaded.encoded, loaded.places, limits)
            for number, sentence in zip(numbers, loaded.sentences, strict=True):
                self._seated[number] = sentence
                self._ages[number] = 0
                self._collector.seated(number, sentence)

    def _run(self) -> int:
        """Launch steps, and return how many."""
        numbers = list(self._seated)
        limits = np.asarray([sentence.limit for sentence in self._seated.values()])
        source = width_of(max(len(sentence.ids) for sentence in self._seated.values()))
        count = min(STEPS_AT_ONCE, int((limits - self._ages[numbers]).max()))
        for _ in range(count):
            longest = int(np.minimum(self._ages[numbers] + 1, limits).max())
            self._step(width_of(longest), source)
            self._ages[numbers] += 1
        return count


class _Collector(Protocol):
    """Knows which slots have ended, and what their searches came to."""

    def seated(self, number: int, sentence: Sentence) -> None:
        """Begin with a sentence in a slot."""

    def asked(self, steps: int) -> None:
        """Ask what these steps came to; do not wait."""

    def ended(self, seated: Mapping[int, Sentence], ages: NDArray[np.int64]) -> list[int]:
        """Return the slots that have ended, and ask for their hypotheses."""

    def results(self) -> Iterator[list[Hypothesis] | str]:
        """Yield what became of each slot that ``ended`` returned, in that order."""


class _BestCollector:
    """The best hypothesis of each sentence, which the device keeps."""

    def __init__(self, slots: Slots, request: SearchRequest) -> None:
        self._slots = slots
        self._config = request.config
        self._status: Reading | None = None
        self._ended: Ended | None = None
        self._broken: list[bool] = []

    def seated(self, number: int, sentence: Sentence) -> None:
        pass

    def asked(self, steps: int) -> None:
        self._status = Reading(self._slots.status)

    def ended(self, seated: Mapping[int, Sentence], ages: NDArray[np.int64]) -> list[int]:
        if self._status is None:
            return []
        (status,) = self._status.arrays()
        numbers = [number for number in seated if status[number] != LIVE]
        self._status = self._ended = None
        if not numbers:
            return []
        self._broken = [bool(status[number] == BROKEN) for number in numbers]
        slots, steps = self._slots, max(int(ages[number]) for number in numbers)
        which = slots.numbers(numbers)
        self._ended = Ended(
            slots.best_end.index_select(0, which),
            slots.best_gain.index_select(0, which),
            slots.links[:, :steps].index_select(0, which),
            slots.gains[:, :steps].index_select(0, which),
        )
        if any(self._broken):
            slots.clear([number for number, is_broken in zip(numbers, self._broken, strict=True) if is_broken])
        return numbers

    def results(self) -> Iterator[list[Hypothesis] | str]:
        if self._ended is None:
            return
        form, alpha = self._config.length_penalty, self._config.alpha
        for is_broken, (ids, gains, is_finished) in zip(self._broken, self._ended, strict=True):
            hypothesis = make_hypothesis(ids, gains, is_finished=is_finished, form=form, alpha=alpha)
            yield NOT_NUMBERS if is_broken else [hypothesis]


class _ListCollector:
    """The best hypotheses of each sentence, which the processor chooses among what the device wrote down."""

    def __init__(self, slots: Slots, request: SearchRequest) -> None:
        self._slots = slots
        self._config = request.config
        self._eos_id = request.constraints.eos_id
        self._key_of: Callable[[Sequence[int]], Hashable] = cache(request.key_of)  # asked for again and again
        self._listed: dict[int, Listed] = {}
        self._log: Reading | None = None
        self._results: list[list[Hypothesis] | str] = []

    def seated(self, number: int, sentence: Sentence) -> None:
        self._listed[number] = Listed(self._config, eos_id=self._eos_id, limit=sentence.limit, key_of=self._key_of)

    def asked(self, steps: int) -> None:
        slots = self._slots
        self._log = Reading(slots.log_links[:steps], slots.log_gains[:steps], slots.log_sums[:steps])
        slots.log_step.zero_()

    def ended(self, seated: Mapping[int, Sentence], ages: NDArray[np.int64]) -> list[int]:
        if self._log is None:
            return []
        links, gains, sums = self._log.arrays()
        self._log, self._results = None, []
        numbers = [number for number in seated if self._follow(number, links, gains, sums)]
        if numbers:
            self._slots.stop(numbers)
        return numbers

    def _follow(self, number: int, *log: NDArray[Any]) -> bool:
        """Give a sentence its candidates; return whether it has ended."""
        steps = zip(*(values[:, number].tolist() for values in log), strict=True)
        listed = self._listed[number]
        try:
            if not any(listed.take(*candidates) for candidates in steps):
                return False
            self._results.append(listed.best())
        except NotANumber:
            self._results.append(NOT_NUMBERS)
            self._slots.clear([number])
        del self._listed[number]
        return True

    def results(self) -> Iterator[list[Hypothesis] | str]:
        yield from self._results
