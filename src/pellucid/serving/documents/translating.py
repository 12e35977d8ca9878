"""Translate the segments of a document through the queue, some at a time, so that other requests go on between them.

Where the model folder names heads that align words, codes go with their words; else they stay in their order. Read
``markup.py`` next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.to_thread

from pellucid.documents.limits import Limits, Reading
from pellucid.documents.naming import Format, read_document
from pellucid.documents.segments import Document, Segment, text_of
from pellucid.documents.transfer.outcomes import (
    DocumentReport,
    Transferred,
    Way,
    by_alignment,
    from_tagged,
    kept,
    report_on,
    without_codes,
)
from pellucid.documents.transfer.plain import Plain, plain_of, tagged
from pellucid.documents.transfer.remembering import needing_no_model
from pellucid.documents.transfer.words import aligned_sentences, unaligned
from pellucid.errors import DocumentError, DocumentTooLargeError
from pellucid.serving.documents.desk import Pace
from pellucid.serving.glossaries.outcomes import NO_TERMS, TermOutcome, outcome_of
from pellucid.serving.models.pool import ServedPair
from pellucid.serving.refusals import Reason, Refusal
from pellucid.serving.service import Caller, Service
from pellucid.serving.wishes import TextTranslation, Wish
from pellucid.translation.terms.glossary import Glossary

__all__ = [
    "Job",
    "TranslatedDocument",
    "UploadedDocument",
    "beginning_of",
    "terms_of",
    "translated_document",
    "translated_segments",
]

_CHARACTERS_AT_ONCE: Final = 4_000
_TEXTS_AT_ONCE: Final = 64
_DETECTED_SEGMENTS: Final = 200
_DETECTED_CHARACTERS: Final = 5_000
_IN_THE_TARGET_LANGUAGE: Final = DocumentReport(
    0, 0, {}, {}, notes=("the document is in the target language already, so it comes back as it is",)
)


@dataclass(frozen=True)
class Job:
    """What a client wants of segments."""

    service: Service
    caller: Caller
    pair: ServedPair
    glossary: Glossary = field(default_factory=lambda: Glossary(()))
    splits_sentences: bool | None = None
    settings: tuple[tuple[str, object], ...] = ()
    """Of ``TranslationConfig``, over those of the model."""
    waits: bool = False
    """Whether a full queue is waited for, as for documents, or refuses the request."""
    seconds: float = 0.0
    """Time for all of it, where ``waits``."""
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class UploadedDocument:
    """A document of a client, and its format."""

    name: str
    format: Format
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class TranslatedDocument:
    """A translated document, and what became of its segments."""

    data: bytes
    report: DocumentReport
    characters: int
    terms: TermOutcome = NO_TERMS

    @property
    def flags(self) -> Mapping[str, int]:
        """How many segments have each flag."""
        return self.report.flags

    @property
    def origins(self) -> Counter[str]:
        """How many segments are from the ``model`` and from the ``memory``."""
        return self.report.origins


async def translated_document(
    service: Service,
    caller: Caller,
    document: UploadedDocument,
    pair: ServedPair | None,
    glossary: Glossary | None = None,
    pace: Pace | None = None,
) -> TranslatedDocument:
    """Translate a document; it waits for its turn, and has the time of documents. Without a pair it stays as it is.

    ``pace`` is kept up to date.

    Raises:
        Refusal: it cannot be read, or is too large; or as ``Service.translate``.
        ClientGoneError: the client has disconnected.
    """
    if pair is None:
        return TranslatedDocument(document.data, _IN_THE_TARGET_LANGUAGE, 0)
    seconds = service.limits.document_seconds
    own = replace(caller, deadline_seconds=seconds)
    job = Job(service, own, pair, glossary or Glossary(()), waits=True, seconds=seconds, pace=pace or Pace())
    opened = await anyio.to_thread.run_sync(_read, document, service, (pair.source, pair.target))
    found = await translated_segments(job, opened.segments)
    merged = await anyio.to_thread.run_sync(_merged, opened, found)
    characters = sum(len(segment.text) for segment in opened.segments)
    terms = terms_of(job.glossary, opened.segments, found)
    return TranslatedDocument(merged, report_on(opened.segments, found, opened.notes), characters, terms)


def terms_of(glossary: Glossary, segments: Sequence[Segment], found: Sequence[Transferred]) -> TermOutcome:
    """Return which terms the translations of segments have."""
    written = ((one.text, text_of(other.parts or ())) for one, other in zip(segments, found, strict=True))
    return outcome_of(glossary, written)


async def beginning_of(service: Service, document: UploadedDocument) -> str:
    """Return the first words of a document, in which its language can be seen; a Refusal says why it has none."""
    opened = await anyio.to_thread.run_sync(_read, document, service, ("", ""))
    return " ".join(segment.text for segment in opened.segments[:_DETECTED_SEGMENTS])[:_DETECTED_CHARACTERS]


def _read(document: UploadedDocument, service: Service, languages: tuple[str, str]) -> Document:
    reading = Reading(document.name, *languages, Limits(file_bytes=service.limits.document_bytes))
    try:
        return read_document(document.data, document.format, reading)
    except DocumentTooLargeError as error:
        raise Refusal(Reason.TOO_LARGE, str(error)) from None
    except DocumentError as error:
        raise Refusal(Reason.INVALID, str(error)) from None


def _merged(document: Document, found: Sequence[Transferred]) -> bytes:
    try:
        return document.merge([one.parts for one in found])
    except DocumentError as error:
        raise Refusal(Reason.INVALID, str(error)) from None


async def translated_segments(job: Job, segments: Sequence[Segment]) -> list[Transferred]:
    """Return the translation of each segment, with all its codes.

    Raises:
        Refusal: as ``Service.translate``.
        ClientGoneError: the client has disconnected.
    """
    plains = [plain_of(segment) for segment in segments]
    found = await anyio.to_thread.run_sync(needing_no_model, plains, job.pair.memory, job.glossary)
    left = [number for number, one in enumerate(found) if one is None]
    job.pace.begun, job.pace.total = job.service.queue.clock(), sum(len(plains[number].text) for number in left)
    bare = [number for number in left if not plains[number].nodes]
    async for number, one in _texts(job, plains, bare, {}):
        found[number] = _failed(one) or without_codes(plains[number], one.text, one.flags)
    coded = [number for number in left if plains[number].nodes]
    if job.pair.aligns:
        async for number, one in _texts(job, plains, coded, {"alignment": True}):
            plain = plains[number]
            words = aligned_sentences(plain, one.text, one.sentences)
            found[number] = _failed(one) or by_alignment(plain, words, one.flags)
        return [one or kept("it was forgotten") for one in found]
    async for number, one in _texts(job, plains, coded, {"placeholders": "keep"}, has_tags=True):
        found[number] = _failed(one) or from_tagged(plains[number], one.text, way=Way.IN_ORDER, flags=one.flags)
    lost = [number for number in coded if found[number] is None]
    async for number, one in _texts(job, plains, lost, {}):
        plain = plains[number]
        found[number] = _failed(one) or by_alignment(plain, unaligned(plain, one.text), one.flags)
    return [one or kept("it was forgotten") for one in found]


async def _texts(
    job: Job, plains: Sequence[Plain], numbers: Sequence[int], settings: dict[str, object], *, has_tags: bool = False
) -> AsyncIterator[tuple[int, TextTranslation]]:
    """Yield the translation of each text with its number."""
    for some in _some(plains, numbers):
        texts = tuple(tagged(plains[number]) if has_tags else plains[number].text for number in some)
        wish = Wish(
            texts,
            job.pair,
            settings=(*job.settings, *settings.items()),
            splits_sentences=job.splits_sentences,
            glossary=job.glossary,
            is_bulk=job.waits,
        )
        for number, one in zip(some, await _patiently(job, wish), strict=True):
            job.pace.done += len(plains[number].text)  # what is translated again counts again, and is rare
            yield number, one


def _some(plains: Sequence[Plain], numbers: Sequence[int]) -> Iterator[list[int]]:
    some: list[int] = []
    size = 0
    for number in numbers:
        length = len(plains[number].text)
        if some and (size + length > _CHARACTERS_AT_ONCE or len(some) == _TEXTS_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(number)
        size += length
    if some:
        yield some


async def _patiently(job: Job, wish: Wish) -> list[TextTranslation]:
    """Translate texts; a document waits while the queue is full, or its client has used up its minute."""
    clock = job.service.queue.clock
    end = clock() + job.seconds
    while True:
        try:
            return await job.service.translate(wish, job.caller)
        except Refusal as refusal:
            wait = refusal.retry_after_seconds
            if not job.waits or wait is None or clock() + wait > end or job.service.is_draining:
                raise
        await anyio.sleep(max(wait, 0.1))


def _failed(one: TextTranslation) -> Transferred | None:
    return None if one.error is None else kept(one.error, one.flags)
