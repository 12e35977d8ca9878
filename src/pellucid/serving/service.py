"""The translation service: from the texts of a request to their translations, through the queue.

A request is refused before anything is computed for it if the queue is full. Then its texts are cut into sentences,
which wait and are translated with those of other requests. The request ends early when its client disconnects or its
deadline passes: what waits leaves the queue, and what runs stops at its next step.

Reading order: this file; ``scheduling/`` (the queue), ``models/``, ``access/``; ``protocols/`` (HTTP).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio
import anyio.to_thread

from pellucid.config.service import ServiceConfig
from pellucid.errors import ConfigError, DataError, PellucidError, RequestError
from pellucid.serving.access.keys import Client, Clients
from pellucid.serving.corrections.journal import Journal
from pellucid.serving.corrections.states import Correction
from pellucid.serving.cutting import CutText, cut_texts, settings_of, weights_of
from pellucid.serving.documents.desk import Desk
from pellucid.serving.gathering import Gathering
from pellucid.serving.glossaries.stored import Shelf
from pellucid.serving.metrics import Metrics
from pellucid.serving.models.detection import prepare_detection
from pellucid.serving.models.pool import ModelPool, ServedPair
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.scheduling.queue import FullError, QueueBounds, WorkQueue
from pellucid.serving.scheduling.work import Group, Outcome, Sentence, Work
from pellucid.serving.scheduling.workers import Workers, place_of
from pellucid.serving.traces import ClientGoneError
from pellucid.serving.wishes import SentenceDone, TextDone, TextTranslation, Wish
from pellucid.translation.completion.alternatives import NextWord
from pellucid.translation.constraints import configured
from pellucid.translation.translator import Translator

__all__ = ["Caller", "Service"]

_CUT_IN_THE_LOOP: Final = 2000
"""Characters that are cut at once; more are cut in a thread, so that other requests go on. So is a text for which
memories are searched."""
_CUTTING_THREADS: Final = 2
_STALLED_SECONDS: Final = 30
_SECONDS_BETWEEN_LOOKS: Final = 2
"""At the folders of the models."""


@dataclass(frozen=True)
class Caller:
    """Who sent a request: a client, and what waits until it has disconnected."""

    client: Client
    until_gone: Callable[[], Coroutine[Any, Any, None]]
    deadline_seconds: float


class Service:
    """Models, clients and the queue.

    Args:
        pool: the models.
        config: limits and keys.
        threads: that translate.
        journal: of the corrections that clients send; None: they are refused.
        glossaries: that requests can name.
    """

    def __init__(
        self,
        pool: ModelPool,
        config: ServiceConfig,
        *,
        threads: int = 1,
        journal: Journal | None = None,
        glossaries: Shelf | None = None,
    ) -> None:
        limits = self.limits = config.limits
        self.pool = pool
        self.config = config
        self.clients = Clients(config.keys)
        self.metrics = Metrics()
        self.is_draining = False
        bounds = QueueBounds(limits.queue_tokens, limits.queue_requests, limits.batch_tokens, workers=threads)
        self.queue = WorkQueue(bounds)
        self.desk = Desk(self.queue.clock)
        self._workers = Workers(self.queue, number=threads, on_batch=self.metrics.translated)
        self._cutting = anyio.CapacityLimiter(_CUTTING_THREADS)
        self._opening = anyio.CapacityLimiter(1)
        self.journal = journal
        self.glossaries = glossaries or Shelf()
        self._writing = anyio.CapacityLimiter(1)
        self._problem: str | None = None
        self._has_ended = threading.Event()
        self.metrics.watch("queue_tokens", "Source tokens that wait or are translated.", lambda: self.queue.tokens)
        self.metrics.watch("queue_requests", "Requests that wait or are translated.", lambda: self.queue.requests)
        self.metrics.watch("open_models", "Models in memory.", lambda: pool.num_open)

    def start(self, follows: Sequence[Callable[[], list[str]]] = ()) -> None:
        """Start the threads, and open the models in another one.

        ``follows`` are called each time after the models were looked at, and return what there is to say.
        """
        self._workers.start()
        threading.Thread(target=self._open_models, name="open-models", daemon=True).start()
        threading.Thread(target=self._watch_models, args=[follows], name="watch-models", daemon=True).start()

    def end(self) -> None:
        """Wait until the queue is empty and the threads have ended."""
        self.is_draining = True
        self._has_ended.set()
        self._workers.end()

    @property
    def is_translating(self) -> bool:
        """Whether a thread is at work on a batch."""
        return self._workers.longest_seconds() > 0

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
        found = {one.text: one.translation async for one in self.stream(wish, caller) if isinstance(one, TextDone)}
        return [found[number] for number in range(len(wish.texts))]

    async def stream(self, wish: Wish, caller: Caller) -> AsyncIterator[SentenceDone | TextDone]:
        """Translate the texts of a request, and yield each sentence, and each whole text, when it is done.

        Raises:
            Refusal: as ``translate``.
            ClientGoneError: as ``translate``.
        """
        async with self._admitted(wish, caller) as (translator, end):
            texts = await self._cut(wish, translator)
            weights = weights_of(translator) or wish.pair.version
            outcomes: list[list[Outcome | None]] = [text.without_model() for text in texts]
            left = [found.count(None) for found in outcomes]
            for number, text in enumerate(texts):
                for place, known in enumerate(outcomes[number]):
                    if known is not None:
                        yield SentenceDone(number, place, text.cuts[place], text.as_translation(place, known))
                if not left[number]:
                    yield TextDone(number, text.put_together(outcomes[number], weights=weights))
            places = [(n, place) for n, found in enumerate(outcomes) for place, one in enumerate(found) if one is None]
            if not places:
                return
            own = translator.with_terms(wish.glossary) if wish.glossary.terms else translator
            sentences = [texts[number].sentences[place] for number, place in places]
            async for sentence, outcome in self._run(Group(own, settings_of(wish)), sentences, end, wish, caller):
                number, place = places[sentence]
                text = texts[number]
                yield SentenceDone(number, place, text.cuts[place], text.as_translation(place, outcome))
                outcomes[number][place] = outcome
                left[number] -= 1
                if not left[number]:
                    yield TextDone(number, text.put_together(outcomes[number], weights=weights))

    async def complete(self, wish: Wish, caller: Caller, count: int) -> list[NextWord]:
        """Return the words that may come next in the translation of the only text, after its prefix.

        Raises:
            Refusal: as ``translate``; or the model cannot write the prefix.
            ClientGoneError: as ``translate``.
        """
        async with self._admitted(wish, caller) as (translator, end):
            (text,) = await self._cut(replace(wish, prefix=" "), translator)
            group = Group(translator, settings_of(wish), completes=(wish.prefix, count))
            async for _, outcome in self._run(group, text.sentences, end, wish, caller):
                if isinstance(outcome, PellucidError):
                    raise Refusal(Reason.INVALID, str(outcome))
                if isinstance(outcome, list):
                    return outcome
        raise Refusal(Reason.FAILED, "the next words could not be computed")

    async def correct(self, correction: Correction, client: Client) -> str:
        """Put a correction into the journal, and return its id when it is on the disk.

        Raises:
            Refusal: there is no journal, it is full or cannot be written, or the client has used up its limit.
        """
        journal = self.journal
        if journal is None:
            raise Refusal(Reason.NOT_OFFERED, "Suggestions are disabled on this server.", status=403)
        self.clients.charge(client, len(correction.source) + len(correction.target))
        try:
            return await anyio.to_thread.run_sync(lambda: journal.add(correction), limiter=self._writing)
        except RequestError as error:
            raise Refusal(Reason.FULL, str(error)) from None
        except (DataError, OSError) as error:
            why = str(error) if isinstance(error, DataError) else error.strerror
            logging.getLogger("pellucid.serving").error("corrections: %s", why)
            raise Refusal(
                Reason.FAILED, "the correction could not be written; the log of the server says why"
            ) from None

    async def change_glossaries(self, change: Callable[[], None]) -> None:
        """Add or remove a glossary of a client, perhaps on the disk.

        Raises:
            Refusal: as ``Shelf.add`` and ``Shelf.remove``; or the disk is full.
        """
        try:
            await anyio.to_thread.run_sync(change, limiter=self._writing)
        except OSError as error:
            logging.getLogger("pellucid.serving").error("glossaries: %s", error.strerror)
            raise Refusal(Reason.FAILED, "the glossary could not be written; the log of the server says why") from None

    @asynccontextmanager
    async def _admitted(self, wish: Wish, caller: Caller) -> AsyncIterator[tuple[Translator, float]]:
        """Admit a request, and hold its model; its deadline counts from here."""
        end = self.queue.clock() + caller.deadline_seconds
        self._refuse_if_full()
        self.clients.charge(caller.client, sum(map(len, wish.texts)))
        with ExitStack() as held:
            yield await self._opened(wish.pair, held), end

    async def _run(
        self, group: Group, sentences: Sequence[Sentence], end: float, wish: Wish, caller: Caller
    ) -> AsyncIterator[tuple[int, Outcome]]:
        """Put sentences into the queue, and yield what becomes of each."""
        is_bulk = wish.is_bulk or sum(sentence.tokens for sentence in sentences) > self.limits.bulk_tokens
        seconds = end - self.queue.clock()
        with Gathering(len(sentences), until_gone=caller.until_gone(), seconds=seconds) as gathering:
            work = Work(group, sentences, end, gathering.on_done, is_bulk=is_bulk)
            self._add(work)
            try:
                while gathering.is_waiting:
                    await gathering.changed()
                    if gathering.is_abandoned:
                        raise ClientGoneError
                    for number, outcome in gathering.new():
                        yield number, outcome
                    if gathering.is_waiting and gathering.is_late:
                        raise self._late(work)
            finally:
                self.queue.cancel(work)

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
        searches = bool(wish.memories) and wish.matches > 0
        if sum(map(len, wish.texts)) <= _CUT_IN_THE_LOOP and not searches:
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

    def _watch_models(self, follows: Sequence[Callable[[], list[str]]]) -> None:
        """Look now and then whether a model was replaced on the disk."""
        log = logging.getLogger("pellucid.serving")
        while not self._has_ended.wait(_SECONDS_BETWEEN_LOOKS):
            try:
                for look in (self.pool.refresh, *follows):
                    for sentence in look():
                        log.warning("%s", sentence)
            except Exception as error:
                log.error("a model that was replaced cannot be opened: %s", place_of(error))

    def _open_models(self) -> None:
        prepare_detection()  # before the first model is open, which is when the server is ready
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
