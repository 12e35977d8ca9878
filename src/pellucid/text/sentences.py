"""Split a text into sentences.

The library sentencex knows the marks that end sentences, and many abbreviations. A wrong boundary inside a sentence
does more harm than a missing boundary, so the rules of ``_parts_sentences`` reject doubtful ones. Read ``store.py``
next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Final

import sentencex

from pellucid.text.corpus import SentencePair

__all__ = ["SentenceCount", "has_single_sentences", "holds_several", "sentences_of"]

_LANGUAGE_CODE: Final = re.compile(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")
_LEAST_SHARE_OF_SEVERAL: Final = 0.1
_COUNTED_SOURCES: Final = 100_000
_WINDOW_CHARACTERS: Final = 1024
_NO_CODE: Final = frozenset({"src", "tgt"})

_WIDE_ENDS: Final = "。！？｡．"
"""Marks that end a sentence without a space after them."""

_ENDS: Final = ".!?…‽‼⁇⁈⁉։؟۔܀܁܂߹।॥၊။።፧፨᙮᜵᜶᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᰻᰼᱾᱿⸮⸼꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗"
# A text without a match of this pattern is one sentence.
_INNER_END: Final = re.compile(rf"[{re.escape(_ENDS)}]\S{{0,3}}\s|[{_WIDE_ENDS}]\S")

_CLOSING: Final = "\"')]}»”’›」』）】"
_OPENING: Final = "\"'([{«“‘„‹「『（【¿¡-–—"
_WORD: Final = re.compile(r"[^\W_]")
_VOWELS: Final = frozenset("aeiouy")
_TITLES: Final = frozenset({
    "mme", "mmes", "mlle", "mm", "mgr", "dr", "dra", "drs", "prof", "st", "ste", "sr", "sra", "srta", "sig",
    "dott", "ing", "hr", "fr", "frk", "frl", "dhr", "mevr", "tow", "mr", "mrs", "ms",
})  # fmt: skip
"""Titles before a name, which sentencex does not know in every language."""

_WRITES_NO_ORDINAL_WITH_A_STOP: Final = frozenset({
    "ar", "be", "bg", "bn", "ca", "el", "en", "es", "fa", "fr", "ga", "he", "hi", "id", "it", "ja", "ko", "ms", "nl",
    "pt", "ro", "ru", "sv", "sw", "ta", "th", "uk", "ur", "vi", "yue", "zh",
})  # fmt: skip
"""Languages that do not write an ordinal number as digits with a full stop ("3." for "3rd"); any other might."""


def sentences_of(text: str, language: str) -> list[str]:
    """Return the sentences of a text, each with the white space after it; joined they are the text.

    The time is linear in the length of the text.

    Args:
        text: without white space at its start.
        language: code of its language; if it is not a valid code, the rules for English apply.
    """
    if _INNER_END.search(text) is None:
        return [text]
    found = _proposed(text, language.replace("_", "-") if _is_code(language) else "en")
    primary = re.split("[-_]", language.lower())[0]
    has_ordinals = primary not in _WRITES_NO_ORDINAL_WITH_A_STOP
    sentences: list[list[str]] = [[found[0]]]
    for piece in found[1:]:
        if _parts_sentences(sentences[-1][-1], piece, is_first=len(sentences[-1]) == 1, has_ordinals=has_ordinals):
            sentences.append([piece])
        else:
            sentences[-1].append(piece)
    return _without_leading_space(["".join(pieces) for pieces in sentences])


def holds_several(text: str, language: str) -> bool:
    """Return whether a text holds more than one sentence."""
    return len(sentences_of(text.strip(), language)) > 1


def has_single_sentences(share_of_several: float | None) -> bool:
    """Return whether a model learns single sentences only, by the share of its training sources with several.

    An unknown share (None) counts as single sentences, because most corpora have single sentences. Such a corpus still
    has some lines with two ("Stop! I said stop."), too few to teach a model that a text continues after a full stop, so
    its translation ends there. Up to 6 % of the lines are such in corpora of sentences (Europarl), and 13 % or more in
    corpora of paragraphs (the documentation of Python).
    """
    return share_of_several is None or share_of_several < _LEAST_SHARE_OF_SEVERAL


class SentenceCount:
    """Counts the training sources with several sentences.

    Args:
        language: code of the source language.
        expected: approximate number of sources; if it is large, only a sample is counted.
    """

    def __init__(self, language: str, *, expected: int) -> None:
        self._language = language
        self._every = max(1, expected // _COUNTED_SOURCES)
        self._seen = self._several = 0

    def watching(self, pairs: Iterator[SentencePair]) -> Iterator[SentencePair]:
        """Yield the pairs and count them."""
        for row, pair in enumerate(pairs):
            if row % self._every == 0:
                self._seen += 1
                self._several += holds_several(pair.source, self._language)
            yield pair

    @property
    def share(self) -> float:
        """The share of counted sources with several sentences; 0 without sources."""
        return self._several / self._seen if self._seen else 0.0

    def in_words(self) -> str:
        """Return the share and its consequence as a line for the screen and the model card."""
        result = (
            "the model learns single sentences, so text is split into sentences before it is translated"
            if has_single_sentences(self.share)
            else "the model learns text of several sentences, so text is translated without splitting"
        )
        return f"sentences: {100 * self.share:.1f} % of the sources hold more than one; {result}"


def _proposed(text: str, code: str) -> list[str]:
    """Return the segments that sentencex proposes; joined they are the text.

    sentencex gets one window at a time, because its time is quadratic: a second for ten thousand sentences that are not
    ASCII, four for twice as many (1.0.32). The last segment of a window may continue after it, so the next window
    begins with that segment.
    """
    ends: list[int] = []
    start = 0
    while start < len(text):
        window = text[start : start + _WINDOW_CHARACTERS]
        found: list[str] = sentencex.segment(code, window)
        if "".join(found) != window:
            found = [window]  # sentencex changed the text
        has_more = start + len(window) < len(text)
        own = list(accumulate(map(len, found), initial=start))[1:]
        complete = own[:-1] if has_more else own
        ends += complete
        # A window without a boundary is the middle of one long sentence.
        start = complete[-1] if complete else own[-1]
    return [text[begin:end] for begin, end in pairwise([0, *ends])]


def _is_code(language: str) -> bool:
    return _LANGUAGE_CODE.match(language) is not None and language not in _NO_CODE


def _parts_sentences(before: str, after: str, *, is_first: bool, has_ordinals: bool) -> bool:
    """Return whether a proposed boundary between two segments is one between sentences.

    It is rejected if

    - a segment has neither letter nor digit ("...", a dash, an emoji), so there is nothing to translate;
    - the next segment begins with a lower-case letter ("e.g. this", "“Go!” he said");
    - there is no white space, and the segment does not end in a mark that needs none ("a.b", "“你好！”他说");
    - the segment ends in an ellipsis, which can be a pause;
    - the full stop can belong to an abbreviation, an initial or an ordinal number.
    """
    start = after.lstrip().lstrip(_OPENING)
    if not _WORD.search(before) or not _WORD.search(after) or start[:1].islower():
        return False
    bare = before.rstrip()
    if bare == before and not after[:1].isspace():
        return bare[-1] in _WIDE_ENDS
    bare = bare.rstrip(_CLOSING)
    if bare.endswith(("...", "…")):
        return False
    if not bare.endswith("."):
        return True
    words = bare.rsplit(None, 1)
    is_alone = is_first and len(words) == 1
    return not _can_be_abbreviation(words[-1][:-1].lstrip(_OPENING), is_alone=is_alone, has_ordinals=has_ordinals)


def _can_be_abbreviation(word: str, *, is_alone: bool, has_ordinals: bool) -> bool:
    """Return whether a word before a full stop can be an abbreviation, an initial or a number in a list."""
    if len(word) <= 1 or "." in word:  # "J.", "p.m."
        return not word.isdigit() or is_alone or has_ordinals
    if word.isdecimal():
        return is_alone or (has_ordinals and len(word) <= 2)
    letters = unicodedata.normalize("NFD", word.lower())
    if letters in _TITLES:
        return True
    is_latin = letters.isascii() and letters.isalpha()
    return is_latin and not word.isupper() and _VOWELS.isdisjoint(letters)  # "Bd.", "vgl."; but "TV." ends a sentence


def _without_leading_space(sentences: list[str]) -> list[str]:
    """Move white space at the start of a sentence to the end of the one before it."""
    whole: list[str] = []
    for sentence in sentences:
        body = sentence.lstrip()
        if whole:
            whole[-1] += sentence[: len(sentence) - len(body)]
        if body:
            whole.append(body)
    return whole
