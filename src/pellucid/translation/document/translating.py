"""Translate a document: cut it into sentences, translate them together, and put them where they stood.

A language tag at the start of a block leads each of its sentences, and one at the start of the document those of every
block without one; the translation has none. Read ``../requests.py`` for what becomes of a single text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Protocol, Self

from pellucid.errors import ConfigError, RequestError
from pellucid.text.sentences import sentences_of
from pellucid.translation.constraints import configured
from pellucid.translation.document.layout import Block, Lines, after_markers, blocks_of, breaks_of, looks_wrapped
from pellucid.translation.document.results import DocumentSentence, DocumentTranslation
from pellucid.translation.hypothesis import Translation
from pellucid.translation.segments import Part, separators_of

if TYPE_CHECKING:
    from pellucid.config import TranslationConfig
    from pellucid.text.tokenizer import Tokenizer
    from pellucid.translation.terms.glossary import Term

__all__ = ["Cut", "document_from", "sentences_in", "translate_document"]


@dataclass(frozen=True)
class Cut:
    """A sentence of a block: what is translated, its place in the document, and what stands after its translation."""

    block: Block
    start: int
    end: int
    tag: str
    text: str
    gap: str
    """Up to the next sentence of the block."""
    markers: str = ""
    """What stands before its translation: the markers behind a language tag."""


class TextTranslator(Protocol):
    """What this needs of a ``Translator``."""

    config: TranslationConfig
    tokenizer: Tokenizer
    single_sentences: bool
    source_language: str
    target_language: str

    def with_terms(self, terms: Iterable[Term]) -> Self:
        """Return a translator of the same model that keeps to terms."""

    def translate_stream(
        self,
        texts: Iterable[str | None],
        *,
        chunk: int,
        target_prefix: str | Iterable[str] | None = ...,
        progress: Callable[[int], None],
        **settings: object,
    ) -> Iterator[Translation]:
        """Translate texts in their order."""


def translate_document(
    translator: TextTranslator,
    text: str,
    *,
    lines: str = Lines.KEEP,
    terms: Iterable[Term] = (),
    progress: Callable[[int], None] = lambda done: None,
    keeps_whole: Callable[[str], bool] = lambda text: False,
    **settings: object,
) -> DocumentTranslation:
    """Translate a whole document; its white space, blank lines and ends of lines come back as they were.

    Args:
        translator: whose method this is.
        text: of the document.
        lines: ``keep`` (each line is a text), ``join`` (lines that go on are one text, and become one line) or
            ``wrap`` (they are broken into lines again); see ``Lines``.
        terms: for this call; see ``Translator.with_terms``.
        progress: told how many sentences are done, now and then.
        keeps_whole: whether a block is not cut into sentences.
        **settings: of ``TranslationConfig``, for this call.

    Raises:
        ConfigError: a setting is unknown or wrong, or does not go with documents.
        RequestError: ``text`` is no str, or ``lines`` is unknown.
    """
    if not isinstance(text, str):
        raise RequestError(f"text is of type {type(text).__name__}; give str")
    if lines not in list(Lines):
        raise RequestError(f"lines = {lines!r} is unknown; use {', '.join(Lines)}")
    config = configured(translator.config, settings)
    if config.target_prefix:
        raise ConfigError("target_prefix is what one text begins with, and a document has many; leave it out")
    splits = config.split_sentences.acts_on(single_sentences=translator.single_sentences)
    cuts = sentences_in(
        text,
        lines=Lines(lines),
        splits_sentences=splits,
        languages=(translator.source_language, translator.target_language),
        split_tag=translator.tokenizer.split_tag,
        keeps_whole=keeps_whole,
    )
    given = [f"{cut.tag} {cut.text}" if cut.tag else cut.text for cut in cuts]
    whole: dict[str, Any] = {**settings, "split_sentences": "never"}
    own = translator.with_terms(terms) if terms else translator
    found = own.translate_stream(given, chunk=max(len(given), 1), progress=progress, **whole)
    return document_from(text, cuts, list(found), lines=Lines(lines))


def sentences_in(
    text: str,
    *,
    lines: Lines,
    splits_sentences: bool,
    languages: tuple[str, str],
    split_tag: Callable[[str], tuple[str, str]],
    keeps_whole: Callable[[str], bool] = lambda text: False,
) -> list[Cut]:
    """Return the sentences of a document, or its blocks where they are not split.

    Args:
        text: of the document.
        lines: what the ends of its lines mean.
        splits_sentences: whether each sentence is a text of its own.
        languages: codes of source and target.
        split_tag: returns the language tag at the start of a text, or "", and the rest.
        keeps_whole: whether a block is not cut into sentences.
    """
    found: list[Cut] = []
    leading = ""
    for number, block in enumerate(blocks_of(text, lines)):
        body = text[block.start : block.end]
        tag, rest = split_tag(body)
        leading = tag if tag and not number else leading
        start = block.end - len(rest.lstrip()) if tag else block.start
        body_start = after_markers(text, start, block.end) if tag else start
        if start < block.end:
            splits = splits_sentences and not keeps_whole(text[body_start : block.end])
            cuts = _cut(text, block, body_start, tag or leading, languages, splits_sentences=splits)
            found += [replace(cuts[0], markers=text[start:body_start]), *cuts[1:]]
    return found


def _cut(
    text: str, block: Block, start: int, tag: str, languages: tuple[str, str], *, splits_sentences: bool
) -> list[Cut]:
    body = text[start : block.end]
    flat = body if not block.width else " ".join(line.strip() for line in body.splitlines())
    pieces = sentences_of(flat, languages[0]) if splits_sentences else [flat]
    parts = [Part(piece.rstrip(), piece[len(piece.rstrip()) :]) for piece in pieces]
    gaps = [*separators_of(parts, language=languages[1])[:-1], ""]
    found, place = [], start
    for part, gap in zip(parts, gaps, strict=True):
        begin, end = _place_of(text, part.text, place)
        found.append(Cut(block, begin, end, tag, part.text, gap))
        place = end
    return found


def _place_of(text: str, sentence: str, place: int) -> tuple[int, int]:
    """Return where a sentence stands in a text from ``place`` on, whatever white space its lines have."""
    while text[place].isspace():
        place += 1
    if text.startswith(sentence, place):
        return place, place + len(sentence)
    end = place
    for character in sentence:
        if not character.isspace():
            while text[end].isspace():
                end += 1
            end += 1
    return place, end


def document_from(
    text: str, cuts: Sequence[Cut], translations: Sequence[Translation], *, lines: Lines
) -> DocumentTranslation:
    """Put the translations of sentences in their places; one that failed leaves its sentence there.

    Args:
        text: of the document.
        cuts: its sentences.
        translations: one for each.
        lines: what the ends of its lines mean.
    """
    sentences: list[DocumentSentence] = []
    found, done = "", 0
    for block, group in groupby(zip(cuts, translations, strict=True), key=lambda pair: pair[0].block):
        found += text[done : block.start]
        written, places = _written(list(group))
        column = len(found) - max(found.rfind(end) for end in ("\n", "\r")) - 1
        breaks = breaks_of(written, block, starts_at=column) if lines is Lines.WRAP else []
        new_line = block.line_end + block.indent
        for cut, one, start, end in places:
            start, end = (len(found) + at + (len(new_line) - 1) * bisect_left(breaks, at) for at in (start, end))
            sentences.append(DocumentSentence(cut.start, cut.end, start, end, one))
        found += new_line.join(written[a + 1 : b] for a, b in pairwise([-1, *breaks, len(written)]))
        done = block.end
    return DocumentTranslation(
        text,
        found + text[done:],
        tuple(sentences),
        looks_wrapped=lines is Lines.KEEP and looks_wrapped(text),
    )


def _written(group: Sequence[tuple[Cut, Translation]]) -> tuple[str, list[tuple[Cut, Translation, int, int]]]:
    """Return the translation of a block, and where that of each of its sentences begins and ends in it."""
    text = ""
    places = []
    for cut, one in group:
        text += cut.markers
        start = len(text)
        text += cut.text if one.error is not None else one.text
        places.append((cut, one, start, len(text)))
        text += cut.gap
    return text, places
