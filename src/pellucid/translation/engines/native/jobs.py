"""Hand sentences to ``engine.c`` and bring its hypotheses back.

Each thread runs the C function with a worker of its own; ctypes releases the interpreter's lock meanwhile, and the
threads take sentences from one counter. Read ``memory.py`` next.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Final

from pellucid.translation.engines.native import layout
from pellucid.translation.engines.native.library import Library
from pellucid.translation.engines.native.memory import JobMemory, SearchSettings, Sentence
from pellucid.translation.engines.native.preparation import Prepared
from pellucid.translation.hypothesis import Hypothesis

if TYPE_CHECKING:
    from pellucid.config import ModelConfig

__all__ = ["Workers", "run_search"]

_FEWEST_SENTENCES: Final = 4
"""That are searched together, if there are as many and their beams are not wide."""
_MOST_ROWS: Final = 96
_SHORTEST: Final = 128
_SECONDS_BETWEEN_LOOKS: Final = 0.1


class Workers:
    """The workers of one model, made when they are needed and kept for the next call."""

    def __init__(self, library: Library, prepared: Prepared) -> None:
        self.library = library
        self.prepared = prepared
        self._lock = threading.Lock()
        self._idle: dict[tuple[int, int, int], list[int]] = {}

    def take(self, key: tuple[int, int, int]) -> int:
        """Return a worker for (slots, beam_size, longest) that nobody else uses until ``give_back``.

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

    def give_back(self, key: tuple[int, int, int], worker: int) -> None:
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
    sentences: Sequence[Sentence],
    *,
    settings: SearchSettings,
    threads: int,
    key_of: Callable[[Sequence[int]], Hashable] | None = None,
    progress: Callable[[int], None] = lambda done: None,
    on_begin: Callable[[JobMemory], None] = lambda job: None,
) -> list[list[Hypothesis] | int]:
    """Search every sentence; a number stands for one that failed: ``NOT_FINITE`` or ``NO_MEMORY``.

    Args:
        workers: of the model.
        sentences: to translate.
        settings: of the search.
        threads: that compute at once.
        key_of: see ``SearchRequest``; None where all hypotheses differ.
        progress: told how many sentences are done, now and then.
        on_begin: gets the job, whose ``drop`` stops a sentence.

    Raises:
        MemoryError: there is no memory for even one worker.
    """
    if not sentences:
        return []
    job = JobMemory(sentences, settings, config=workers.prepared.config, key_of=key_of)
    on_begin(job)
    threads = min(threads, len(sentences))
    rows = max(_rows_at_once(workers.prepared.config), min(_FEWEST_SENTENCES * settings.beam_size, _MOST_ROWS))
    slots = max(1, min(rows // settings.beam_size, -(-len(sentences) // threads)))
    needed = max(max(one.limit, len(one.source_ids)) for one in sentences) + 1
    key = (slots, settings.beam_size, max(_SHORTEST, 1 << (needed - 1).bit_length()))
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

    if threads == 1 and (len(sentences) <= slots or threading.current_thread() is not threading.main_thread()):
        run()  # soon over, or nobody's Ctrl-C comes to this thread
    else:
        _run_in_threads(run, threads, job.record, progress)
    if job.problem is not None:
        raise job.problem
    if problems and job.record.num_done < len(sentences):
        raise problems[0]
    return job.results()


def _rows_at_once(config: ModelConfig) -> int:
    """Return how many rows a step has, over all its sentences: 12 for ``small``, 18 for ``base``.

    A step reads the weights once and the keys and values of every row. Those of a few rows stay in the second-level
    cache of the processor; weights that are larger than it are read for more rows at once.
    """
    d_model = config.d_model
    layer = 2 * d_model * (4 * d_model + config.d_feedforward)
    weights = config.num_decoder_layers * layer + d_model * config.target_vocab_size
    return min(max(weights // 8_000_000 * 6, 12), _MOST_ROWS)


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
