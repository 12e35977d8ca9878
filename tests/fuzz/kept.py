"""Inputs that once did harm, made by code: what each did is said beside it.

Every function returns inputs by a name for messages: the name of the seed that the target takes it as, and the bytes.
"""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
from tests.fuzz.mutation import varint
from tests.unit.documents.zipped.archives import epub, odf, xlsx

Kept = dict[str, tuple[str, bytes]]

ROWS_OF_MARKS = {
    "combining marks": "a" + "\u0301" * 20_000,  # quadratic: 100 s
    "zero-width joiners": "a" + "\u200d" * 10_000,
    "variation selectors and marks": ("\ufe0f\u0323\u0301" * 7000),
    "Hangul that composes": "\u1112\u1161\u11ab" * 7000,
}
"""Texts without a place to cut: splitting took time by the square of the length."""


def texts() -> Kept:
    found = {name: ("text.en", text.encode()) for name, text in ROWS_OF_MARKS.items()}
    found["a megabyte without a space"] = ("text.en", b"x" * 1_000_000)  # 170 s
    found["no punctuation"] = ("text.en", b"word " * 1800)
    return found


def toml() -> Kept:
    dotted = "a." * 100_000 + "a = 1"  # 11.6 GB and 44 s
    return {
        "dotted key in a recipe": ("recipe.toml", dotted.encode()),
        "dotted key in a table's name": ("recipe.toml", f"[{'a.' * 100_000}a]".encode()),
        "dotted key in a model": ("model.toml", dotted.encode()),
        "dotted key in an inline table": ("model.toml", f"x = {{{'a . ' * 60_000}a = 1}}".encode()),
        "dotted key in a setting": ("settings", ("training." + "a." * 100_000 + "a=1").encode()),
        "dotted key in the value of a setting": ("settings", f"model={{{'a.' * 100_000}a=1}}".encode()),
        # It was read, and could not be written.
        "an infinite interval of a promise": (
            "recipe.toml",
            b'[promise]\ncommand = "c"\nhardware = "h"\nminutes = 1\norigin = "o"\n'
            b'[[promise.scores]]\nmetric = "bleu"\nvalue = 47.5\ninterval = [45.9, inf]\n',
        ),
        # A line was printed for each: 57 MB.
        "100,000 unknown keys": ("recipe.toml", "".join(f"key{i} = 1\n" for i in range(100_000)).encode()),
        "50,000 unknown keys of a model": ("model.toml", "".join(f"k{i} = 1\n" for i in range(50_000)).encode()),
    }


def segmenters(model: bytes) -> Kept:
    """Tables of characters under keys that 32-bit readers cut to those of a table: a segmentation fault."""
    # Every unit of the trie says that its children are two million units further on.
    table = (1024).to_bytes(4, "little") + (0x1FFFFF << 10 | 0x300).to_bytes(4, "little") * 256 + b"\0"
    charsmap = b"\x12" + varint(len(table)) + table
    field = varint(len(charsmap)) + charsmap
    keys = {
        "key of five bytes": varint(0x1A | 1 << 32),
        "key of nine bytes": varint(0x1A | 1 << 56),
        "key of five bytes, the last of them idle": b"\x9a\x80\x80\x80\x00",
        "key beyond 64 bits": b"\x9a" + b"\x80" * 8 + b"\x02",
    }
    return {name: ("sentencepiece.model", model + key + field) for name, key in keys.items()}


