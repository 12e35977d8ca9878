"""Notes about text that is allowed but probably a mistake; the text itself is not changed.

There are three notes, each with its place and the remedy: about characters at which other programs break lines, quotes
around every cell, and a first row that looks like a header. Read ``cleaning.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pellucid.errors import counted

__all__ = ["SideNotices", "notes_on"]

_OTHER_ENDS: Final = "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""Characters other than the newline at which ``str.splitlines``, like other programs, breaks lines."""
_QUOTE: Final = '"'
_QUOTED_SHARE: Final = 0.5
# Dialogues and source code also contain doubled quotes: 2 in 26,718 sentences of Tatoeba, 4 in 50,785 of Python's docs.
_DOUBLED_SHARE: Final = 0.001
# Words between spaces.
_HEADER_WORDS: Final = (
    " source src original text sentence segment input target tgt trg translation translated reference ref output mt "
    "english french german spanish italian portuguese dutch chinese japanese korean russian arabic "
)
_LANGUAGE_CODES: Final = (
    " af am ar as az be bg bn bo br bs ca cs cy da de dz el en eo es et eu fa fi fo fr fy ga gd gl gu ha he hi hr ht "
    "hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no ny oc om or "
    "pa pl ps pt ro ru rw sd si sk sl sm sn so sq sr st su sv sw ta te tg th ti tk tl tr tt ug uk ur uz vi wo xh yi yo "
    "zh zu ara ces cmn dan deu ell eng est fas fin fra heb hin hun ind ita jpn kor nld nor pol por ron rus spa swe tha "
    "tur ukr vie zho "
)
_REGION: Final = re.compile(r"[-_]\w{2,4}$")
_BETWEEN_WORDS: Final = re.compile(r"[\s_]+")


class SideNotices:
    """The oddities of one side of a corpus; ``see`` takes its texts in order.

    Args:
        name: the file, with the column or key if it has several.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.first = ""
        self.seen = self.broken = self.quoted = self.doubled = 0

    def see(self, texts: Sequence[str | None]) -> None:
        """Look at more texts; None stands for a skipped text."""
        given = [text for text in texts if text is not None]
        if not self.seen and given:
            self.first = given[0]
        self.seen += len(given)
        whole = "\n".join(given)
        if any(character in whole for character in _OTHER_ENDS):
            self.broken += sum(any(character in text for character in _OTHER_ENDS) for text in given)
        quoted = [text for text in given if len(text) > 1 and text[0] == text[-1] == _QUOTE]
        self.quoted += len(quoted)
        self.doubled += sum(2 * _QUOTE in text[1:-1] for text in quoted)

    @property
    def is_quoted(self) -> bool:
        """Return whether quotes look like those of CSV: around most texts, or doubled inside quoted texts."""
        return self.quoted > _QUOTED_SHARE * self.seen or self.doubled > _DOUBLED_SHARE * self.seen


def notes_on(sides: Sequence[SideNotices], *, languages: Sequence[str] = ()) -> tuple[str, ...]:
    """Return a note for each oddity.

    Args:
        sides: source and target.
        languages: codes of the two languages, which a header may contain.
    """
    notes = []
    if broken := [side for side in sides if side.broken]:
        notes.append(
            f"{_counts(broken, 'broken')} contain U+2028 or another character at which some programs break lines; "
            r"pellucid breaks lines only at \n, so the pairs stay aligned and the character is kept"
        )
    if quoted := [side for side in sides if side.is_quoted]:
        notes.append(
            f"{_counts(quoted, 'quoted')} are in double quotes, which the model learns as part of the text; if they "
            "come from CSV, write the file again without quoting"
        )
    if len(sides) > 1 and all(_is_header(side.first, languages) for side in sides):
        words = " and ".join(repr(side.first) for side in sides)
        notes.append(f"{sides[0].name}: the first row, {words}, looks like a header but is read as a pair; remove it")
    return tuple(notes)


def _counts(sides: Sequence[SideNotices], what: str) -> str:
    return ", ".join(f"{side.name}: {getattr(side, what):,} of {counted(side.seen, 'text')}" for side in sides)


def _is_header(text: str, languages: Sequence[str]) -> bool:
    name = text.strip().strip(_QUOTE).casefold()
    if name in {language.casefold() for language in languages} or f" {_REGION.sub('', name)} " in _LANGUAGE_CODES:
        return True
    return all(f" {word} " in _HEADER_WORDS for word in _BETWEEN_WORDS.split(name))
