"""The alignment of a text and its translation, from the attention weights of its parts. Read ``results.py`` next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pellucid.text.vocabulary import WORD_BOUNDARY
from pellucid.translation.alignment.links import Span, Weights, links_of, word_weights
from pellucid.translation.alignment.words import Word, merge_words
from pellucid.translation.hypothesis import Alignment

__all__ = ["AlignedPart", "joined", "places_of", "stretches_of", "words_of"]

_SPACES = (WORD_BOUNDARY, " ", "<0x20>")


@dataclass(frozen=True)
class AlignedPart:
    """The pieces of one part, without tags and ends of sentence, and the weights between them."""

    source_pieces: Sequence[str]
    target_pieces: Sequence[str]
    weights: Weights
    """[target pieces, source pieces]."""
    source_gap: str = ""
    """What stands before the part in the source."""
    target_gap: str = ""


def joined(parts: Sequence[AlignedPart], *, stretches_before: int = 0) -> Alignment:
    """Return the alignment of a whole text; words of different parts are never linked.

    Args:
        parts: in their order; only those with pieces on either side count.
        stretches_before: stretches between spaces before the first word of the source, such as a tag.
    """
    sides = [[words_of(part.source_pieces) for part in parts], [words_of(part.target_pieces) for part in parts]]
    starts = [_starts(len(words) for words in side) for side in sides]
    piece_starts = [_starts(len(p.source_pieces) for p in parts), _starts(len(p.target_pieces) for p in parts)]
    links: list[tuple[int, int]] = []
    piece_links: list[tuple[int, int]] = []
    for number, part in enumerate(parts):
        spans = [[(word.start, word.end) for word in side[number]] for side in sides]
        weights = word_weights(part.weights, source=spans[0], target=spans[1])
        links += [(starts[0][number] + i, starts[1][number] + j) for i, j in links_of(weights)]
        piece_links += [(piece_starts[0][number] + i, piece_starts[1][number] + j) for i, j in links_of(part.weights)]
    return Alignment(
        source_words=tuple(word.text for words in sides[0] for word in words),
        target_words=tuple(word.text for words in sides[1] for word in words),
        links=tuple(links),
        source_pieces=tuple(piece for part in parts for piece in part.source_pieces),
        piece_links=tuple(piece_links),
        source_places=tuple(
            _numbered(
                [(part.source_pieces, words, part.source_gap) for part, words in zip(parts, sides[0], strict=True)],
                first=stretches_before,
            )
        ),
        target_places=tuple(
            _numbered(
                [(part.target_pieces, words, part.target_gap) for part, words in zip(parts, sides[1], strict=True)],
                first=0,
            )
        ),
    )


def words_of(pieces: Sequence[str]) -> list[Word]:
    """Return the words of pieces; white space alone is none, and its pieces belong to no word."""
    found = merge_words(pieces, is_special=[False] * len(pieces)) if pieces else ()
    return [word for word in found if word.text.strip()]


def _starts(lengths: Iterable[int]) -> list[int]:
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    return starts


def _numbered(parts: Sequence[tuple[Sequence[str], Sequence[Word], str]], *, first: int) -> Iterator[int]:
    """Yield for every word the number of the stretch between spaces that it is part of."""
    last: int | None = None
    for pieces, words, gap in parts:
        if not words:
            continue
        before = first if last is None else last + (1 if gap else 0)
        own = places_of(pieces, words)
        yield from (before + place for place in own)
        last = before + own[-1]


def places_of(pieces: Sequence[str], words: Sequence[Word]) -> list[int]:
    """Return for each word of a part the number of its stretch between spaces, counted from 0."""
    places = [0] if words else []
    for one, two in pairwise(words):
        between = pieces[one.end : two.start + 1]  # pieces of white space alone, and the first of the word
        is_apart = any(piece.startswith(_SPACES) for piece in between)
        places.append(places[-1] + is_apart)
    return places


def stretches_of(pieces: Sequence[str]) -> list[Span]:
    """Return the pieces of each stretch between spaces, from its first word to its last."""
    words = words_of(pieces)
    spans: dict[int, Span] = {}
    for word, place in zip(words, places_of(pieces, words), strict=True):
        spans[place] = (spans.get(place, (word.start, 0))[0], word.end)
    return [*spans.values()]
