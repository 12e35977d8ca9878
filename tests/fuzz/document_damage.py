"""Damage documents in ways that their readers trip over: tags, nesting, encodings, members of an archive.

Read ``document_views.py`` next.
"""

from __future__ import annotations

import io
import random
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

from tests.fuzz.mutation import ODDITIES, mutate

__all__ = ["inside_document", "mutate_markup"]

_TAG = re.compile(rb"<[^<>]{0,2000}>")
_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp1252", "utf-7", "cp037", "ascii", "shift_jis")
_INSERTED = (
    b"<!-- a -- b -->", b"<?x?>", b"<![CDATA[ <b>x</b> ]]>", b"]]>", b"&#0;", b"&#xD800;", b"&nbsp;", b"&b;",
    b"&#38;lt;", b"<b>", b"</b>", b"<br/>", b"<p/>", b"</p>", b"<", b">", b"&", b'"', b"'", b"<!DOCTYPE x>", b"<!--",
    b"<![CDATA[", b"\t", b"<x xmlns='y'>", b"\xe2\x80\xa8", b"\xc2\xad", b"<w:t>", b"</w:p>", b"<a:t>x</a:t>",
    b"<text:s text:c='99999999'/>", b"<text:s text:c='-1'/>", b"<w:tab/>", b"{x}", b"{n, plural, other {x}}", b"%s",
    b" xml:space='preserve'", b"\r\n",
)  # fmt: skip
_DEPTHS = (2, 30, 190, 260, 3000)
_LENGTHS = (10, 1000, 70_000, 400_000)

Damage = Callable[[bytes, random.Random], bytes]


