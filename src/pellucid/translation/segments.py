"""Cut a text that is too long for the model into parts below the limit, and join their translations.

First into sentences (library sentencex). A sentence that is still too long is halved, as near to its
middle as possible, after a punctuation mark, else at white space, else between two characters; and again
until every part fits. Parts and separators together are the text: nothing is lost. Read ``flags.py`` next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import sentencex

from pellucid.errors import RequestError

__all__ = ["Part", "join_parts", "split_text"]

_LANGUAGE_CODE: Final = re.compile(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")
_NO_CODE: Final = {"src", "tgt"}
_WRITTEN_WITHOUT_SPACES: Final = frozenset({"zh", "yue", "wuu", "lzh", "ja", "th", "lo", "km", "my", "bo", "dz"})
_AFTER_PUNCTUATION: Final = re.compile(r"[,;:.!?)\]»”…—–]+\s+(?=\S)|[，、；：。！？）」』】।؛،]+\s*(?=\S)")
_AFTER_SPACE: Final = re.compile(r"\s+(?=\S)")


@dataclass(frozen=True)
class Part:
    """A stretch of the source without white space around it, and the white space that followed it."""

    text: str
    separator: str


def split_text(text: str, *, limit: int, count: Callable[[Sequence[str]], list[int]], language: str) -> list[Part]:
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
    waiting = _sentences(text.lstrip(), language)[::-1]
    parts: list[Part] = []
    while waiting:
        stretch = waiting.pop()  # has white space at its end only
        bare = stretch.rstrip()
        (length,) = count([bare])
        if length <= limit:
            parts.append(Part(bare, stretch[len(bare) :]))
            continue
        if len(bare) == 1:
            raise RequestError(
                f"the character {bare!r} alone is {length} pieces, over max_input_length = {limit}; raise it"
            )
        cut = _cut(bare)
        waiting += [stretch[cut:], stretch[:cut]]
    return parts


def _sentences(text: str, language: str) -> list[str]:
    """Return the sentences, white space at their ends included, so that they join to ``text``."""
    is_code = _LANGUAGE_CODE.match(language) and language not in _NO_CODE
    sentences: list[str] = sentencex.segment(language.replace("_", "-") if is_code else "en", text)
    if "".join(sentences) != text:
        return [text]  # the splitter changed something: the cuts below lose nothing
    whole: list[str] = []
    for sentence in sentences:
        body = sentence.lstrip()
        if whole:
            whole[-1] += sentence[: len(sentence) - len(body)]
        if body:
            whole.append(body)
    return whole


def _cut(text: str) -> int:
    """Return where to halve a text of two characters or more, 0 < place < len(text)."""
    for pattern in (_AFTER_PUNCTUATION, _AFTER_SPACE):
        places = [m.end() for m in pattern.finditer(text) if len(text) / 8 <= m.end() <= len(text) * 7 / 8]
        if places:
            return min(places, key=lambda place: abs(place - len(text) / 2))
    characters = [place for place in range(1, len(text)) if not _belongs_to_the_last(text[place])]
    return min(characters or [1], key=lambda place: abs(place - len(text) / 2))


def _belongs_to_the_last(character: str) -> bool:
    return character.isspace() or unicodedata.combining(character) != 0 or character in "\u200d\ufe0f"


def join_parts(texts: Sequence[str], parts: Sequence[Part], *, language: str) -> str:
    """Join the translations of parts with the separators of the source.

    Where the source has none (a sentence of Chinese, a word cut in two) and the target ``language`` puts
    spaces between words, a space is set; where it does not, single spaces of the source are left out.
    """
    is_spaced = re.split("[-_]", language.lower())[0] not in _WRITTEN_WITHOUT_SPACES
    separators = [part.separator for part in parts]
    if is_spaced:
        separators = [separator or " " for separator in separators]
    else:
        separators = ["" if separator == " " else separator for separator in separators]
    joined = texts[0]
    for separator, text in zip(separators, texts[1:], strict=False):
        joined += (separator if joined and text else "") + text
    return joined
