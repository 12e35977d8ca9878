"""Cut a text that is too long for the model into parts below the limit, and join the translations of parts.

First into sentences (``text/sentences.py``). A sentence that is still too long is cut into as many stretches of about
equal length as it needs: after a punctuation mark, else at white space, else between two characters, else in the
middle; and again where a stretch is still too long. Each round looks at every character a bounded number of times and
at least halves what is left to cut, so the time is linear for text of even density, and never worse than n log n.
Parts and separators together are the text: nothing is lost. Read ``flags.py`` next.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

from pellucid.errors import RequestError, counted
from pellucid.text.sentences import sentences_of

__all__ = ["Part", "join_parts", "separators_of", "split_text"]

_WRITTEN_WITHOUT_SPACES: Final = frozenset({"zh", "yue", "wuu", "lzh", "ja", "th", "lo", "km", "my", "bo", "dz"})
# Each looks back at one character only, so that no run of marks or spaces is read again and again.
_AFTER_PUNCTUATION: Final = re.compile(
    r"(?<=[,;:.!?)\]»”…—–])\s+|(?<=[，、；：。！？）」』】।؛،])(?![，、；：。！？）」』】।؛،])\s*"
)
_AFTER_SPACE: Final = re.compile(r"(?<!\s)\s+")
_NO_SPACE: Final = re.compile(r"\S")
_ZERO_WIDTH_JOINER: Final = "\u200d"
_LONGEST_CHARACTER: Final = 32
"""As many code points may make one character of a text that people write (Unicode Standard Annex 15, section 13)."""

Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Part:
    """A stretch of the source without white space around it, and the white space that followed it."""

    text: str
    separator: str


def split_text(text: str, *, limit: int, count: Count, language: str) -> list[Part]:
    """Cut a text into parts of at most ``limit`` pieces.

    Args:
        text: anything but white space alone.
        limit: most pieces of a part, as ``count`` counts them.
        count: the number of pieces of each text.
        language: code of the text's language; what is no code, or is unknown to the splitter, is cut by
            the rules for English.

    Raises:
        RequestError: a single character is over the limit.
    """
    return _fitting(sentences_of(text.lstrip(), language), limit=limit, count=count)


def _fitting(stretches: Sequence[str], *, limit: int, count: Count) -> list[Part]:
    """Return stretches, which have white space at their ends only, as parts below the limit."""
    bare = [stretch.rstrip() for stretch in stretches]
    parts: list[Part] = []
    for stretch, text, length in zip(stretches, bare, count(bare), strict=True):
        separator = stretch[len(text) :]
        if length <= limit:
            parts.append(Part(text, separator))
            continue
        if len(text) == 1:
            raise RequestError(
                f"the character {text!r} alone is {counted(length, 'piece')}, over max_input_length = {limit}; raise it"
            )
        places = _cuts(text, _wanted_stretches(length, limit))
        cut = [text[start:end] for start, end in pairwise([0, *places, len(text)])]
        cut[-1] += separator
        parts += _fitting(cut, limit=limit, count=count)
    return parts


def _wanted_stretches(length: int, limit: int) -> int:
    """Return into how many stretches to cut: two, or some more than are needed, since good places lie unevenly."""
    return 2 if length <= 2 * limit else math.ceil(1.25 * length / limit)


def _cuts(text: str, number: int) -> list[int]:
    """Return where to cut a text of two characters or more into about ``number`` stretches: at least one place."""
    spacing = max(len(text) / number, 1.0)
    places: list[int] = []
    last = 0
    for index in range(1, number):
        ideal = index * spacing
        if ideal <= last:
            continue  # the cut before had to go further
        if ideal >= len(text) or last + 1 >= len(text):
            break
        low = max(ideal - 0.75 * spacing, last + spacing / 8)
        high = min(ideal + 0.75 * spacing, len(text) - spacing / 8)
        last = _best_cut(text, ideal, low=max(math.ceil(low), last + 1), high=min(math.floor(high), len(text) - 1))
        places.append(last)
    return places


def _best_cut(text: str, ideal: float, *, low: int, high: int) -> int:
    """Return the best place of ``low`` to ``high`` for a cut, or one behind them where all is white space there."""
    for pattern in (_AFTER_PUNCTUATION, _AFTER_SPACE):
        # A match that ends at the window's end may go on behind it.
        places = [m.end() for m in pattern.finditer(text, low - 1, high) if m.end() >= low]
        places = [place for place in places if not text[place].isspace()]
        if places:
            return min(places, key=lambda place: abs(place - ideal))
    middle = max(low, min(int(ideal), high))
    steps = chain.from_iterable((middle - step, middle + step) for step in range(_LONGEST_CHARACTER))
    found = next((place for place in steps if low <= place <= high and _begins_a_character(text, place)), middle)
    if not text[found].isspace():
        return found
    behind = _NO_SPACE.search(text, found)
    return behind.start() if behind else len(text) - 1


def _begins_a_character(text: str, place: int) -> bool:
    """Return whether nothing binds the code point at ``place`` to the one before it."""
    character = text[place]
    is_bound = unicodedata.category(character)[0] == "M" or character.isspace() or character == _ZERO_WIDTH_JOINER
    return not is_bound and text[place - 1] != _ZERO_WIDTH_JOINER


def join_parts(texts: Sequence[str], parts: Sequence[Part], *, language: str) -> str:
    """Join the translations of parts with the separators of the source.

    Where the source has none (a sentence of Chinese, a word cut in two) and the target ``language`` puts
    spaces between words, a space is set; where it does not, single spaces of the source are left out.
    """
    separators = separators_of(parts, language=language)
    joined = texts[0]
    for separator, text in zip(separators, texts[1:], strict=False):
        joined += (separator if joined and text else "") + text
    return joined


def separators_of(parts: Sequence[Part], *, language: str) -> list[str]:
    """Return what stands behind the translation of each part, by the rule of ``join_parts``."""
    separators = [part.separator for part in parts]
    if re.split("[-_]", language.lower())[0] in _WRITTEN_WITHOUT_SPACES:
        return ["" if separator == " " else separator for separator in separators]
    return [separator or " " for separator in separators]
