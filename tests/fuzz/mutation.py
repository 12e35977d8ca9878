"""Damage inputs in ways that parsers trip over. Everything follows from the generator that is given.

``mutate`` damages bytes, ``mutate_value`` the value of a JSON text, so that what comes out is JSON still. Archives are
damaged inside and packed anew, so that their checksums are right. Read ``harness.py`` next.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

Mutator = Callable[[bytes, random.Random, Sequence[bytes]], bytes]

MOST_BYTES = 1 << 16
NUMBERS = ["0", "-1", "1", "255", "65536", "2147483648", "4294967296", "18446744073709551616", "-9223372036854775809",
           "1e999", "-0.0", "nan", "inf", "1_000", "0x7f", "9" * 400, "1e-400", "0.1e1000000"]  # fmt: skip
# Controls, invisible ones, marks, surrogates, the last character, right-to-left marks, case that changes the length.
ODDITIES = [
    "\0", "\r", "\x0b", "\x1b[2J", "\x7f", "\x85", "\u00a0", "\u00ad", "\u0301", "\u0344", "\u200b", "\u200d", "\u202e",
    "\u2028", "\u2066", "\u2581", "\ufeff", "\ufffd", "\ufffe", "\U0001f469\u200d\U0001f4bb", "\U000e0041",
    "\U0010ffff", "\u0130", "\ufb03", "\u1e9b\u0323", "\u3099", "\u0f73", "\ufdfa",
]  # fmt: skip
RAW = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\3\4",
       b"\xff" * 8, b"\0" * 8, b"\x80" * 9 + b"\1", b"\x7f\xff\xff\xff", b"\0\0\0\x80"]  # fmt: skip
NESTS = ["[", "{", '{"a":', "(", "[[", "a.", '"', "'", "\\", "<", "\t", "\n", " "]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def mutate(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage bytes in one to four places."""
    content = raw
    for _ in range(generator.choice((1, 1, 2, 4))):
        content = generator.choice(_DAMAGE)(content, generator, words)
    return content[:MOST_BYTES]


def _place(content: bytes, generator: random.Random) -> int:
    """Choose a place; heads are where lengths and names stand, so half of the damage goes there."""
    reach = min(len(content), 300) if generator.random() < 0.5 else len(content)
    return generator.randrange(reach + 1)


