"""The normalisation of text before it is cut into pieces, the same for training, translating, scoring and tracing.

Three steps, which change nothing that a reader of the text can see:

1. **Invisible characters are removed**: control characters (Unicode category Cc, white space aside), the soft hyphen
   U+00AD, the zero-width space U+200B, the word joiner and invisible operators U+2060 to U+2064, the byte order
   mark U+FEFF, the deprecated U+206A to U+206F, the annotation marks U+FFF9 to U+FFFB, the grapheme joiner U+034F, the
   Khmer vowels U+17B4 and U+17B5, the noncharacters U+FDD0 to U+FDEF, U+FFFE and U+FFFF, and the
   following ones unless their script needs them. The neighbouring characters decide this, so there is no setting:

   - the joiners U+200C and U+200D (and U+180E) stay beside a letter of a script that joins or stacks its letters
     (Arabic, Syriac, Mongolian, the Indic scripts ...); U+200D also stays between two emoji;
   - the zero-width space stays between two letters of Thai, Lao, Tibetan, Myanmar or Khmer, where it separates words;
   - direction marks (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069) stay in a text with a right-to-left
     letter;
   - tag characters (U+E0020 to U+E007F) stay after the black flag U+1F3F4, whose region they spell;
   - the Hangul fillers (U+115F, U+1160, U+3164, U+FFA0) stay beside a conjoining jamo.

   A NUL character is removed too, but no text with one comes here from a file, a data set or a translation: it is a
   sign of a wrong encoding (UTF-16), so these refuse it.

   A zero-width space between the end of a sentence and a letter becomes a space, because it separates the two.

2. **Unicode NFC** gives "é" one form, so that a word has the same pieces whatever keyboard typed it. The default of
   SentencePiece (NFKC with extras) would rewrite full-width punctuation and no-break spaces, which Chinese, Japanese
   and French need.

3. **White space is folded**: it is removed at the ends, and every run of it, and every other white space character,
   becomes one space. Two kinds of single characters stay: a no-break space (U+00A0, U+202F) that is not between two
   letters, because French has it before « : » and many languages in "10 000", and an ideographic space (U+3000) beside
   a wide character.

Read ``vocabulary.py`` next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Final, Literal

from pellucid.errors import RequestError

__all__ = ["FORMS", "Form", "Normaliser", "is_blank", "nul_in", "refuse_surrogates", "tidy", "without_invisible"]

Form = Literal["nfc", "none"]
FORMS: Final[tuple[Form, ...]] = ("nfc", "none")

_JOINERS: Final = frozenset("\u200c\u200d\u180e")
_ZERO_WIDTH_JOINER: Final = "\u200d"
_ZERO_WIDTH_SPACE: Final = "\u200b"
_BLACK_FLAG: Final = "\U0001f3f4"
_DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_FLAG_TAGS: Final = range(0xE0020, 0xE0080)
# Control characters that are white space (\t to \r, \x1c to \x1f, \x85) are not in this set.
_INVISIBLE: Final = re.compile(
    "[\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufdd0-\ufdef\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\U000e0001\U000e0020-\U000e007f]+"
)
_INVISIBLE_BUT_PRINTABLE: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]")
"""Invisible characters for which ``str.isprintable`` returns true."""
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
_JAMO: Final = re.compile("[\u1100-\u115e\u1161-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
_ENDS_A_SENTENCE: Final = frozenset(".!?\u2026")
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_JOINING: Final = re.compile(
    "[\u0600-\u061b\u061d-\u0dff\u1000-\u109f\u1780-\u180d\u180f-\u18af\u1a20-\u1c4f\u1cd0-\u1cff\ua800-\ua8ff"
    "\ua980-\ua9ff\uaa60-\uaa7f\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010d00-\U00010d3f\U00011000-\U00011fff"
    "\U0001e900-\U0001e95f]"
)
_WORDS_RUN_ON: Final = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1980-\u19df\u1a20-\u1aaf\uaa60-\uaadf]")
_EMOJI: Final = re.compile("[\u00a9\u00ae\u20e3\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]")

_ODD_SPACE: Final = re.compile(r"\s{2,}|[^\S ]")
_NO_BREAK: Final = frozenset("\u00a0\u202f")
_IDEOGRAPHIC_SPACE: Final = "\u3000"
_FIRST_WIDE: Final = "\u2e80"

# CPython sorts combining marks in quadratic time (a second for 40,000 marks), so long runs are sorted here.
# No mark is a letter or a digit; other symbols that the pattern matches stay as they are.
_LONG_RUN_OF_MARKS: Final = re.compile(r"[^\x00-\x7f\w\s]{32,}")


@dataclass(frozen=True)
class Normaliser:
    """A function from text to text, which ``tokenizer.json`` records by name; idempotent.

    The form ``none`` skips step 2, for models of other tools.
    """

    form: Form = "nfc"
    lowercase: bool = False

    def __call__(self, text: str) -> str:
        """Return the normalised text."""
        if self.lowercase:
            text = text.lower()
        text = without_invisible(text)
        return _folded(_nfc(text) if self.form == "nfc" else text)

    def all(self, texts: Sequence[str]) -> list[str]:
        """Return many texts normalised.

        Raises:
            RequestError: a text holds a lone surrogate, which is no character and has no UTF-8 form.
        """
        refuse_surrogates(texts)
        return [self(text) for text in texts]


def tidy(text: str) -> str:
    """Return a text after steps 1 and 3: without invisible characters, its white space folded."""
    return _folded(without_invisible(text))


def is_blank(text: str) -> bool:
    """Return whether a text has only white space and invisible characters."""
    return not without_invisible(text).strip()


def without_invisible(text: str) -> str:
    """Return a text after step 1; its white space is not changed."""
    # Nearly every text has no invisible character.
    if text.isprintable() and (text.isascii() or not _INVISIBLE_BUT_PRINTABLE.search(text)):
        return text
    has_right_to_left = _RIGHT_TO_LEFT.search(text) is not None
    return _INVISIBLE.sub(lambda found: _needed(found, has_right_to_left=has_right_to_left), text)


def _needed(found: re.Match[str], *, has_right_to_left: bool) -> str:
    """Return the part of a run of invisible characters that its script needs.

    The result depends on the ends of the run and on the characters around it, which all stay, so it is idempotent.
    """
    run, text = found[0], found.string
    before, after = text[max(found.start() - 1, 0) : found.start()], text[found.end() : found.end() + 1]
    if _ZERO_WIDTH_SPACE in run and before in _ENDS_A_SENTENCE and after.isalpha():
        return " "
    kept = _directions_and_tags(run, has_right_to_left=has_right_to_left, before=before)
    if _JAMO.match(before) or _JAMO.match(after):
        kept |= {place for place, character in enumerate(run) if character in _FILLERS}
    if _ZERO_WIDTH_SPACE in run and _WORDS_RUN_ON.match(before) and _WORDS_RUN_ON.match(after):
        kept.add(run.index(_ZERO_WIDTH_SPACE))
    if run[0] in _JOINERS and _JOINING.match(before):
        kept.add(0)
    if run[-1] in _JOINERS and _JOINING.match(after):
        kept.add(len(run) - 1)
    if run == _ZERO_WIDTH_JOINER and _EMOJI.match(before) and _EMOJI.match(after):
        kept.add(0)
    return "".join(run[place] for place in sorted(kept))


def _directions_and_tags(run: str, *, has_right_to_left: bool, before: str) -> set[int]:
    """Return the places of the direction marks and flag tags that stay."""
    is_flag = before == _BLACK_FLAG
    if not has_right_to_left and not is_flag:
        return set()
    return {
        place
        for place, character in enumerate(run)
        if (has_right_to_left and character in _DIRECTIONS) or (is_flag and ord(character) in _FLAG_TAGS)
    }


def _folded(text: str) -> str:
    """Return a text after step 3."""
    if text.isprintable() and "  " not in text:  # of all white space, only the space is printable
        return text.strip(" ")
    return _ODD_SPACE.sub(_space_for, text).strip()


def _space_for(found: re.Match[str]) -> str:
    space, text = found[0], found.string
    before, after = text[max(found.start() - 1, 0) : found.start()], text[found.end() : found.end() + 1]
    if space in _NO_BREAK and not (_is_of_a_word(before) and _is_of_a_word(after)):
        return space
    if space == _IDEOGRAPHIC_SPACE and max(before, after) >= _FIRST_WIDE:
        return space
    return " "


def _is_of_a_word(character: str) -> bool:
    return character.isalpha() or (character != "" and unicodedata.category(character)[0] == "M")


def _nfc(text: str) -> str:
    """Return a text in NFC, in a time that is linear in its length."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _LONG_RUN_OF_MARKS.sub(_in_canonical_order, text))


