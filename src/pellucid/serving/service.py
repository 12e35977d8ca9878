"""The translation service: from the texts of a request to their translations, through the queue.

A request is refused before anything is computed for it if the queue is full. Then its texts are cut into sentences,
which wait and are translated with those of other requests. The request ends early when its client disconnects or its
deadline passes: what waits leaves the queue, and what runs stops at its next step.

Reading order: this file; ``scheduling/`` (the queue), ``models/``, ``access/``; ``protocols/`` (HTTP).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread

from pellucid.config.service import ServiceConfig
from pellucid.errors import ConfigError, PellucidError
from pellucid.serving.access.keys import Client, Clients
from pellucid.serving.cutting import CutText, cut_texts, settings_of
from pellucid.serving.gathering import Gathering
from pellucid.serving.metrics import Metrics
from pellucid.serving.models.pool import ModelPool, ServedPair
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.scheduling.queue import FullError, QueueBounds, WorkQueue
from pellucid.serving.scheduling.work import Group, Work
from pellucid.serving.scheduling.workers import Workers, place_of
from pellucid.serving.traces import ClientGoneError
from pellucid.serving.wishes import TextTranslation, Wish
from pellucid.translation.constraints import configured
from pellucid.translation.hypothesis import Translation
from pellucid.translation.translator import Translator

__all__ = ["Caller", "Service"]

_CUT_IN_THE_LOOP: Final = 2000
"""Characters that are cut at once; more are cut in a thread, so that other requests go on."""
_CUTTING_THREADS: Final = 2
_STALLED_SECONDS: Final = 30


@dataclass(frozen=True)
class Caller:
    """Who sent a request: a client, and what waits until it has disconnected."""

    client: Client
    until_gone: Callable[[], Awaitable[None]]
    deadline_seconds: float


class Service:
    """Models, clients and the queue.

    Args:
        pool: the models.
        config: limits and keys.
        threads: that translate.
    """

    def __init__(self, pool: ModelPool, config: ServiceConfig, *, threads: int = 1) -> None:
        limits = self.limits = config.limits
        self.pool = pool
        self.config = config
        self.clients = Clients(config.keys)
        self.metrics = Metrics()
        self.is_draining = False
        bounds = QueueBounds(limits.queue_tokens, limits.queue_requests, limits.batch_tokens, workers=threads)
        self.queue = WorkQueue(bounds)
        self._workers = Workers(self.queue, number=threads, on_batch=self.metrics.translated)
        self._cutting = anyio.CapacityLimiter(_CUTTING_THREADS)
        self._opening = anyio.CapacityLimiter(1)
        self._problem: str | None = None
        self.metrics.watch("queue_tokens", "Source tokens that wait or are translated.", lambda: self.queue.tokens)
        self.metrics.watch("queue_requests", "Requests that wait or are translated.", lambda: self.queue.requests)
        self.metrics.watch("open_models", "Models in memory.", lambda: pool.num_open)

    def start(self) -> None:
        """Start the threads, and open the models in another one."""
        self._workers.start()
        threading.Thread(target=self._open_models, name="open-models", daemon=True).start()

    def end(self) -> None:
        """Wait until the queue is empty and the threads have ended."""
        self.is_draining = True
        self._workers.end()

    @property
    def illness(self) -> str | None:
        """Why the process cannot translate any longer, or None."""
        if self._workers.problem is not None:
            return self._workers.problem
        longest = self.limits.longest_deadline_seconds + _STALLED_SECONDS
        return "a batch does not end" if self._workers.longest_seconds() > longest else None

    @property
    def unreadiness(self) -> str | None:
        """Why requests should go to another server now, or None."""
        if self.is_draining:
            return "the server is stopping"
        if self.illness is not None:
            return self.illness
        if self._problem is not None:
            return self._problem
        return None if self.pool.num_open else "the models are being opened"

    async def translate(self, wish: Wish, caller: Caller) -> list[TextTranslation]:
        """Translate the texts of a request.

        Raises:
            Refusal: the request is wrong, not allowed, too large, or too late; or the server is full.
            ClientGoneError: the client has disconnected.
        """
        found: dict[int, TextTranslation] = {}
        async for number, one in self.stream(wish, caller):
            found[number] = one
        return [found[number] for number in range(len(wish.texts))]

    async def stream(self, wish: Wish, caller: Caller) -> AsyncIterator[tuple[int, TextTranslation]]:
        """Translate the texts of a request, and yield each when it is done, with its number.

        Raises:
            Refusal: as ``translate``.
            ClientGoneError: as ``translate``.
        """
        end = self.queue.clock() + caller.deadline_seconds
        self._refuse_if_full()
        self.clients.charge(caller.client, sum(map(len, wish.texts)))
        with ExitStack() as held:
            translator = await self._opened(wish.pair, held)
            texts = await self._cut(wish, translator)
            gathering = Gathering([len(text.sentences) for text in texts])
            sentences = [sentence for text in texts for sentence in text.sentences]
            for number in gathering.complete():  # texts without sentences
                yield number, texts[number].put_together([])
            if not sentences:
                return
            tokens = sum(sentence.tokens for sentence in sentences)
            is_bulk = wish.is_bulk or tokens > self.limits.bulk_tokens
            group = Group(
                translator.with_terms(wish.glossary) if wish.glossary.terms else translator, settings_of(wish)
            )
            work = Work(group, sentences, end, gathering.on_done, is_bulk=is_bulk)
            self._add(work)
            try:
                async for number, translations in self._gathered(gathering, work, caller):
                    yield number, texts[number].put_together(translations)
            finally:
                self.queue.cancel(work)

    async def _gathered(
        self, gathering: Gathering, work: Work, caller: Caller
    ) -> AsyncIterator[tuple[int, list[Translation | Exception]]]:
        while gathering.is_waiting:
            seconds = work.deadline - self.queue.clock()
            is_gone = False

            async def watch() -> None:
                nonlocal is_gone
                await caller.until_gone()
                is_gone = True
                gathering.wake()

            with anyio.move_on_after(max(seconds, 0)):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(watch)
                    await gathering.changed()
                    tasks.cancel_scope.cancel()
            if is_gone:
                raise ClientGoneError
            for number in gathering.complete():
                yield number, gathering.results_of(number)
            if gathering.is_waiting and self.queue.clock() >= work.deadline:
                raise self._late(work)

    def _late(self, work: Work) -> Refusal:
        if work.is_begun:
            return Refusal(Reason.LATE, "the deadline has passed during the translation; send less text at once")
        return Refusal(
            Reason.LATE,
            "the deadline has passed while the request was waiting; try again later",
            status=503,
            retry_after_seconds=self.queue.retry_after_seconds(),
        )

    async def _opened(self, pair: ServedPair, held: ExitStack) -> Translator:
        used = self.pool.used(pair)
        if self.pool.is_open(pair):
            return held.enter_context(used)
        return await anyio.to_thread.run_sync(lambda: held.enter_context(used), limiter=self._opening)

    async def _cut(self, wish: Wish, translator: Translator) -> list[CutText]:
        try:
            configured(translator.config, dict(wish.settings))
        except ConfigError as error:
            raise Refusal(Reason.INVALID, str(error)) from None
        if sum(map(len, wish.texts)) <= _CUT_IN_THE_LOOP:
            return cut_texts(wish, translator)
        return await anyio.to_thread.run_sync(lambda: cut_texts(wish, translator), limiter=self._cutting)

    def _refuse_if_full(self) -> None:
        try:
            self.queue.refuse_if_full()
        except FullError as error:
            raise _full(error) from None

    def _add(self, work: Work) -> None:
        try:
            self.queue.add(work)
        except FullError as error:
            raise _full(error) from None

    def _open_models(self) -> None:
        try:
            self.pool.open_what_fits()
        except PellucidError as error:
            self._problem = f"a model cannot be opened: {error}"
        except Exception as error:
            self._problem = f"a model cannot be opened: {place_of(error)}"
        if self._problem is not None:
            logging.getLogger("pellucid.serving").error("%s", self._problem)


def _full(error: FullError) -> Refusal:
    return Refusal(Reason.FULL, str(error), retry_after_seconds=error.retry_after_seconds)
