"""Hand sentences to ``engine.c`` and bring its hypotheses back.

Each thread runs the C function with a worker of its own; ctypes releases the interpreter's lock meanwhile, and the
threads take sentences from one counter. Read ``engine.c`` next.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pellucid.config import LengthPenalty
from pellucid.translation.engines.native import layout
from pellucid.translation.engines.native.library import Library
from pellucid.translation.engines.native.preparation import Prepared

__all__ = ["Found", "SearchSettings", "Workers", "run_search"]

ROWS_AT_ONCE: Final = 160
"""Rows of a step, over all its sentences: enough for full speed, few enough for the second-level cache."""
_SHORTEST: Final = 256
_PENALTIES: Final = (LengthPenalty.NONE, LengthPenalty.AVERAGE, LengthPenalty.GNMT)
_SECONDS_BETWEEN_LOOKS: Final = 0.1
NOT_FINITE: Final = -1
NO_MEMORY: Final = -2


@dataclass(frozen=True)
class SearchSettings:
    """What ``engine.c`` is told of a search; see ``TranslationConfig`` for the meanings."""

    beam_size: int
    n_best: int
    length_penalty: LengthPenalty
    alpha: float
    min_length: int
    no_repeat_ngram_size: int
    end_id: int
    forbidden_ids: tuple[int, ...]
    seen_head: tuple[int, int] | None = None
    """Layer and head of the decoder whose cross-attention is wanted."""


@dataclass(frozen=True)
class Found:
    """A hypothesis as the search came to it; ``seen`` is [tokens, source] where a head was wanted."""

    ids: tuple[int, ...]
    gains: tuple[float, ...]
    is_finished: bool
    seen: NDArray[np.float32] | None = None


class Workers:
    """The workers of one model, made when they are needed and kept for the next call."""

    def __init__(self, library: Library, prepared: Prepared) -> None:
        self.library = library
        self.prepared = prepared
        self._lock = threading.Lock()
        self._idle: dict[tuple[int, int, int, int], list[int]] = {}

    def take(self, key: tuple[int, int, int, int]) -> int:
        """Return a worker for (slots, beam_size, n_best, longest) that nobody else uses until ``give_back``.

        Raises:
            MemoryError: there is no memory for it.
        """
        with self._lock:
            idle = self._idle.get(key)
            if idle:
                return idle.pop()
            self._end_all()  # of other sizes: one set is kept
        worker = self.library.new_worker(ctypes.addressof(self.prepared.record), *key)
        if not worker:
            raise MemoryError
        return int(worker)

    def give_back(self, key: tuple[int, int, int, int], worker: int) -> None:
        """Keep a worker for the next call of the same sizes."""
        with self._lock:
            self._idle.setdefault(key, []).append(worker)

    def _end_all(self) -> None:
        for workers in self._idle.values():
            for worker in workers:
                self.library.end_worker(worker)
        self._idle.clear()

    def __del__(self) -> None:
        self._end_all()


def run_search(
    workers: Workers,
    source_ids: Sequence[Sequence[int]],
    *,
    prefixes: Sequence[Sequence[int]],
    limits: Sequence[int],
    settings: SearchSettings,
    threads: int,
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[Found] | int]:
    """Search every sentence; a number stands for one that failed: ``NOT_FINITE`` or ``NO_MEMORY``.

    Args:
        workers: of the model.
        source_ids: with the end of sentence, each within the model's vocabulary and positions.
        prefixes: ids that each translation begins with.
        limits: most tokens of each translation, end of sentence included.
        settings: of the search.
        threads: that compute at once.
        progress: told how many sentences are done, now and then.

    Raises:
        MemoryError: there is no memory for even one worker.
    """
    if not source_ids:
        return []
    job = _JobMemory(source_ids, prefixes, limits, settings, vocab_size=workers.prepared.config.target_vocab_size)
    threads = min(threads, len(source_ids))
    slots = max(1, min(ROWS_AT_ONCE // settings.beam_size, -(-len(source_ids) // threads)))
    needed = max(max(limits), max(map(len, source_ids))) + 1
    key = (slots, settings.beam_size, settings.n_best, max(_SHORTEST, 1 << (needed - 1).bit_length()))
    problems: list[BaseException] = []

    def run() -> None:
        try:
            worker = workers.take(key)
        except BaseException as error:
            problems.append(error)
            return
        try:
            workers.library.run(worker, ctypes.addressof(job.record))
        finally:
            workers.give_back(key, worker)

    if threads == 1 and len(source_ids) <= slots:
        run()
    else:
        _run_in_threads(run, threads, job.record, progress)
    if problems and job.record.num_done < len(source_ids):
        raise problems[0]
    return job.results()


def _run_in_threads(run: Callable[[], None], threads: int, record: layout.Job, progress: Callable[[int], None]) -> None:
    """Run in threads, so that this one hears of Ctrl-C; a search that is interrupted stops at its next step."""
    running = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        while any(thread.is_alive() for thread in running):
            next(t for t in [*running, running[0]] if t.is_alive() or t is running[0]).join(_SECONDS_BETWEEN_LOOKS)
            progress(record.num_done)
    except BaseException:
        record.is_cancelled = 1
        for thread in running:
            thread.join()
        raise


class _JobMemory:
    """The arrays that a job points to, in the order in which sentences are taken: the longest first."""

    def __init__(
        self,
        source_ids: Sequence[Sequence[int]],
        prefixes: Sequence[Sequence[int]],
        limits: Sequence[int],
        settings: SearchSettings,
        *,
        vocab_size: int,
    ) -> None:
        self.order = sorted(range(len(source_ids)), key=lambda i: -len(source_ids[i]))
        self.n_best = settings.n_best
        self.lengths_of_sources = [len(source_ids[i]) for i in self.order]
        self.limits = [limits[i] for i in self.order]
        count = len(self.order)
        self.starts = [0, *accumulate(limit * self.n_best for limit in self.limits)]
        self.seen_starts = [0]
        places = zip(self.limits, self.lengths_of_sources, strict=True)
        if settings.seen_head is not None:
            self.seen_starts += accumulate(limit * self.n_best * length for limit, length in places)
        is_forbidden = np.zeros(vocab_size, np.uint8)
        is_forbidden[list(settings.forbidden_ids)] = 1
        self.arrays: dict[str, NDArray[Any]] = {
            "source_ids": _flat(source_ids, self.order),
            "source_starts": _starts(source_ids, self.order),
            "prefix_ids": _flat(prefixes, self.order),
            "prefix_starts": _starts(prefixes, self.order),
            "limits": np.array(self.limits, np.int32),
            "result_starts": np.array(self.starts, np.int64),
            "ids": np.zeros(self.starts[-1], np.int32),
            "gains": np.zeros(self.starts[-1], np.float32),
            "lengths": np.zeros((count, self.n_best), np.int32),
            "is_finished": np.zeros((count, self.n_best), np.int32),
            "num_hypotheses": np.full(count, NO_MEMORY, np.int32),
            "seen": np.zeros(self.seen_starts[-1], np.float32),
            "seen_starts": np.array(self.seen_starts, np.int64),
        }
        self.is_forbidden = is_forbidden
        layer, head = settings.seen_head or (-1, -1)
        self.record = layout.Job(
            num_sentences=count,
            settings=layout.Settings(
                beam_size=settings.beam_size,
                n_best=settings.n_best,
                length_penalty=_PENALTIES.index(settings.length_penalty),
                min_length=settings.min_length,
                no_repeat_ngram_size=settings.no_repeat_ngram_size,
                end_id=settings.end_id,
                alpha=settings.alpha,
                is_forbidden=is_forbidden.ctypes.data,
                seen_layer=layer,
                seen_head=head,
            ),
            **{name: array.ctypes.data for name, array in self.arrays.items()},
        )

    def results(self) -> list[list[Found] | int]:
        """Return what became of each sentence, in the order of the call."""
        found: list[list[Found] | int] = [NO_MEMORY] * len(self.order)
        for place, sentence in enumerate(self.order):
            number = int(self.arrays["num_hypotheses"][place])
            found[sentence] = number if number < 0 else [self._hypothesis(place, k) for k in range(number)]
        return found

    def _hypothesis(self, place: int, rank: int) -> Found:
        start = self.starts[place] + rank * self.limits[place]
        length = int(self.arrays["lengths"][place, rank])
        seen = None
        if len(self.seen_starts) > 1:
            width = self.lengths_of_sources[place]
            first = self.seen_starts[place] + rank * self.limits[place] * width
            seen = self.arrays["seen"][first : first + length * width].reshape(length, width).copy()
        return Found(
            ids=tuple(self.arrays["ids"][start : start + length].tolist()),
            gains=tuple(self.arrays["gains"][start : start + length].tolist()),
            is_finished=bool(self.arrays["is_finished"][place, rank]),
            seen=seen,
        )


def _flat(rows: Sequence[Sequence[int]], order: Sequence[int]) -> NDArray[np.int32]:
    return np.fromiter(chain.from_iterable(rows[i] for i in order), np.int32)


def _starts(rows: Sequence[Sequence[int]], order: Sequence[int]) -> NDArray[np.int64]:
    return np.array([0, *accumulate(len(rows[i]) for i in order)], np.int64)
