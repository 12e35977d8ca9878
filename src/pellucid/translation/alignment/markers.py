"""Alignments of texts whose placeholders and tags were taken out for the model and put back.

The model aligns the words. Each marker becomes a word on both sides, linked to itself, and the numbers of the stretches
between spaces are those of the texts with their markers. Words are found in these texts by counting characters: the
markers apart, what is no white space is the same with and without them. Read ``results.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pellucid.translation.hypothesis import Alignment
from pellucid.translation.losses import PLACEHOLDER
from pellucid.translation.placeholders.markers import Marker

__all__ = ["with_markers_as_words"]

_STANDS_IN: Final = range(0xE000, 0xF900)
"""Private characters; one that the text does not have stands for a marker while characters are counted."""

Normalised = Callable[[str], str]


@dataclass(frozen=True)
class _Side:
    """The words of a text with markers, in order: the number of an aligned word, or None for a marker."""

    texts: tuple[str, ...]
    numbers: tuple[int | None, ...]
    places: tuple[int, ...]


def with_markers_as_words(
    alignment: Alignment,
    texts: tuple[str, str],
    bare: tuple[str, str],
    markers: Sequence[Marker],
    *,
    normalised: tuple[Normalised, Normalised],
) -> Alignment:
    """Return an alignment whose words include the markers.

    Args:
        alignment: of the texts without markers.
        texts: source and translation with their markers.
        bare: the same without.
        markers: of the source. Where the translation has others, its markers get no links.
        normalised: as the pieces of each side are.
    """
    both = (alignment.source_words, alignment.target_words)
    source, target = (
        _side(words, text, without, normal)
        for words, text, without, normal in zip(both, texts, bare, normalised, strict=True)
    )
    links = [(source.numbers.index(i), target.numbers.index(j)) for i, j in alignment.links]
    own = [[place for place, number in enumerate(side.numbers) if number is None] for side in (source, target)]
    if [target.texts[place] for place in own[1]] == [marker.text for marker in markers]:
        links += zip(*own, strict=True)
    return replace(
        alignment,
        source_words=source.texts,
        target_words=target.texts,
        links=tuple(sorted(links)),
        source_places=source.places,
        target_places=target.places,
    )


def _side(words: Sequence[str], text: str, bare: str, normalised: Normalised) -> _Side:
    starts = _starts(words, normalised(PLACEHOLDER.sub(" ", bare)))
    mark = next(chr(code) for code in _STANDS_IN if chr(code) not in text)
    found: list[tuple[str, int | None, int]] = []
    texts = iter(PLACEHOLDER.findall(text))
    counted = stretch = number = 0
    is_inside = False
    for character in [*normalised(PLACEHOLDER.sub(mark, text)), " "]:
        if character.isspace():
            stretch += is_inside
            is_inside = False
            continue
        is_inside = True
        if character == mark:
            found.append((next(texts), None, stretch))
            continue
        while number < len(words) and starts[number] <= counted:
            found.append((words[number], number, stretch))
            number += 1
        counted += 1
    found += [(words[rest], rest, max(stretch - 1, 0)) for rest in range(number, len(words))]
    return _Side(*(tuple(column) for column in zip(*found, strict=True))) if found else _Side((), (), ())


def _starts(words: Sequence[str], text: str) -> list[int]:
    """Return how many characters other than white space are before each word; an unknown one follows the last."""
    starts, place = [], 0
    for word in words:
        at = text.find(word, place)
        while at < 0 and place < len(text) and text[place].isspace():
            place += 1
        at = place if at < 0 else at
        starts.append(sum(not character.isspace() for character in text[:at]))
        place = at + (len(word) if text.startswith(word, at) else 1)
    return starts
