"""Translate the segments of a document with a translator, and put their codes back.

What has no words, or is in a translation memory, does not reach the model. Ways to put codes back, surest first: let
the model copy tags, where a trial of the first segments shows that it can; translate without codes and place them by
word alignment, where the model folder names heads for that; else have the translator keep them in their order. What
none of them places goes by proportion. Read ``pellucid/jobs/documents/`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pellucid.documents.segments import Segment
from pellucid.documents.transfer.outcomes import Transferred, Way, by_alignment, from_tagged, kept, without_codes
from pellucid.documents.transfer.plain import Plain, plain_of, tagged
from pellucid.documents.transfer.remembering import needing_no_model
from pellucid.documents.transfer.words import aligned, unaligned
from pellucid.translation.hypothesis import Translation
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.terms.glossary import Glossary

__all__ = ["TextTranslator", "translated_segments"]

_TRIED: Final = 8
_CHUNK: Final = 512


class TextTranslator(Protocol):
    """What this needs of a ``Translator``."""

    def translate_stream(
        self, texts: Iterable[str | None], *, chunk: int = ..., progress: Callable[[int], None] = ..., **settings: Any
    ) -> Iterator[Translation]:
        """Translate texts in their order."""


@dataclass
class _Job:
    translator: TextTranslator
    aligns: bool
    found: list[Transferred | None]
    progress: Callable[[int], None]
    done: int = 0

    def texts(self, texts: Sequence[str], **settings: Any) -> list[Translation]:
        """Translate texts; they count as done."""
        before = self.done
        stream = self.translator.translate_stream(texts, chunk=_CHUNK, **settings)
        found = []
        for one in stream:
            found.append(one)
            self.progress(before + len(found))
        self.done = before + len(found)
        return found


def translated_segments(
    translator: TextTranslator,
    segments: Sequence[Segment],
    *,
    aligns: bool,
    memory: TranslationMemory | None = None,
    glossary: Glossary | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Transferred]:
    """Return the translation of each segment, with all its codes.

    Args:
        translator: of the model.
        segments: of a document.
        aligns: whether the model folder names heads that align words.
        memory: of the language pair; its exact matches are used.
        glossary: terms of the translator, to which a match must keep.
        progress: told how many segments are done, now and then.
    """
    plains = [plain_of(segment) for segment in segments]
    found = needing_no_model(plains, memory, glossary or Glossary(()))
    left = [number for number, one in enumerate(found) if one is None]
    bare = [number for number in left if not plains[number].nodes]
    coded = [number for number in left if plains[number].nodes]
    job = _Job(translator, aligns, found, progress, done=len(plains) - len(left))
    for number, one in zip(bare, job.texts([plains[number].text for number in bare]), strict=True):
        job.found[number] = _failed(one) or without_codes(plains[number], one.text, one.flags)
    tried = coded[:_TRIED]
    _copy(job, plains, tried)
    copied = [number for number in tried if job.found[number] is not None]
    if len(copied) * 2 > len(tried):
        _copy(job, plains, coded[_TRIED:])
    left = [number for number in coded if job.found[number] is None]
    (_align if aligns else _keep)(job, plains, left)
    return [one or kept("it was forgotten") for one in job.found]


def _copy(job: _Job, plains: Sequence[Plain], numbers: Sequence[int]) -> None:
    """Translate segments with tags in their text; keep those in which they came through."""
    before = job.done
    texts = [tagged(plains[number]) for number in numbers]
    for number, one in zip(numbers, job.texts(texts, placeholders="translate"), strict=True):
        if one.error is None:
            job.found[number] = from_tagged(plains[number], one.text, way=Way.COPIED, flags=one.flags)
    job.done = before + sum(job.found[number] is not None for number in numbers)


def _align(job: _Job, plains: Sequence[Plain], numbers: Sequence[int]) -> None:
    texts = [plains[number].text for number in numbers]
    for number, one in zip(numbers, job.texts(texts, alignment=True) if texts else [], strict=True):
        plain = plains[number]
        job.found[number] = _failed(one) or by_alignment(plain, aligned(plain, one.text, one.alignment), one.flags)


def _keep(job: _Job, plains: Sequence[Plain], numbers: Sequence[int]) -> None:
    texts = [tagged(plains[number]) for number in numbers]
    lost: list[int] = []
    for number, one in zip(numbers, job.texts(texts, placeholders="keep"), strict=True):
        found = _failed(one) or from_tagged(plains[number], one.text, way=Way.IN_ORDER, flags=one.flags)
        job.found[number] = found
        lost += [] if found else [number]
    job.done -= len(lost)
    for number, one in zip(lost, job.texts([plains[number].text for number in lost]), strict=True):
        plain = plains[number]
        job.found[number] = _failed(one) or by_alignment(plain, unaligned(plain, one.text), one.flags)


def _failed(one: Translation) -> Transferred | None:
    return None if one.error is None else kept(one.error, one.flags)
