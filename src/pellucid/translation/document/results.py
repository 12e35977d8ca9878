"""What a translated document is: its text, and its sentences with their places. Read ``translating.py`` next."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.translation.hypothesis import Translation

__all__ = ["DocumentSentence", "DocumentTranslation"]


@dataclass(frozen=True)
class DocumentSentence:
    """A sentence of a document; places are characters, from 0, the end not included.

    ``source[source_start:source_end]`` of the document is the sentence, and ``text[target_start:target_end]`` of its
    translation is what stands there for it.
    """

    source_start: int
    source_end: int
    target_start: int
    target_end: int
    translation: Translation
    """Where it failed, the sentence itself stands in the translated document."""


@dataclass(frozen=True)
class DocumentTranslation:
    """A translated document. What stands between its sentences is what stood there before."""

    source: str
    text: str
    sentences: tuple[DocumentSentence, ...]
    looks_wrapped: bool = False
    """Most of its lines go on in the next, but each was translated alone; see ``Lines``."""

    @property
    def failed(self) -> tuple[DocumentSentence, ...]:
        """The sentences that could not be translated."""
        return tuple(one for one in self.sentences if one.translation.error is not None)

    def line_of(self, sentence: DocumentSentence) -> int:
        r"""Return the number of the line of the source where a sentence begins, from 1, as editors count."""
        before = self.source[: sentence.source_start]
        return 1 + before.count("\n") + before.replace("\r\n", "\n").count("\r")
