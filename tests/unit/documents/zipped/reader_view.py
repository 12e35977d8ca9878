"""What a reader of a document sees, worked out without the code under test: every character with its look.

Runs and spans that are written as one or as several look the same, and so they do here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from copy import deepcopy

from lxml import etree
from tests.unit.documents.zipped.archives import members_of

XML = (".xml", ".rels", ".xhtml", ".ncx", ".opf")
LEAVES = {"t"}
RUNS = {"r"}
SPANS = {"span"}
PROPERTIES = {"rPr"}
UNSEEN = {"proofErr", "lastRenderedPageBreak", "lang", "noProof", "rPh", "phoneticPr", "soft-page-break"}
TEXT_ATTRIBUTES = {"alt", "descr", "title"}
UNSEEN_ATTRIBUTES = {"lang", "language", "country", "dirty", "err", "rsid", "string-value"}

Seen = list[tuple[object, ...]]


def local(tag: object) -> str:
    return str(tag).rpartition("}")[2] if isinstance(tag, str) else "!"


def canonical(data: bytes) -> bytes:
    """Return XML in canonical form."""
    sink = io.BytesIO()
    etree.fromstring(data).getroottree().write_c14n(sink)
    return sink.getvalue()


def seen(data: bytes, change: Callable[[str], str] = str) -> Seen:
    """Return what is seen of XML, its text changed."""
    root = etree.fromstring(data)
    invisible = {
        style.get(f"{style.tag[:-5]}name")
        for style in root.iter("{*}style")
        if not any(not key.endswith("rsid") for one in style.iter() if one is not style for key in one.attrib)
    }
    for span in root.iter("{*}span"):
        if span.get(f"{span.tag[:-4]}style-name") in invisible:
            span.attrib.clear()
    return list(_walk(root, (), change))


def _walk(
    element: etree._Element, path: tuple[object, ...], change: Callable[[str], str]
) -> Iterator[tuple[object, ...]]:
    name = local(element.tag)
    if name in PROPERTIES | UNSEEN:
        return
    if name == "!":  # nobody sees how a comment looks
        path = tuple(one for one in path if isinstance(one, str))
    if name in RUNS:
        look = next((_look(one) for one in element if local(one.tag) in PROPERTIES), b"")
        path = (*path, look) if look else path
    elif name in SPANS and not element.attrib:
        pass
    elif name in SPANS:
        path = (*path, tuple(sorted(element.attrib.items())))
    elif name == "s" and "opendocument" in element.tag:
        yield from ((" ", path) for _ in range(min(int(element.get(f"{element.tag[:-1]}c", "1")), 1_000)))
    elif name == "noBreakHyphen" or name == "softHyphen":
        yield ("\u2011" if name == "noBreakHyphen" else "\u00ad", path)
    elif name not in LEAVES:
        attributes = tuple(
            sorted(
                (key, change(value) if key in TEXT_ATTRIBUTES else value)
                for key, value in element.attrib.items()
                if local(key) not in UNSEEN_ATTRIBUTES
            )
        )
        # A tab in a slanted span and one behind it look alike.
        yield (name, attributes, tuple(one for one in path if not isinstance(one, tuple)))
        path = (*path, name)
    is_text = name not in ("instrText", "delText", "fldChar")
    yield from _characters(element.text, path, change if is_text else str)
    for child in element:
        yield from _walk(child, path, change)
        yield from _characters(child.tail, path, change)


def _characters(
    text: str | None, path: tuple[object, ...], change: Callable[[str], str]
) -> Iterator[tuple[object, ...]]:
    yield from ((character, path) for character in change(text or ""))


def _look(properties: etree._Element) -> bytes:
    copy = deepcopy(properties)
    copy.tail = None
    for one in list(copy):
        if local(one.tag) in UNSEEN:
            copy.remove(one)
    for key in list(copy.attrib):
        if local(key) in UNSEEN_ATTRIBUTES:
            del copy.attrib[key]
    return etree.tostring(copy, method="c14n") if len(copy) or copy.attrib else b""


def seen_in(archive: bytes, change: Callable[[str], str] = str) -> dict[str, Seen]:
    """Return what is seen of every XML member of an archive."""
    return {name: seen(data, change) for name, data in members_of(archive).items() if name.endswith(XML)}
