"""The limits on what a document may hold, all in one place, and what a format is given to read one.

They hold while a file is read and unpacked, not afterwards. Read ``naming.py`` next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pellucid.documents.segments import Segment
from pellucid.errors import DocumentTooLargeError, counted
from pellucid.terminal import line_of

__all__ = ["Limits", "Reading", "reason_of"]

_LONGEST_REASON: Final = 200


@dataclass(frozen=True)
class Limits:
    """Limits on a document."""

    file_bytes: int = 32 << 20
    segments: int = 200_000
    segment_characters: int = 1 << 20
    codes_in_segment: int = 2_000
    depth: int = 200
    """Of nested elements, lists and tables."""
    archive_members: int = 2_000
    archive_bytes: int = 200_000_000
    """Of all members of a ZIP archive together, unpacked."""
    xml_bytes: int = 32 << 20
    """Of one XML file that is parsed; its tree takes up to thirty times as much memory."""
    archive_ratio: int = 100
    """How many times its size an archive may unpack to; a megabyte is always allowed."""


@dataclass(frozen=True)
class Reading:
    """How a document is read."""

    name: str = "the document"
    """For messages."""
    source_language: str = ""
    target_language: str = ""
    limits: Limits = field(default_factory=Limits)

    def refuse_large(self, data: bytes) -> None:
        """Refuse a file over the limit; the DocumentTooLargeError names it."""
        if len(data) > self.limits.file_bytes:
            raise DocumentTooLargeError(
                f"{self.name}: has {counted(len(data), 'byte')}, limit {self.limits.file_bytes:,}; divide the document"
            )

    def refuse_many(self, segments: Sequence[Segment]) -> None:
        """Refuse too many segments, and segments that are too large; the DocumentTooLargeError names them."""
        limits = self.limits
        if len(segments) > limits.segments:
            raise DocumentTooLargeError(
                f"{self.name}: has {counted(len(segments), 'segment')}, limit {limits.segments:,}; divide the document"
            )
        for one in segments:
            self.refuse_segment(one)

    def refuse_segment(self, segment: Segment) -> None:
        """Refuse a segment with too many characters or codes."""
        limits = self.limits
        characters, codes = len(segment.text), len(segment.codes)
        if characters > limits.segment_characters or codes > limits.codes_in_segment:
            raise DocumentTooLargeError(
                f"{self.name}, {segment.place or 'a segment'}: has "
                f"{counted(characters, 'character')} and {codes:,} codes in "
                f"one segment, limits {limits.segment_characters:,} and {limits.codes_in_segment:,}; divide it"
            )


def reason_of(error: object) -> str:
    """Return what a parser says of a file as part of a message: it may quote the file, at any length."""
    said = line_of(" ".join(str(error).split()))
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}..."
