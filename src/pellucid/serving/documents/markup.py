"""Translate texts of a request that are HTML or XML: their tags stay, attributes as they are. Read ``desk.py`` next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pellucid.documents.markup.rules import Rules
from pellucid.documents.markup.segmenting import spans_of
from pellucid.documents.markup.wholeness import not_well_formed, without_end
from pellucid.documents.spans import Decoded, SpanDocument
from pellucid.documents.transfer.outcomes import report_on
from pellucid.serving.documents.translating import Job, terms_of, translated_segments
from pellucid.serving.glossaries.outcomes import NO_TERMS, TermOutcome
from pellucid.serving.refusals import Reason, Refusal

__all__ = ["HTML_IN_A_REQUEST", "Marked", "TranslatedMarkup", "marked_text", "translated_markup"]

HTML_IN_A_REQUEST: Final = Rules(translates_attributes=False)
_ENCODING: Final = "utf-8"


@dataclass(frozen=True)
class Marked:
    """A text with tags."""

    document: SpanDocument

    @property
    def plain(self) -> str:
        """Its text without tags, in which its language can be seen."""
        return " ".join(segment.text for segment in self.document.segments)

    def unchanged(self) -> TranslatedMarkup:
        """Return it as it is, for a text that is in the target language already."""
        merged = self.document.merge([segment.parts for segment in self.document.segments])
        return TranslatedMarkup(merged.decode(_ENCODING, "surrogatepass"), Counter(), {}, NO_TERMS)


@dataclass(frozen=True)
class TranslatedMarkup:
    """The translation of a text with tags."""

    text: str
    origins: Counter[str]
    """How many segments are from the ``model`` and from the ``memory``."""
    flags: Mapping[str, int]
    """How many segments have each flag."""
    terms: TermOutcome


def marked_text(text: str, rules: Rules = HTML_IN_A_REQUEST, *, is_strict: bool = False) -> Marked:
    """Read a text with tags; a strict reading wants well-formed XML.

    Raises:
        Refusal: a tag, a comment or the like has no end, so that it is not clear what is text; or it is no XML.
    """
    if problem := (not_well_formed(text) if is_strict else "") or without_end(text, is_xml=rules.is_xml):
        raise Refusal(Reason.INVALID, f"Tag handling parsing failed, please check input: {problem}")
    return Marked(SpanDocument(Decoded(text, _ENCODING, b""), spans_of(text, rules), "text", errors="surrogatepass"))


async def translated_markup(job: Job, texts: Sequence[Marked]) -> list[TranslatedMarkup]:
    """Return the translations of texts, with their tags.

    Raises:
        Refusal: a segment cannot be translated; or as ``Service.translate``.
        ClientGoneError: the client has disconnected.
    """
    segments = [segment for text in texts for segment in text.document.segments]
    found = iter(await translated_segments(job, segments))
    written = []
    for number, text in enumerate(texts):
        own = [next(found) for _ in text.document.segments]
        for one in own:
            if one.problem:
                raise Refusal(Reason.INVALID, f"text {number} cannot be translated: {one.problem}")
        merged = text.document.merge([one.parts for one in own]).decode(_ENCODING, "surrogatepass")
        report = report_on(text.document.segments, own)
        terms = terms_of(job.glossary, text.document.segments, own)
        written.append(TranslatedMarkup(merged, report.origins, report.flags, terms))
    return written
