"""Put our NFC into a SentencePiece file, so that a program without NFC cuts text as we do.

A file can carry a table of characters: each text of the table becomes another one, the longest first, once, from
left to right. Unicode NFC is more than that (marks of any number are sorted), so the table holds what real text
has: each single character, each spelling of it with its marks in any order, all Hangul syllables, two
marks of one script in the wrong order, three in Hebrew and Arabic, and outside Latin, Greek and Cyrillic a mark
that joins its letter across another one. Longer sequences of marks in an unusual order stay unchanged, as ``docs/``
says. SentencePiece itself compiles the table.
Read ``huggingface/writing.py`` next.
"""

from __future__ import annotations

import functools
import io
import itertools
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import sentencepiece

from pellucid.text.sentencepiece.file import fields
from pellucid.text.subword import Side

__all__ = ["nfc_rules", "segmenter_file", "with_nfc"]

_SURROGATES: Final = range(0xD800, 0xE000)
_HANGUL: Final = range(0xAC00, 0xD7A4)
_SORTED_IN_THREES: Final = (range(0x05B0, 0x05C8), range(0x064B, 0x0656))
_LATIN_MARKS: Final = 0x03
"""The page of marks for Latin, Greek and Cyrillic, where the joined characters have the marks in use."""
_NORMALIZER: Final = 3
_NAME, _TABLE = 1, 2
_VARINT, _BYTES = 0, 2
_USER_DEFINED: Final = b"user_defined"
"""The name that SentencePiece gives to a table which is not built in."""


def with_nfc(model: bytes) -> bytes:
    """Return a model file that brings text into NFC before it cuts it; the rest is unchanged.

    Args:
        model: a file without a table of characters, as our own are.

    Raises:
        ValueError: the file has a table already.
    """
    changed = []
    for number, wire, value in fields(model):
        if number == _NORMALIZER and isinstance(value, bytes):
            parts = list(fields(value))
            if any(part == _TABLE and content for part, _, content in parts):
                raise ValueError("this SentencePiece file already normalises text")
            kept = [part for part in parts if part[0] not in (_NAME, _TABLE)]
            named = [(_NAME, _BYTES, _USER_DEFINED), (_TABLE, _BYTES, _compiled()), *kept]
            value = b"".join(itertools.starmap(_field, named))
        changed.append(_field(number, wire, value))
    return b"".join(changed)


def segmenter_file(side: Side) -> bytes:
    """Return the SentencePiece file of a side; our NFC, of which other tools know nothing, goes into it."""
    model = side.segmenter.model if side.segmenter else b""
    return with_nfc(model) if side.normaliser.form == "nfc" else model


def nfc_rules() -> dict[str, str]:
    """Return the texts that the table rewrites, and their NFC."""
    rules: dict[str, str] = {}
    for code in range(0x110000):
        if code in _SURROGATES:
            continue
        character = chr(code)
        parts = unicodedata.normalize("NFD", character)
        if parts != character:
            spellings = _hangul(parts) if code in _HANGUL else _spellings(parts)
            rules |= dict.fromkeys([character, *spellings], unicodedata.normalize("NFC", character))
    for text in (*_unsorted_marks(), *_joined_across()):
        rules[text] = unicodedata.normalize("NFC", text)
    return {written: meant for written, meant in rules.items() if written != meant}


def _hangul(parts: str) -> Iterator[str]:
    yield parts
    if len(parts) == 3:
        yield unicodedata.normalize("NFC", parts[:2]) + parts[2]


def _spellings(parts: str) -> Iterator[str]:
    """Yield every way to write a character: its marks in each order, the first ones joined or not."""
    whole = unicodedata.normalize("NFC", parts)
    for marks in itertools.permutations(parts[1:]):
        text = parts[0] + "".join(marks)
        for cut in range(1, len(text) + 1):
            spelt = unicodedata.normalize("NFC", text[:cut]) + text[cut:]
            for spelling in (text, spelt):
                if unicodedata.normalize("NFC", spelling) == whole:
                    yield spelling


@functools.cache
def _marks() -> dict[int, list[str]]:
    """Return the combining marks that do not decompose, by page: a page holds a script, or a part of one."""
    pages: dict[int, list[str]] = {}
    for code in range(0x110000):
        mark = chr(code)
        if unicodedata.combining(mark) and unicodedata.normalize("NFD", mark) == mark:
            pages.setdefault(code >> 8, []).append(mark)
    return pages


def _unsorted_marks() -> Iterator[str]:
    for marks in _marks().values():
        yield from ("".join(pair) for pair in itertools.permutations(marks, 2))
    for block in _SORTED_IN_THREES:
        own = [chr(code) for code in block if unicodedata.combining(chr(code))]
        yield from ("".join(three) for three in itertools.permutations(own, 3))


def _joined_across() -> Iterator[str]:
    """Yield letters whose mark follows another mark, such as a hamza after a vowel in Arabic."""
    for code in range(0x110000):
        base, *marks = list(unicodedata.normalize("NFD", chr(code)) if code not in _SURROGATES else " ")
        if len(marks) == 1 and (page := ord(marks[0]) >> 8) != _LATIN_MARKS:
            yield from (f"{base}{between}{marks[0]}" for between in _marks().get(page, ()))


@functools.cache
def _compiled() -> bytes:
    """Return the table as SentencePiece writes it; it is taken from a throwaway model."""
    lines = [f"{_codes(written)}\t{_codes(meant)}\n" for written, meant in sorted(nfc_rules().items())]
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nfc.tsv"
        path.write_text("".join(lines), encoding="ascii")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c"]),
            model_writer=model,
            vocab_size=8,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(path),
            num_threads=1,
            minloglevel=2,
        )
    normalizer = next(value for number, _, value in fields(model.getvalue()) if number == _NORMALIZER)
    return cast(bytes, next(v for number, _, v in fields(cast(bytes, normalizer)) if number == _TABLE))


def _codes(text: str) -> str:
    return " ".join(f"{ord(character):X}" for character in text)


def _field(number: int, wire: int, value: int | bytes) -> bytes:
    key = _varint(number << 3 | wire)
    if isinstance(value, int):
        return key + _varint(value)
    return key + (_varint(len(value)) if wire == _BYTES else b"") + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