def _npz(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def _npy(descr: str, shape: str, body: bytes = b"") -> bytes:
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + body


def traces(manifest: dict[str, object]) -> Kept:
    """Heads and shapes that promise what is not there were a MemoryError, other kinds an AttributeError."""

    def raw(table: object, **changes: object) -> bytes:
        text = json.dumps({**table, **changes} if isinstance(table, dict) else table).encode()
        return _npy("|u1", f"({len(text)},)", text)

    found = {
        f"{name} in place of another kind": ("trace.npz", _npz(manifest=raw(manifest, **{name: value})))
        for name, value in {"aliases": 5, "order": 7, "tokens": [], "search": "x", "flags": 3, "provenance": 1}.items()
    }
    found["a shape without numbers"] = ("trace.npz", _npz(manifest=_npy("|u1", "(17179869184,)")))
    found["a shape of sites without numbers"] = (
        "trace.npz",
        _npz(manifest=raw(manifest), **{"site/logits": _npy("<f8", "(65536, 65536)")}),
    )
    endless = b"\x93NUMPY\2\0" + (1 << 31).to_bytes(4, "little") + b" " * 1000
    found["a head of two gigabytes"] = ("trace.npz", _npz(manifest=endless))
    found["a head of two gigabytes in a probe"] = ("probe.npz", _npz(pair=endless))
    found["a probe without numbers"] = ("probe.npz", _npz(pair=_npy("<i4", "(17179869184,)")))
    return found


def bomb() -> bytes:
    """Return an archive of some megabytes that unpacks to more than the child may take."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("manifest.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(_npy("|u1", f"({1 << 30},)"))
        block = bytes(1 << 24)
        for _ in range(64):
            entry.write(block)
    return buffer.getvalue()


def safetensors(raw: bytes) -> Kept:
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])

    def with_header(table: object) -> bytes:
        text = json.dumps(table).encode()
        return len(text).to_bytes(8, "little") + text + raw[8 + length :]

    first = next(name for name in header if name != "__metadata__")
    numbers = np.full(len(raw) - 8 - length, 0x7C, np.uint8).tobytes()
    return {
        "a header of 2^63 bytes": ("weights", (1 << 63).to_bytes(8, "little") + raw[8:]),
        "a tensor of huge shape": (
            "weights",
            with_header(header | {first: header[first] | {"shape": [1 << 40, 1 << 40]}}),
        ),
        "offsets of other kinds": (
            "weights",
            with_header(header | {first: header[first] | {"data_offsets": ["a", None]}}),
        ),
        "infinite numbers": ("weights", raw[: 8 + length] + numbers),
    }


def requests() -> Kept:
    """``Origin: http://[`` was a 500 with a traceback; the long texts kept everybody waiting."""
    ask = {"method": "POST", "path": "/api/traces", "query": "", "headers": {"content-type": "application/json"}}
    found = {
        name: ("post", json.dumps(ask | {"body": {"model": "toy", "source": text}}).encode())
        for name, text in ROWS_OF_MARKS.items()
    }
    for origin in ("http://[", "http://[::1", "//[", "https://127.0.0.1\u2100"):
        headers = {"content-type": "application/json", "origin": origin}
        body = {"model": "toy", "source": "ab"}
        found[f"Origin {origin.encode('unicode_escape').decode()}"] = (
            "post",
            json.dumps(ask | {"headers": headers, "body": body}).encode(),
        )
    heavy = {"model": "toy", "source": "ab", "settings": {"beam_size": 50, "max_length_constant": 1000}}
    found["the heaviest request"] = ("post", json.dumps(ask | {"body": heavy}).encode())
    return found


def raw_requests() -> Kept:
    host = b"Host: 127.0.0.1\r\n"
    return {
        "Origin that is no address": (
            "post",
            b"POST /api/traces HTTP/1.1\r\n" + host + b"Origin: http://[\r\nContent-Length: 0\r\n\r\n",
        ),
        "Host that is no address": ("get", b"GET / HTTP/1.1\r\nHost: [\r\n\r\n"),
        "a length below nothing": ("post", b"POST /api/traces HTTP/1.1\r\n" + host + b"Content-Length: -1\r\n\r\n"),
        "a head without end": ("get", b"GET / HTTP/1.1\r\n" + host + b"X: " + b"a" * 200_000),
        "300 requests at once": ("get", (b"GET /api/models HTTP/1.1\r\n" + host + b"\r\n") * 300),
    }


def documents(*, zipped: bool) -> Kept:
    """Documents; the name of the seed begins with the format."""
    if zipped:
        words = "<text:p>" + "word " * 40_000 + "</text:p>"
        rich = "<si><r><t>a</t></r><r><rPr><b/></rPr><x/><!-- c --><t>b<!-- d -->c</t></r></si>"
        return {
            "a paragraph of many words of odt": ("odt", odf("text", words)),  # quadratic: 20 s
            "an element in a run": ("xlsx", xlsx(rich, "")),  # it was lost, and then got a prefix of its own
            "a reference to no entity": ("epub", epub("<p>One &b; two &#38;lt;</p>")),  # it became text
        }
    cue = "1\n00:00:01,000 --> 00:00:02,000\n"
    found = {
        "spaces without an end": ("markdown", "word" + " " * 100_000 + "word"),  # quadratic: a minute
        "a paragraph of many words": ("markdown", "word " * 40_000),  # quadratic, too
        "a cue of 20,000 lines": ("srt", cue + "a word\n" * 20_000),  # and this
        "spaces in a string": ("json", '{"a": "One' + " " * 60_000 + 'two"}'),  # quadratic
        "an anchor of a text": ("yaml", "a: &b Hello\nc: *b\nd: !!str\n  # e\n  Hello\n"),  # it was lost
        "references without an end": ("html", "<p>caf&eacute: &copy2 &#233 <a title='&copy &lt'>x</a>"),  # text
        # Text, too.
        "brackets in an address": ("markdown", "A [link](a<b>c(d(e)) 'f') \u2028and <![CDATA[ <b>x</b> ]]>.\n"),
        "no XML": ("xliff", "<xliff><trans-unit><source>One</trans-unit></xliff>"),  # a target was added twice
        "a message of a parser": ("xliff", f"<xliff><x xmlns:a='{chr(0x202E) * 5000}\x1b'"),  # shown as it is
    }
    return {label: (name, text.encode()) for label, (name, text) in found.items()}
