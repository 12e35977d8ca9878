"""What two readers of protocol buffers could read differently is refused before SentencePiece's C++ sees it."""

from __future__ import annotations

import functools
import io
import struct

import pytest
import sentencepiece

from pellucid.errors import BundleError
from pellucid.text.sentencepiece.file import fields, inspect

BYTES, VARINT = 2, 0
HIGH_BIT = 1 << 32
"""Readers that keep 32 bits of a key do not see it."""


@functools.cache
def sound() -> bytes:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b a", "b a b"] * 11),
        model_writer=written,
        vocab_size=11,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    return written.getvalue()


def varint(number: int) -> bytes:
    """Spell a number as protocol buffers do, in as few bytes as there can be."""
    spelt = bytearray()
    while number > 0x7F:
        spelt.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*spelt, number])


def longer(number: int, *, by: int) -> bytes:
    """Spell a number with bytes that say nothing."""
    spelt = bytearray(varint(number))
    spelt[-1] |= 0x80
    return bytes(spelt) + b"\x80" * (by - 1) + b"\0"


def blob(number: int, content: bytes, *, key: bytes | None = None) -> bytes:
    return (key or varint(number << 3 | BYTES)) + varint(len(content)) + content


def table_that_leads_astray() -> bytes:
    """A table of characters whose first step leaves it; SentencePiece before 0.2.2 takes that step."""
    units = [0x1FFFFF << 10 | 0x300] * 256
    return struct.pack("<I256I", 1024, *units) + b"x\0"


def without_normaliser() -> bytes:
    parts = [blob(n, v) for n, _, v in fields(sound()) if isinstance(v, bytes) and n != 3]
    return b"".join(parts)


def test_what_sentencepiece_writes_is_sound() -> None:
    assert inspect(sound(), place="x").normaliser == "identity"
    assert inspect(without_normaliser() + blob(3, blob(1, b"mine")), place="x").normaliser == "mine"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (varint(3 << 3 | BYTES | HIGH_BIT), "field numbers are 1 to 2"),
        (varint(3 << 3 | BYTES | HIGH_BIT << 1), "field numbers are 1 to 2"),
        (varint(3 << 3 | BYTES | 1 << 35), "field numbers are 1 to 2"),
        (varint(3 << 3 | BYTES | 1 << 63), "field numbers are 1 to 2"),
        (longer(3 << 3 | BYTES, by=1), "shortest encoding"),
        (longer(3 << 3 | BYTES, by=4), "shortest encoding"),
        (longer(3 << 3 | BYTES, by=9), "shortest encoding"),
        (longer(3 << 3 | BYTES, by=12), "does not start a number"),
        (b"\x9a" + b"\x80" * 8 + b"\x02", "shortest encoding"),  # a 65th bit
        (varint(BYTES), "field numbers are 1 to 2"),  # field 0
    ],
)
def test_a_table_behind_an_odd_key_is_refused(key: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=rf"evil: .*{words}"):
        inspect(without_normaliser() + blob(3, blob(2, table_that_leads_astray()), key=key), place="evil")


def test_a_table_behind_an_odd_key_within_the_normaliser_is_refused() -> None:
    hidden = blob(2, table_that_leads_astray(), key=varint(2 << 3 | BYTES | HIGH_BIT))
    with pytest.raises(BundleError, match="field numbers are 1 to 2"):
        inspect(without_normaliser() + blob(3, hidden), place="evil")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        # Readers join a message that is there twice: the first gives the table, the second hides it.
        (
            blob(3, blob(2, table_that_leads_astray())) + blob(3, blob(1, b"identity")),
            "field 3 occurs twice in a message",
        ),
        (blob(3, blob(2, table_that_leads_astray())), "an offset beyond its end"),
        (blob(5, blob(2, table_that_leads_astray())), "an offset beyond its end"),
        (blob(3, blob(1, b"a")) + blob(3, blob(1, b"b")), "field 3 occurs twice in a message"),
        (blob(3, blob(2, table_that_leads_astray()) + blob(2, b"")), "field 2 occurs twice in a message"),
        (blob(3, b"\x18\x02"), "neither 0 nor 1"),
        (blob(3, b"\x18" + longer(1, by=3)), "shortest encoding"),
        (varint(3 << 3 | 5) + b"abcd", "wire type 5"),
        (varint(3 << 3 | VARINT) + b"\1", "wire type 0"),
        (varint(3 << 3 | 3) + varint(3 << 3 | 4), "does not start a field of a known type"),  # a group
        (blob(1, varint(1 << 3 | 1) + b"12345678"), "wire type 1"),  # a piece whose text is a number
        (blob(1, blob(1, b"new") + blob(1, b"newer")), "field 1 occurs twice in a message"),
        (varint(3 << 3 | BYTES) + longer(0, by=2), "shortest encoding"),  # a length
    ],
)
def test_what_readers_read_differently_is_refused(more: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=rf"evil: .*{words}"):
        inspect(without_normaliser() + more, place="evil")