def mutate_markup(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage a text with tags in one to three places, half of the time so that it may still be well-formed."""
    for _ in range(generator.choice((1, 1, 2, 3))):
        if generator.random() < 0.3:
            raw = mutate(raw, generator, (*words, *_INSERTED))
        else:
            raw = generator.choice(_MARKUP)(raw, generator)
    return raw


def _gap(raw: bytes, generator: random.Random) -> int:
    """Choose a place, mostly one before or behind a tag."""
    tags = list(_TAG.finditer(raw))
    if not tags or generator.random() < 0.3:
        return generator.randrange(len(raw) + 1)
    tag = generator.choice(tags)
    return generator.choice((tag.start(), tag.end()))


def _inserted(raw: bytes, generator: random.Random) -> bytes:
    at = _gap(raw, generator)
    return raw[:at] + generator.choice((*_INSERTED, *(one.encode() for one in ODDITIES))) + raw[at:]


def _element(raw: bytes, generator: random.Random) -> tuple[int, int] | None:
    """Choose an element by its tags, or only a tag."""
    tags = [tag for tag in _TAG.finditer(raw) if tag[0][1:2].isalpha()]
    if not tags:
        return None
    tag = generator.choice(tags)
    name = re.match(rb"<([^\s/>]+)", tag[0])
    end = raw.find(b"</%s>" % name[1], tag.end()) if name and not tag[0].endswith(b"/>") else -1
    return tag.start(), tag.end() if end < 0 or name is None else end + len(name[1]) + 3


def _repeated(raw: bytes, generator: random.Random) -> bytes:
    if (found := _element(raw, generator)) is None:
        return raw
    start, end = found
    return raw[:end] + raw[start:end] * generator.choice((0, 1, 1, 3, 200)) + raw[end:]


def _dropped(raw: bytes, generator: random.Random) -> bytes:
    if (found := _element(raw, generator)) is None:
        return raw
    return raw[: found[0]] + raw[found[1] :]


def _moved(raw: bytes, generator: random.Random) -> bytes:
    if (found := _element(raw, generator)) is None:
        return raw
    start, end = found
    rest = raw[:start] + raw[end:]
    at = _gap(rest, generator)
    return rest[:at] + raw[start:end] + rest[at:]


def _nested(raw: bytes, generator: random.Random) -> bytes:
    if (found := _element(raw, generator)) is None:
        return raw
    start, end = found
    tag = _TAG.match(raw, start)
    name = re.match(rb"<([^\s/>]+)", tag[0]) if tag else None
    if tag is None or name is None or tag[0].endswith(b"/>"):
        return raw
    depth = generator.choice(_DEPTHS)
    return raw[:start] + tag[0] * depth + raw[start:end] + b"</%s>" % name[1] * depth + raw[end:]


def _with_attribute(raw: bytes, generator: random.Random) -> bytes:
    tags = [tag for tag in _TAG.finditer(raw) if tag[0][1:2].isalpha()]
    if not tags:
        return raw
    tag = generator.choice(tags)
    name = re.match(rb"<[^\s/>]+", tag[0])
    at = tag.start() + len(name[0] if name else b"<")
    value = generator.choice(
        (b"x", b"a b ", b"&amp;", b"&lt;", "é".encode(), b"<" if generator.random() < 0.1 else b"y")
    )
    key = generator.choice((b"title", b"alt", b"descr", b"id", b"x", b"class", b"translate", b"lang", b"w:val"))
    count = generator.choice((1, 1, 1, 50, 3000))
    if count > 1 and generator.random() < 0.7:
        more = b"".join(b' %s%d="%s"' % (key, number, value) for number in range(count))
    else:
        more = b' %s="%s"' % (key, value * generator.choice(_LENGTHS))
    return raw[:at] + more + raw[at:]


def _encoded(raw: bytes, generator: random.Random) -> bytes:
    """Encode a text anew, with a declaration that says so, that says nothing, or that lies."""
    encoding = generator.choice(_ENCODINGS)
    text = raw.decode("utf-8", "replace")
    if generator.random() < 0.7:
        stated = generator.choice((encoding, encoding, "utf-8", "none", "utf-8; x", "rot13", "idna", "unicode_escape"))
        text = re.sub(r"(encoding|charset)=([\"']?)[\w-]+", rf"\1=\2{stated}", text)
    return text.encode(encoding, "replace")


def _filled(raw: bytes, generator: random.Random) -> bytes:
    """Put much text into one place."""
    at = _gap(raw, generator)
    return raw[:at] + generator.choice((b"word ", b"x", b"\n", b" ", b"&amp;", b"a. ")) * 20_000 + raw[at:]


_MARKUP: Sequence[Damage] = (
    _inserted, _inserted, _inserted, _repeated, _dropped, _moved, _nested, _with_attribute, _encoded, _filled
)  # fmt: skip


def inside_document(raw: bytes, generator: random.Random, words: Sequence[bytes] = ()) -> bytes:
    """Damage an archive: its bytes, a member, or its list of members."""
    if generator.random() < 0.15:
        return mutate(raw, generator, words)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    for _ in range(generator.choice((1, 1, 2))):
        members = generator.choice(_ARCHIVE)(members, generator)
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w") as archive:
        warnings.simplefilter("ignore")  # names that are there twice
        for info, data in members:
            method = zipfile.ZIP_BZIP2 if generator.random() < 0.002 else info.compress_type
            archive.writestr(info, data, generator.choice((method, zipfile.ZIP_DEFLATED)))
    written = sink.getvalue()
    return mutate(written, generator, words)[: len(written)] if generator.random() < 0.05 else written


Members = list[tuple[Any, bytes]]


def _changed_member(members: Members, generator: random.Random) -> Members:
    texts = [at for at, (_, data) in enumerate(members) if data.lstrip()[:1] == b"<"]
    at = generator.choice(texts or range(len(members)))
    info, data = members[at]
    return [*members[:at], (info, mutate_markup(data, generator)), *members[at + 1 :]]


def _swapped(members: Members, generator: random.Random) -> Members:
    found = list(members)
    one, other = (generator.randrange(len(members)) for _ in range(2))
    found[one], found[other] = (members[one][0], members[other][1]), (members[other][0], members[one][1])
    return found


def _shuffled(members: Members, generator: random.Random) -> Members:
    return generator.sample(members, len(members))


def _without_one(members: Members, generator: random.Random) -> Members:
    at = generator.randrange(len(members))
    return members[:at] + members[at + 1 :] if len(members) > 1 else members


def _renamed(members: Members, generator: random.Random) -> Members:
    at = generator.randrange(len(members))
    info, data = members[at]
    names = (f"../{info.filename}", info.filename.upper(), f"/{info.filename}", f"{info.filename}\\", "a" * 70_00,
             f"{info.filename}\0.png", "ü\u202e.xml", generator.choice(members)[0].filename, "con", " ")  # fmt: skip
    new = zipfile.ZipInfo(generator.choice(names), info.date_time)
    new.compress_type, new.external_attr = info.compress_type, generator.choice((info.external_attr, 0o120777 << 16))
    where = generator.choice(("instead", "beside"))
    return [*members[: at + (where == "beside")], (new, data), *members[at + 1 :]]


_ARCHIVE: Sequence[Callable[[Members, random.Random], Members]] = (
    *(_changed_member for _ in range(8)), _swapped, _shuffled, _without_one, _renamed
)  # fmt: skip
