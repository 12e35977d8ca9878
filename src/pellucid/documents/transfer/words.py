"""A text, its translation, and which words belong together, by their places. Read ``placing.py`` next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pellucid.documents.transfer.plain import Plain
from pellucid.translation.document.results import DocumentSentence
from pellucid.translation.hypothesis import Alignment

__all__ = ["AlignedText", "aligned", "aligned_sentences", "unaligned"]

Place = tuple[int, int]


@dataclass(frozen=True)
class AlignedText:
    """A text and its translation in words, each from its first character up to but not including its last."""

    text: str
    """The translation."""
    source_words: tuple[Place, ...]
    target_words: tuple[Place, ...]
    links: tuple[tuple[int, int], ...] = ()
    """Numbers of a word of the source and one of the translation."""


def aligned(plain: Plain, text: str, alignment: Alignment | None) -> AlignedText:
    """Return a translation with the words of an alignment, or with words between spaces where there is none."""
    if alignment is None:
        return unaligned(plain, text)
    source, target = _places(alignment.source_words, plain.text), _places(alignment.target_words, text)
    return AlignedText(text, source, target, alignment.links)


def unaligned(plain: Plain, text: str) -> AlignedText:
    """Return a translation of whose words nothing is known."""
    return AlignedText(text, _places(plain.text.split(), plain.text), _places(text.split(), text))


def aligned_sentences(plain: Plain, text: str, sentences: Iterable[DocumentSentence]) -> AlignedText:
    """Return the translation of a text in sentences, each with its own alignment."""
    source: list[Place] = []
    target: list[Place] = []
    links: list[tuple[int, int]] = []
    for one in sentences:
        own = one.translation.alignment or Alignment(
            tuple(plain.text[one.source_start : one.source_end].split()),
            tuple(text[one.target_start : one.target_end].split()),
        )
        links += [(i + len(source), j + len(target)) for i, j in own.links]
        source += _places(own.source_words, plain.text, one.source_start, one.source_end)
        target += _places(own.target_words, text, one.target_start, one.target_end)
    return AlignedText(text, tuple(source), tuple(target), tuple(links))


def _places(words: Sequence[str], text: str, start: int = 0, end: int | None = None) -> tuple[Place, ...]:
    """Return where each word stands; one that is written otherwise has the next characters of the text."""
    end = len(text) if end is None else end
    found: list[Place] = []
    place = start
    for word in words:
        while place < end and text[place].isspace():
            place += 1
        # A word that normalisation has changed must not make the next ones jump ahead.
        at = text.find(word, place, min(end, place + 3 * len(word) + 8))
        begin = place if at < 0 else at
        place = min(begin + max(len(word), 1), end)
        found.append((min(begin, end), place))
    return tuple(found)