def _in_canonical_order(found: re.Match[str]) -> str:
    """Return a run of marks, decomposed and in canonical order.

    Unicode Standard Annex 15, section 1.3: marks are sorted by combining class; the sort is stable.
    """
    apart = chain.from_iterable(unicodedata.normalize("NFD", character) for character in found[0])
    groups = groupby(apart, key=lambda character: unicodedata.combining(character) > 0)
    return "".join(chain.from_iterable(_by_class(group) if are_marks else group for are_marks, group in groups))


def _by_class(marks: Iterable[str]) -> Iterable[str]:
    classes: dict[int, list[str]] = {}
    for mark in marks:
        classes.setdefault(unicodedata.combining(mark), []).append(mark)
    return chain.from_iterable(classes[number] for number in sorted(classes))


def nul_in(text: str) -> str | None:
    """Return what is wrong with a text that has a NUL character, its place counted from 1, or None."""
    place = text.find("\x00")
    return None if place < 0 else f"character {place + 1} is a NUL character"


def refuse_surrogates(texts: Sequence[str]) -> None:
    """Refuse texts that cannot be encoded as UTF-8.

    Raises:
        RequestError: a text holds a lone surrogate; the message has its place.
    """
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        for index, text in enumerate(texts):
            _refuse_surrogate(index, text)


def _refuse_surrogate(index: int, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RequestError(
            f"text {index}: character {error.start} is the lone surrogate U+{ord(text[error.start]):04X}, which is not "
            "a character; the text was decoded wrongly, so remove it (texts and characters are counted from 0)"
        ) from None
