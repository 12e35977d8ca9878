"""What others see in a document: the standard library and the parsers of formats, not the code under test.

``view`` returns what can be compared, with all letters in lower case and white space as one space; what the others
cannot read is not there. Read ``documents.py`` next.
"""

from __future__ import annotations

import codecs
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import polib
import yaml
from lxml import etree
from markdown_it import MarkdownIt
from tests.unit.documents.zipped.archives import members_of
from tests.unit.documents.zipped.reader_view import XML, seen

__all__ = ["view"]

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
          (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
_STATED = re.compile(rb"""(?:encoding|charset)=["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)


def view(kind: str, data: bytes) -> dict[str, object]:
    """Return what is seen of a file of a format, or of each member of an archive."""
    if kind not in ("xliff", *_VIEWS):
        found = {name: _parsed(raw, _seen) for name, raw in members_of(data).items() if name.endswith(XML)}
    elif kind == "xliff" or (kind == "html" and data.lstrip(codecs.BOM_UTF8).lstrip().startswith(b"<?xml")):
        found = {"": _parsed(data, _xliff if kind == "xliff" else _seen)}
    else:
        found = {"": _VIEWS[kind](_decoded(data))}
    return {name: one for name, one in found.items() if one is not None}


def low(text: str) -> str:
    """Return a text without what a translation may change: ASCII letters in lower case, white space as one space."""
    return " ".join(re.sub("[A-Z]", lambda found: found[0].lower(), text).split())


def _decoded(data: bytes) -> str:
    mark, encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", ""))
    stated = _STATED.search(data[: 1 << 16])
    for one in (encoding, "utf-8", stated[1].decode() if stated else ""):
        try:
            return data[len(mark) :].decode(one)
        except (UnicodeError, LookupError):
            continue
    return data.decode("latin-1")


def _parsed(data: bytes, look: Callable[[bytes], object]) -> object:
    try:
        return look(data)
    except (etree.XMLSyntaxError, ValueError, RecursionError, LookupError, MemoryError):
        return None


_OFFICE = (b"schemas.openxmlformats.org/", b"purl.oclc.org/ooxml/")
"""Of documents in which no program shows a text that stands beside elements."""


def _seen(data: bytes) -> object:
    root = etree.fromstring(data)
    if any(namespace in data.replace(b"\0", b"") for namespace in _OFFICE):
        for one in root.iter():
            if len(one) and one.tag is not etree.Comment and not str(one.tag).endswith(("}t", "}text")):
                one.text = None
                for child in one:
                    child.tail = None
        for properties in list(root.iter("{*}pPr")):  # they come first in a paragraph, or count for nothing
            parent = properties.getparent()
            if parent is not None:
                parent.remove(properties)
                if str(parent.tag).endswith("}p"):
                    parent.insert(0, properties)
    return [one for one in seen(etree.tostring(root), low_letters) if one[0] not in (" ", "\n", "\t", "\r")]


def low_letters(text: str) -> str:
    """Return a text with ASCII letters in lower case."""
    return re.sub("[A-Z]", lambda found: found[0].lower(), text)


def _xliff(data: bytes) -> object:
    """Return everything but the targets, and that what is in a target is what is in its source."""
    root = etree.fromstring(data)
    for one in root.iter():
        for name in ("target-language", "trgLang"):  # stated, because there are targets now
            one.attrib.pop(name, None)
    for one in list(root.iter("{*}target")):
        if one.tail:
            raise_to = one.getparent()
            before = one.getprevious()
            if before is not None:
                before.tail = (before.tail or "") + one.tail
            elif raise_to is not None:
                raise_to.text = (raise_to.text or "") + one.tail
        parent = one.getparent()
        if parent is not None:
            parent.remove(one)
    return low(etree.tostring(root, method="c14n").decode()).replace(" ", "")


_RAW = frozenset({"title", "textarea"})


class _Events(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[object] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, *((name, low(value or "")) for name, value in attrs)))
        if tag in _RAW:  # older libraries see tags in a title
            self.set_cdata_mode(tag)

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in _RAW:
            data = html.unescape(data)
        if not low(data):
            return
        if self.found and isinstance(self.found[-1], list):
            self.found[-1][0] += low(data).replace(" ", "")
        else:
            self.found.append([low(data).replace(" ", "")])

    def handle_comment(self, data: str) -> None:
        self.found.append(("<!--", data))


def _html(text: str) -> object:
    if "<![" in text:  # a comment of HTML that ends at the next >, which the library takes for a section of SGML
        return None
    parser = _Events()
    try:
        parser.feed(text)
        parser.close()
    except AssertionError:  # of a declaration that it does not know
        return None
    return parser.found


def _markdown(text: str) -> object:
    front = re.match(r"---[ \t]*\r?\n(.*?\r?\n)??---[ \t]*(?:\r?\n|\Z)", text, re.DOTALL)
    rest = text[front.end() :] if front else text
    page = _html(MarkdownIt("commonmark", {"html": True}).enable("table").render(rest))
    return page, _yaml(front[1] or "") if front else ""


def _json(text: str) -> object:
    try:
        return _low_json(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _low_json(value: Any) -> object:
    if isinstance(value, str):
        return low(value)
    if isinstance(value, list):
        return [_low_json(one) for one in value]
    return {low(key): _low_json(one) for key, one in value.items()} if isinstance(value, dict) else repr(value)


def _yaml(text: str) -> object:
    resolver = yaml.SafeLoader("")
    found: list[object] = []
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.ScalarEvent):
                tag = event.tag or resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
                found.append((low(event.value), tag, event.anchor))
            else:
                found.append((type(event).__name__, getattr(event, "anchor", None), getattr(event, "tag", None)))
    except (yaml.YAMLError, RecursionError):
        return None
    return found


def _po(text: str) -> object:
    try:
        entries = list(polib.pofile(text))
    except Exception:  # it raises what it likes
        return None
    return [
        (one.msgctxt, low(one.msgid), low(one.msgid_plural or ""), one.comment, one.tcomment, one.flags, one.obsolete)
        for one in entries
    ]


_VIEWS: dict[str, Callable[[str], object]] = {
    "txt": low,
    "html": _html,
    "markdown": _markdown,
    "po": _po,
    "json": _json,
    "yaml": _yaml,
    "srt": low,
    "vtt": lambda text: low(html.unescape(text)),
}