def _cut(content: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    return content[: _place(content, generator)]


def _flip(content: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.randint(1, 9) if changed else 0):
        changed[min(_place(content, generator), len(changed) - 1)] ^= 1 << generator.randrange(8)
    return bytes(changed)


def _remove(content: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    at = _place(content, generator)
    return content[:at] + content[at + generator.choice((1, 1, 7, 60)) :]


def _repeat(content: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    at = _place(content, generator)
    piece = content[at : at + generator.choice((1, 9, 99))]
    return content[:at] + piece * generator.choice((2, 3, 50, 1000)) + content[at + len(piece) :]


def _insert(content: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    at = _place(content, generator)
    known = [*words, *RAW, *(text.encode() for text in (*ODDITIES, *NUMBERS))]
    word = generator.choice(words if words and generator.random() < 0.5 else known)
    return content[:at] + word * generator.choice((1, 1, 1, 3, 500)) + content[at + generator.choice((0, len(word))) :]


def _nest(content: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    at = _place(content, generator)
    return content[:at] + generator.choice(NESTS).encode() * generator.choice((9, 200, 5000, 50_000)) + content[at:]


def _number(content: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(content))
    if not found:
        return _insert(content, generator, words)
    match = generator.choice(found)
    return content[: match.start()] + generator.choice(NUMBERS).encode() + content[match.end() :]


_DAMAGE: Sequence[Mutator] = (_cut, _flip, _remove, _repeat, _insert, _insert, _nest, _number, _number)


def mutate_json(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage a JSON text, half of the time by a value in it, so that it is JSON still."""
    if generator.random() < 0.5:
        return mutate(raw, generator, words)
    value = json.loads(raw)
    for _ in range(generator.choice((1, 1, 2, 4))):
        value = mutate_value(value, generator, [word.decode("utf-8", "surrogateescape") for word in words])
    return json.dumps(value, ensure_ascii=generator.random() < 0.5).encode("utf-8", "surrogatepass")


def mutate_value(value: Any, generator: random.Random, words: Sequence[str] = ()) -> Any:
    """Return a value with one odd value somewhere in it, or without one of its parts."""
    if isinstance(value, dict) and value and generator.random() < 0.9:
        key = generator.choice(list(value))
        rest = {name: part for name, part in value.items() if name != key}
        if generator.random() < 0.15:
            return rest
        name = key if generator.random() < 0.9 else odd_value(generator, words, kinds=(str,))
        return rest | {name: mutate_value(value[key], generator, words)}
    if isinstance(value, list) and value and generator.random() < 0.9:
        at = generator.randrange(len(value))
        if generator.random() < 0.15:
            return value[:at] + value[at:] * generator.choice((0, 2, 50))
        return [*value[:at], mutate_value(value[at], generator, words), *value[at + 1 :]]
    # Of its own kind three times in four: what is refused for its type shows little.
    kinds = (type(value),) if generator.random() < 0.75 else (str, int, float, bool, list, dict, type(None))
    return odd_value(generator, words, kinds=kinds)


def odd_value(generator: random.Random, words: Sequence[str], *, kinds: Sequence[type]) -> Any:
    """Make a value that nobody expects, of one of some kinds."""
    kind = generator.choice(list(kinds))
    if kind is str:
        parts = [*words, *ODDITIES, "\ud800", "", "a", "ab c"]
        return "".join(
            generator.choice(parts) * generator.choice((1, 1, 2, 300)) for _ in range(generator.choice((1, 3)))
        )
    if kind is int:
        return generator.choice((0, -1, 1, 2, 3, 7, 255, 1 << 16, 1 << 31, 1 << 53, 1 << 64, -(1 << 63), 10**300))
    if kind is float:
        return generator.choice((0.0, -0.0, 1e-320, 1e308, -1.5, float("nan"), float("inf"), float("-inf"), 0.5))
    if kind is list:
        return generator.choice(([], [None], [[]], [0] * 999, [-1], ["a"], [{}], [1e308]))
    if kind is dict:
        return generator.choice(({}, {"": None}, {"a": {}}, {"__class__": "x"}))
    return generator.choice((True, False)) if kind is bool else None


def inside_gzip(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage what is packed and pack it anew; one time in four the packed bytes."""
    if generator.random() < 0.25:
        return mutate(raw, generator, words)
    return gzip.compress(mutate(gzip.decompress(raw), generator, words), mtime=0)


def inside_zip(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage an entry of an archive and pack it anew; one time in four the archive's bytes."""
    if generator.random() < 0.25:
        return mutate(raw, generator, words)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    # What holds text decides more than what holds numbers.
    texts = [name for name in entries if "manifest" in name or "yml" in name]
    name = generator.choice(texts if texts and generator.random() < 0.6 else list(entries))
    damage = _inside_manifest if name == "manifest.npy" and generator.random() < 0.7 else mutate
    entries[name] = damage(entries[name], generator, words)
    if generator.random() < 0.1:
        entries[generator.choice(("more.npy", "../x.npy", name + "\0", "manifest", "/etc/x.npy"))] = entries.pop(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", generator.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    return buffer.getvalue()


def _inside_manifest(raw: bytes, generator: random.Random, words: Sequence[bytes]) -> bytes:
    """Damage an array of JSON, with a head that promises its new length."""
    body = mutate_json(raw[raw.index(b"\n") + 1 :], generator, words)
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d,), }" % len(body)
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + body


def inside_safetensors(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage the header, with a length that is right mostly, or the numbers."""
    length = int.from_bytes(raw[:8], "little")
    header, body = raw[8 : 8 + length], raw[8 + length :]
    kind = generator.random()
    if kind < 0.2:
        return mutate(raw, generator, words)
    if kind < 0.4:
        return raw[:8] + header + mutate(body, generator, words).ljust(len(body), b"\x7f")[: len(body)]
    header = mutate_json(header, generator, words)
    return len(header).to_bytes(8, "little") + header + body


def varint(number: int) -> bytes:
    """Write a number as protobuf does: seven bits a byte, the lowest first."""
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def inside_protobuf(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage a field of a message, with lengths that are right; one time in four its bytes."""
    fields = _fields(raw)
    if not fields or generator.random() < 0.25:
        return mutate(raw, generator, words)
    at = generator.randrange(len(fields)) if generator.random() < 0.5 else len(fields) - 1 - generator.randrange(2)
    key, content = fields[at]
    kind = generator.random()
    if kind < 0.1:
        del fields[at]
    elif kind < 0.2:
        fields.insert(generator.randrange(len(fields)), (key, content))
    elif kind < 0.3:
        fields[at] = (key + generator.choice((1, 8, -8, 1 << 31, 1 << 32, 1 << 60)), content)
    else:
        fields[at] = (key, inside_protobuf(content, generator, words) if key & 7 == 2 else content[::-1])
    return b"".join(varint(max(key, 0)) + _content(key, content) for key, content in fields)


def _content(key: int, content: bytes) -> bytes:
    return varint(len(content)) + content if key & 7 == 2 else content


def _fields(raw: bytes) -> list[tuple[int, bytes]]:
    """Return the keys and contents of a message, or nothing where it is none."""
    found: list[tuple[int, bytes]] = []
    at = 0
    try:
        while at < len(raw):
            key, start = _read_varint(raw, at)
            if key & 7 == 0:
                at = _read_varint(raw, start)[1]
            elif key & 7 == 2:
                length, start = _read_varint(raw, start)
                at = start + length
            else:
                at = start + {1: 8, 5: 4}[key & 7]
            found.append((key, raw[start:at]))
    except (IndexError, KeyError):
        return []
    return found if at == len(raw) else []


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place behind it."""
    value = shift = 0
    while raw[at] > 127:
        value, shift, at = value | (raw[at] & 127) << shift, shift + 7, at + 1
    return value | raw[at] << shift, at + 1
