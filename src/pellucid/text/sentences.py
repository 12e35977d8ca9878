"""Where one sentence of a text ends and the next begins.

The library sentencex knows the marks that end sentences and many abbreviations. A wrong cut inside a sentence costs
more than a cut that is missed, so a boundary that it proposes counts only where nothing speaks against it; the
rules stand in ``_parts_sentences``. Read ``store.py`` next.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import sentencex

__all__ = ["holds_several", "sentences_of"]

_LANGUAGE_CODE: Final = re.compile(r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")
_NO_CODE: Final = frozenset({"src", "tgt"})

_WIDE_ENDS: Final = "。！？｡．"
"""Marks that end a sentence without a space after them."""

_ENDS: Final = ".!?…‽‼⁇⁈⁉։؟۔܀܁܂߹।॥၊။።፧፨᙮᜵᜶᠃᠉᥄᥅᪨᪩᪪᪫᭚᭛᭞᭟᰻᰼᱾᱿⸮⸼꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫﹒﹖﹗"
# Without one of these inside, a text is one sentence, and nothing else is asked.
_INNER_END: Final = re.compile(rf"[{re.escape(_ENDS)}]\S{{0,3}}\s|[{_WIDE_ENDS}]\S")

_CLOSING: Final = "\"')]}»”’›」』）】"
_OPENING: Final = "\"'([{«“‘„‹「『（【¿¡-–—"
_WORD: Final = re.compile(r"[^\W_]")
_VOWELS: Final = frozenset("aeiouy")
_TITLES: Final = frozenset({
    "mme", "mmes", "mlle", "mm", "mgr", "dr", "dra", "drs", "prof", "st", "ste", "sr", "sra", "srta", "sig",
    "dott", "ing", "hr", "fr", "frk", "frl", "dhr", "mevr", "tow", "mr", "mrs", "ms",
})  # fmt: skip
"""They stand before a name, which sentencex does not know in every language."""

_WRITES_ORDINALS_WITH_A_STOP: Final = frozenset({
    "bs", "cs", "da", "de", "dsb", "et", "eu", "fi", "fo", "gl", "hr", "hsb", "hu", "is", "lb", "lt", "lv",
    "mk", "nb", "nn", "no", "pl", "sk", "sl", "sr", "tr",
})  # fmt: skip


def sentences_of(text: str, language: str) -> list[str]:
    """Return the sentences of a text, with the white space that follows each; joined they are the text.

    The time is linear in the length of the text.

    Args:
        text: without white space at its start.
        language: code of its language; what is no code is cut by the rules for English.
    """
    if _INNER_END.search(text) is None:
        return [text]
    found: list[str] = sentencex.segment(language.replace("_", "-") if _is_code(language) else "en", text)
    if "".join(found) != text:
        return [text]  # the library changed something
    primary = re.split("[-_]", language.lower())[0]
    has_ordinals = primary in _WRITES_ORDINALS_WITH_A_STOP or not _is_code(language)
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


def _is_code(language: str) -> bool:
    return _LANGUAGE_CODE.match(language) is not None and language not in _NO_CODE


def _parts_sentences(before: str, after: str, *, is_first: bool, has_ordinals: bool) -> bool:
    """Return whether a boundary that was proposed between two stretches can be trusted.

    It cannot where

    - a side has neither letter nor digit ("...", a dash, an emoji): there is nothing to translate there;
    - the next stretch begins with a lower-case letter ("e.g. this", "“Go!” he said");
    - there is no white space, and the stretch does not end in a mark that needs none ("a.b", "“你好！”他说");
    - the stretch ends in an ellipsis, which may as well be a pause;
    - the full stop may belong to an abbreviation, an initial or an ordinal number.
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
    return not _may_be_short_for_more(words[-1][:-1].lstrip(_OPENING), is_alone=is_alone, has_ordinals=has_ordinals)


def _may_be_short_for_more(word: str, *, is_alone: bool, has_ordinals: bool) -> bool:
    """Return whether a word before a full stop may be an abbreviation, an initial or a number in a list."""
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
    """Move white space at the start of a sentence to the end of the one before; the first has none."""
    whole: list[str] = []
    for sentence in sentences:
        body = sentence.lstrip()
        if whole:
            whole[-1] += sentence[: len(sentence) - len(body)]
        if body:
            whole.append(body)
    return whole
