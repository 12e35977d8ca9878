"""The queue of the service: bounded in tokens and requests; who is next, who is refused, who is left out.

1. Work is refused when the tokens of everything that waits or is being translated, or the requests, are at the limit.
2. Interactive work comes before bulk work, but every fifth batch is of bulk work where both wait.
3. Sentences of one batch have the same model and settings. Groups take turns; within a group requests take turns,
   sentence by sentence, so that a small request never waits for all sentences of a large one.
4. A batch takes no more than a fair share of what waits, so that all threads have work.
5. Work whose deadline has passed is not begun. Cancelled work leaves the queue at once, and running sentences stop.

Read ``workers.py`` next.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pellucid.errors import RequestError
from pellucid.serving.scheduling.work import Batch, Group, Work
from pellucid.translation.engines.dropping import Drops

__all__ = ["FullError", "QueueBounds", "WorkQueue"]

_INTERACTIVE_BATCHES: Final = 4
"""As many interactive batches before one of bulk work, where both wait."""
_REMEMBERED_SECONDS: Final = 10.0
"""A batch counts for a third of its weight in the speed after this time. Each counts by its tokens and its seconds, so
that small ones, which are slow for their size, and the first one, say little of a full queue."""
_RETRY_SECONDS: Final = (1, 30)


class FullError(RequestError):
    """The queue has no room; ``retry_after_seconds`` is when it may have."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class QueueBounds:
    """Limits of the queue; see ``ServiceLimits``."""

    tokens: int
    requests: int
    batch_tokens: int
    workers: int = 1


class WorkQueue:
    """Work in lines by priority and group; safe for several threads.

    Args:
        bounds: its limits.
        clock: seconds that never go back.
    """

    def __init__(self, bounds: QueueBounds, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.bounds = bounds
        self.clock = clock
        self._changed = threading.Condition()
        self._lines: dict[bool, OrderedDict[Group, deque[Work]]] = {False: OrderedDict(), True: OrderedDict()}
        self._inside: set[Work] = set()
        self._tokens = 0
        self._interactive_in_a_row = 0
        self._is_closed = False
        self._done_tokens = self._done_seconds = 0.0
        self._finished_at = 0.0

    @property
    def tokens(self) -> int:
        """Tokens of everything that waits or is being translated."""
        return self._tokens

    @property
    def requests(self) -> int:
        """Requests that wait or are being translated."""
        return len(self._inside)

    def refuse_if_full(self, tokens: int = 0) -> None:
        """Raise ``FullError`` if there is no room for a request of so many tokens."""
        if self.requests >= self.bounds.requests or (self._tokens and self._tokens + tokens > self.bounds.tokens):
            raise FullError("the queue is full; try again later", self.retry_after_seconds())

    def retry_after_seconds(self) -> int:
        """Estimate after how many seconds the queue will be empty."""
        low, high = _RETRY_SECONDS
        done = self._done_tokens * self.bounds.workers
        seconds = self._tokens * self._done_seconds / done if done else low
        return math.ceil(min(max(seconds, low), high))

    def add(self, work: Work) -> None:
        """Add work to its line.

        Raises:
            FullError: there is no room. A request over the limit alone is let in when nothing else is there.
        """
        with self._changed:
            tokens = work.tokens
            self.refuse_if_full(tokens)
            self._inside.add(work)
            self._tokens += tokens
            self._lines[work.is_bulk].setdefault(work.group, deque()).append(work)
            self._changed.notify(len(work.sentences))

    def cancel(self, work: Work) -> None:
        """Take work out of the queue, and stop those of its sentences that are being translated."""
        with self._changed:
            work.is_cancelled = True
            self._leave(work)
            running = [*work.running.values()]
        for drops, place in running:
            drops.drop(place)

    def take(self) -> Batch | None:
        """Wait for the next batch; None after ``close``, once nothing waits."""
        with self._changed:
            while (batch := self._next_batch()) is None:
                if self._is_closed:
                    return None
                self._changed.wait()
            return batch

    def finish(self, batch: Batch, seconds: float) -> list[tuple[Work, list[int]]]:
        """Note that a batch is done; return the places in it that somebody waits for, for each work."""
        with self._changed:
            if seconds > 0:
                now = self.clock()
                kept = math.exp((self._finished_at - now) / _REMEMBERED_SECONDS)
                self._done_tokens = kept * self._done_tokens + batch.tokens
                self._done_seconds = kept * self._done_seconds + seconds
                self._finished_at = now
            waited_for: dict[Work, list[int]] = {}
            for place, (work, number) in enumerate(batch.places):
                work.running.pop(number)
                self._tokens -= work.sentences[number].tokens
                if not work.is_cancelled:
                    waited_for.setdefault(work, []).append(place)
                if not work.waiting and not work.running:
                    self._inside.discard(work)
            return list(waited_for.items())

    def close(self) -> None:
        """Let the workers end once nothing waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _leave(self, work: Work) -> None:
        self._tokens -= sum(work.sentences[number].tokens for number in work.waiting)
        work.waiting.clear()
        if not work.running:
            self._inside.discard(work)

    def _next_batch(self) -> Batch | None:
        is_bulk = bool(self._lines[True]) and (
            not self._lines[False] or self._interactive_in_a_row >= _INTERACTIVE_BATCHES
        )
        for kind in (is_bulk, not is_bulk):
            lines = self._lines[kind]
            while lines:
                group, line = next(iter(lines.items()))
                batch = self._batch_of(group, line)
                del lines[group]
                if line:
                    lines[group] = line  # behind the other groups
                if batch is not None:
                    self._interactive_in_a_row = 0 if kind else self._interactive_in_a_row + 1
                    return batch
        return None

    def _batch_of(self, group: Group, line: deque[Work]) -> Batch | None:
        """Take the next sentences of a line, a sentence of each request in turn."""
        waiting = sum(work.sentences[number].tokens for work in line for number in work.waiting)
        budget = min(self.bounds.batch_tokens, -(-waiting // self.bounds.workers))
        drops = Drops()
        places: list[tuple[Work, int]] = []
        now, tokens = self.clock(), 0
        while line and (not places or tokens < budget):
            work = line[0]
            if work.deadline <= now and not work.is_begun:
                self._leave(work)
            if not work.waiting:
                line.popleft()
                continue
            size = work.sentences[work.waiting[0]].tokens
            if places and tokens + size > self.bounds.batch_tokens:
                break
            number = work.waiting.popleft()
            work.running[number] = drops, len(places)
            work.is_begun = True
            places.append((work, number))
            tokens += size
            line.rotate(-1)
        return Batch(group, places, drops) if places else None
