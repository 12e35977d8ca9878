"""The threads that translate: each takes a batch, translates it, and hands the results back.

A sentence that makes the translator fail, fails alone: its batch is translated again sentence by sentence. Anything
else that ends a thread is noted, and the service says that it is not healthy. Read ``../service.py`` next.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.errors import PellucidError
from pellucid.serving.scheduling.queue import WorkQueue
from pellucid.serving.scheduling.work import Batch, Outcome

__all__ = ["Workers", "place_of"]


class Workers:
    """Threads that empty a queue.

    Args:
        queue: what they take batches from.
        number: of the threads.
        on_batch: called with each batch before it is translated, and the seconds that it took afterwards.
    """

    def __init__(
        self, queue: WorkQueue, *, number: int, on_batch: Callable[[Batch, float], None] = lambda batch, seconds: None
    ) -> None:
        self._queue = queue
        self._on_batch = on_batch
        self._begun_at: dict[threading.Thread, float] = {}
        self.problem: str | None = None
        self._threads = [threading.Thread(target=self._run, name=f"translate-{i}", daemon=True) for i in range(number)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until the queue is empty and the threads have ended."""
        self._queue.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def longest_seconds(self) -> float:
        """Return for how long the oldest of the running batches has been translated."""
        now = self._queue.clock()
        return max((now - begun for begun in [*self._begun_at.values()]), default=0.0)

    def _run(self) -> None:
        me = threading.current_thread()
        try:
            while (batch := self._queue.take()) is not None:
                begun = self._begun_at[me] = self._queue.clock()
                outcomes = _translated(batch)
                del self._begun_at[me]
                seconds = self._queue.clock() - begun
                self._on_batch(batch, seconds)
                for work, places in self._queue.finish(batch, seconds):
                    work.on_done([(batch.places[place][1], outcomes[place]) for place in places])
        except BaseException as error:
            self.problem = f"a thread that translates ended: {place_of(error)}"
            logging.getLogger("pellucid.serving").error("%s", self.problem)


def _translated(batch: Batch) -> Sequence[Outcome]:
    places = range(len(batch.places))
    try:
        return _together(batch, places)
    except Exception as error:
        if len(places) == 1:
            return [_noted(error)]
    # Outside of the except clause, whose error keeps what the search used alive.
    outcomes: list[Outcome] = []
    for place in places:
        try:
            outcomes += _together(batch, [place])
        except Exception as error:
            outcomes.append(_noted(error))
    return outcomes


def _together(batch: Batch, places: Sequence[int]) -> Sequence[Outcome]:
    sentences = batch.sentences
    settings: dict[str, Any] = dict(batch.group.settings)
    if batch.group.completes is not None:
        prefix, count = batch.group.completes
        return [
            batch.group.translator.alternatives(sentences[place].text, prefix, count, **settings) for place in places
        ]
    is_whole = len(places) == len(sentences)
    translator = batch.group.translator
    return (translator.with_drops(batch.drops) if is_whole else translator).translate(
        [sentences[place].text for place in places],
        target_prefix=[sentences[place].prefix for place in places],
        **settings,
    )


def _noted(error: Exception) -> Exception:
    """Log the place of an error that is not the user's; never its message, which may quote the user's text."""
    if not isinstance(error, PellucidError):
        logging.getLogger("pellucid.serving").error("a sentence could not be translated: %s", place_of(error))
    return error


def place_of(error: BaseException) -> str:
    """Return the kind of an error and where it was raised, without its message, which may quote a user's text."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return f"{type(error).__name__} at " + " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))
