"""Documents that are text: what is translated are spans of it, and everything between them stays byte for byte.

A code of a segment is a span, too, and other segments may stand inside: the text of an attribute inside a tag. Read a
format in ``formats/`` next.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pellucid.documents.limits import Reading
from pellucid.documents.segments import Code, Document, Parts, Segment
from pellucid.errors import DocumentError
from pellucid.text.formats.encodings import looks_like

__all__ = [
    "Decoded",
    "Label",
    "Literal",
    "Place",
    "Span",
    "SpanDocument",
    "as_it_is",
    "decoded",
    "line_of",
    "lines_of",
    "moved",
]

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Decoded:
    """A file as text."""

    text: str
    encoding: str
    mark: bytes
    """The byte order mark before it, which is no part of the text."""

    def encoded(self, text: str, name: str, *, errors: str = "strict") -> bytes:
        """Return another text as a file like this one; a character that it cannot hold is a DocumentError."""
        try:
            return self.mark + text.encode(self.encoding, errors)
        except UnicodeEncodeError as error:
            raise DocumentError(
                f"{name}: the translation has the character {error.object[error.start]!r}, which the encoding "
                f"{self.encoding} of the document does not have; save the document as UTF-8"
            ) from None


@dataclass(frozen=True)
class Place:
    """A stretch of the text of a file."""

    start: int
    end: int


@dataclass(frozen=True)
class Literal:
    """What is written as it stands."""

    text: str


@dataclass(frozen=True)
class Span:
    """A segment, its place, and how its text is written there.

    The ``original`` of its codes is a ``Place``, a ``Literal``, or a str that is escaped as the text around it is.
    """

    place: Place
    segment: Segment
    write: Callable[[str], str]
    """Escapes a stretch of text between codes."""
    finish: Callable[[str], str] = lambda written: written
    """Returns what stands in the place, from the written text with its codes."""
    is_target: bool = False
    """The place is that of a translation, and its source stands elsewhere."""


@dataclass(frozen=True)
class Label:
    """What a document says of its language, its place, and what it is to say once a text is translated."""

    place: Place
    text: str


class SpanDocument(Document):
    """A document that is text with spans.

    Args:
        file: its text.
        spans: what is translated.
        name: for messages.
        labels: what changes with the language of the texts.
        notes: for the report.
        errors: how characters are written that its encoding lacks.
    """

    def __init__(
        self,
        file: Decoded,
        spans: Iterable[Span],
        name: str,
        *,
        labels: Iterable[Label] = (),
        notes: Iterable[str] = (),
        errors: str = "strict",
    ) -> None:
        every = [*spans, *(Span(one.place, _LABEL, lambda text: text, _as(one.text)) for one in labels)]
        # Of spans that begin together the outer one is first.
        self._spans = sorted(every, key=lambda span: (span.place.start, -span.place.end))
        super().__init__([span.segment for span in self._spans if span.segment is not _LABEL], notes)
        self._starts = [span.place.start for span in self._spans]
        self._file, self._name, self._errors = file, name, errors

    @property
    def states_language(self) -> bool:
        """Whether it states somewhere that it is in the source language."""
        return any(span.segment is _LABEL for span in self._spans)

    def _written(self, translated: Sequence[Parts | None]) -> bytes:
        texts = iter(translated)
        found = [None if span.segment is _LABEL else next(texts) for span in self._spans]
        if any(self._is_new(span, parts) for span, parts in zip(self._spans, found, strict=True)):
            found = [
                _NEW_LABEL if span.segment is _LABEL else parts for span, parts in zip(self._spans, found, strict=True)
            ]
        return self._encoded(found)

    def relabelled(self) -> bytes:
        """Return the document as it is but for its language, because a document that it belongs to is translated."""
        return self._encoded([_NEW_LABEL if span.segment is _LABEL else None for span in self._spans])

    def _encoded(self, found: Sequence[Parts | None]) -> bytes:
        text = self._between(0, len(self._file.text), 0, found)
        return self._file.encoded(text, self._name, errors=self._errors)

    def _is_new(self, span: Span, parts: Parts | None) -> bool:
        return parts is not None and (parts != span.segment.parts or span.is_target)

    def _between(self, start: int, end: int, first: int, translated: Sequence[Parts | None]) -> str:
        """Return a stretch of the file with the new parts of the spans inside it, which begin at number ``first``."""
        written: list[str] = []
        number = max(first, bisect_left(self._starts, start))
        while number < len(self._spans) and self._spans[number].place.start < end:
            place = self._spans[number].place
            written += (self._file.text[start : place.start], self._of(number, translated[number], translated))
            start = place.end
            number += 1
            while number < len(self._spans) and self._spans[number].place.start < start:
                number += 1  # it stands inside, and is written
        return "".join([*written, self._file.text[start:end]])

    def _of(self, number: int, parts: Parts | None, translated: Sequence[Parts | None]) -> str:
        span = self._spans[number]
        if parts is None or not self._is_new(span, parts):
            return self._between(span.place.start, span.place.end, number + 1, translated)
        written, waiting = "", ""
        for part in parts:
            original = part.original if isinstance(part, Code) else part
            if isinstance(original, str):
                waiting += original
                continue
            written += span.write(waiting) if waiting else ""
            waiting = ""
            written += self._coded(original, number, translated)
        return span.finish(written + (span.write(waiting) if waiting else ""))

    def _coded(self, original: Place | Literal, number: int, translated: Sequence[Parts | None]) -> str:
        if isinstance(original, Literal):
            return original.text
        return self._between(
            original.start, original.end, 0 if self._spans[number].is_target else number + 1, translated
        )


_LABEL: Final = Segment(())
_NEW_LABEL: Final[Parts] = ("new",)


def _as(text: str) -> Callable[[str], str]:
    return lambda written: text


def decoded(data: bytes, reading: Reading, *, stated: str = "") -> Decoded:
    """Decode a file by its byte order mark, the encoding that it states, or as UTF-8.

    Raises:
        DocumentError: the encoding is unknown, or the bytes are not in it.
    """
    mark, encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", stated or "utf-8"))
    body = data[len(mark) :]
    try:
        text = body.decode(encoding)
        is_exact = text.encode(encoding) == body
    except LookupError:
        raise DocumentError(
            f"{reading.name}: states the unknown encoding {encoding[:40]!r}; save it as UTF-8"
        ) from None
    except UnicodeError as error:
        at = f": byte {error.start + len(mark)}" if isinstance(error, UnicodeDecodeError) else ""
        guess = looks_like(body) if encoding == "utf-8" else ""
        raise DocumentError(f"{reading.name}: is not valid {encoding}{at}{guess}; save it as UTF-8") from None
    if not is_exact:
        raise DocumentError(f"{reading.name}: its {encoding} would not come back byte for byte; save it as UTF-8")
    if "\0" in text:
        raise DocumentError(f"{reading.name}: has a NUL character, so it is no text; give a text file")
    return Decoded(text, encoding, mark)


def moved(spans: Iterable[Span], by: int, starts: Sequence[int]) -> list[Span]:
    """Return the spans of a part of a text as those of the whole text, in which the part begins at place ``by``."""
    return [_moved(span, by, starts) for span in spans]


def _moved(span: Span, by: int, starts: Sequence[int]) -> Span:
    place = Place(span.place.start + by, span.place.end + by)
    parts = tuple(
        replace(part, original=Place(part.original.start + by, part.original.end + by))
        if isinstance(part, Code) and isinstance(part.original, Place)
        else part
        for part in span.segment.parts
    )
    where = re.sub(r"\Aline \d+", line_of(starts, place.start), span.segment.place)
    return replace(span, place=place, segment=replace(span.segment, parts=parts, place=where))


def as_it_is(text: str) -> str:
    """Return the text: nothing is escaped."""
    return text


def lines_of(text: str) -> list[int]:
    """Return where each line of a text begins, for ``line_of``."""
    starts = [0]
    place = text.find("\n")
    while place >= 0:
        starts.append(place + 1)
        place = text.find("\n", place + 1)
    return starts


def line_of(starts: Sequence[int], place: int) -> str:
    """Return where a place of a text is, as ``line 12``."""
    return f"line {bisect_left(starts, place + 1)}"
