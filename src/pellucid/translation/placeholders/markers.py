"""Take the placeholders, tags and character entities out of a text. Read ``attention.py`` next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pellucid.translation.losses import PLACEHOLDER
from pellucid.translation.terms.forms import is_spaced

__all__ = ["Marker", "markers_of", "taken_out", "without_markers"]

_ENDS: Final = ".,;:!?…)]»"
"""After these a word does not go on: "tired.<br/>You" are two sentences."""


@dataclass(frozen=True)
class Marker:
    """A placeholder, a tag or an entity of a source text."""

    text: str
    place: int
    """In the text without markers, before the character of this number."""
    space_before: bool
    """White space, or the start of the text, is before it; likewise for ``space_after``."""
    space_after: bool
    word_before: bool = False
    """A word that it touches is before it; likewise for ``word_after``."""
    word_after: bool = False

    @property
    def closes(self) -> bool:
        """Whether it is a closing tag, which goes with the word before it."""
        return self.text.startswith("</")

    @property
    def is_tag(self) -> bool:
        """Whether it is a tag, which stands for no word."""
        return self.text.startswith("<")

    @property
    def is_half(self) -> bool:
        """Whether it is an opening or closing tag; any other tag may stand for a word, as ``<x1/>`` for ``{name}``."""
        return self.is_tag and not self.text.endswith("/>")


def markers_of(text: str) -> list[str]:
    """Return the placeholders, tags and entities of a text, in order."""
    return [found[0] for found in PLACEHOLDER.finditer(text)]


def taken_out(text: str) -> tuple[str, tuple[Marker, ...]]:
    """Return a text without its markers, and the markers; words that they separate stay apart."""
    rest = ""
    markers: list[Marker] = []
    end = 0
    for found in PLACEHOLDER.finditer(text):
        rest = _joined(rest, text[end : found.start()])
        end = found.end()
        before = found.start() == 0 or text[found.start() - 1].isspace()
        after = end == len(text) or text[end].isspace()
        words = is_spaced(text[: found.start()][-1:]), is_spaced(text[end : end + 1])
        markers.append(Marker(found[0], len(rest), before, after, *words))
    rest = _joined(rest, text[end:]).rstrip()
    return rest, tuple(replace(marker, place=min(marker.place, len(rest))) for marker in markers)


def _joined(before: str, after: str) -> str:
    if not before or before[-1].isspace():
        return before + after.lstrip()
    apart = (is_spaced(before[-1]) or before[-1] in _ENDS) and is_spaced(after[:1])
    return f"{before} {after}" if apart else before + after


def without_markers(text: str) -> str:
    """Return a text of the same length with white space in the place of its markers."""
    return PLACEHOLDER.sub(lambda found: " " * len(found[0]), text)
