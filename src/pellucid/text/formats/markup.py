"""Cut XML into units without building a tree of the file, and parse each unit alone.

A unit that is not well-formed costs itself only, and memory holds one unit. A file without the end of its root element
was cut off, and is refused: nobody knows how much of it is missing. Entities cannot be declared: a document
type with declarations of its own is refused, and each unit is parsed by lxml without it, without a network, and with
its limits on size and depth. Read ``inline.py`` next.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError, counted
from pellucid.text.compression import NO_COMPRESSION, telling_damage
from pellucid.text.formats.units import MAX_UNIT_CHARACTERS, Reason
from pellucid.text.lines import open_text, place_of

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Piece", "attributes_of", "children_of", "decoded", "local_name", "parsed", "pieces_of", "unit_of"]

_CHUNK_BYTES: Final = 1 << 18
_LONGEST_TAG: Final = 1 << 16
_LONGEST_TOKEN: Final = 64
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
# In old releases of Python a possessive group ends right only if its last alternative is (?!), which never matches.
_REST_OF_TAG: Final = r"""(?:[^<>"']++|"[^"<]*+"|'[^'<]*+'|(?!))*+>"""
_PREFIX: Final = re.compile(r"[<\s/]([A-Za-z_][\w.-]*):[A-Za-z_]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WELL_KNOWN_PREFIXES: Final = frozenset({"xml", "xmlns"})
_SKIPPED: Final = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A unit, or the start tag of an element around units."""

    name: str
    line: int
    """From 0."""
    text: str | None
    """The whole unit, or the start tag; None for a unit that does not end, or with a problem."""
    is_too_large: bool = False


def decoded(path: Path) -> Iterator[str]:
    """Yield the text of an XML file, by its byte order mark or its declaration, else as UTF-8.

    Bytes that the encoding does not allow become lone surrogates, which ``unit_of`` finds.

    Raises:
        DataError: the file cannot be read, is damaged, or states an encoding that does not exist.
    """
    compression = NO_COMPRESSION
    done = 0
    with telling_damage(path, lambda: compression, lines=lambda: done), open_text(path) as opened:
        compression = opened.compression
        first = opened.stream.read(_CHUNK_BYTES)
        if not first.strip():
            raise DataError(f"{path}: is empty; give a file with units")
        mark, encoding = next(((m, e) for m, e in _BYTE_ORDER_MARKS if first.startswith(m)), (b"", ""))
        if not mark:
            stated = _DECLARED.match(first)
            encoding = stated[1].decode() if stated else "utf-8"
        try:
            decoder = codecs.getincrementaldecoder(encoding)(_errors_of(encoding))
        except LookupError:
            raise DataError(f"{path}: states the unknown encoding {encoding!r}; save it as UTF-8") from None
        chunk = first.removeprefix(mark)
        while chunk:
            text = decoder.decode(chunk)
            done += text.count("\n")
            yield text
            chunk = opened.stream.read(_CHUNK_BYTES)
        yield decoder.decode(b"", final=True)


def _errors_of(encoding: str) -> str:
    # Two bytes cannot be one surrogate each.
    return "replace" if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")) else "surrogateescape"


def pieces_of(path: Path, *, units: frozenset[str], around: frozenset[str], root: str) -> Iterator[Piece]:
    """Yield the units of a file and the start tags of the elements around them, in order.

    Args:
        path: the file.
        units: local names of the elements that are units; they are not nested.
        around: local names of elements whose start tag matters.
        root: local name of the element that is the whole file.

    Raises:
        DataError: the file cannot be read, declares entities, or ends before the end tag of its root.
    """
    cutter = _Cutter(path, units, around, root)
    for text in decoded(path):
        yield from cutter.feed(text)
    yield from cutter.end()


class _Cutter:
    """Finds units in text that comes in chunks; holds a unit and a chunk."""

    def __init__(self, path: Path, units: frozenset[str], around: frozenset[str], root: str) -> None:
        self.path, self.units, self.around, self.root = path, units, around, root
        names = "|".join(sorted({*units, *around, root}))
        self._token = re.compile(
            rf"<!--|<!\[CDATA\[|<\?|<!(?:DOCTYPE|ENTITY)|<(/?)(?:[A-Za-z_][\w.-]{{0,20}}:)?({names})(?=[\s/>])",
            re.IGNORECASE,
        )
        own = "|".join(sorted({*units, root}))
        self._inside = re.compile(rf"<(/?)(?:[A-Za-z_][\w.-]{{0,20}}:)?({own})(?=[\s/>])")
        self._tag = re.compile(rf"<(?:[A-Za-z_][\w.-]{{0,20}}:)?(?:{names}){_REST_OF_TAG}", re.IGNORECASE)
        self._buffer = ""
        self._place = 0
        self._skip = ""
        self._start: int | None = None  # of the unit in the buffer
        self._name = ""
        self._is_dropped = False
        self._unit_line = 0
        self._counted, self._line = 0, 0
        self._num_units = 0
        self._root_has_begun = self._root_has_ended = False

    def feed(self, text: str) -> Iterator[Piece]:
        self._buffer += text
        yield from self._cut(is_last=False)
        self._trim()

    def end(self) -> Iterator[Piece]:
        yield from self._cut(is_last=True)
        if self._skip or (self._root_has_begun and not self._root_has_ended):
            missing = self._skip or f"</{self.root}>"
            raise DataError(
                f"{place_of(self.path, self._line_of(len(self._buffer)))}: the file ends here without {missing}, after "
                f"{counted(self._num_units, 'unit')}, so it was cut off; export or fetch it again, or write {missing} "
                "at its end to use what is there"
            )
        if self._start is not None:
            yield self._closed(None)

    def _cut(self, *, is_last: bool) -> Iterator[Piece]:
        while True:
            if self._skip and not self._skipped():
                return
            found = (self._token if self._start is None else self._inside).search(self._buffer, self._place)
            if found is None:
                self._place = max(self._place, len(self._buffer) - _LONGEST_TOKEN)
                return
            if found[0] in _SKIPPED:
                self._place, self._skip = found.end(), _SKIPPED[found[0]]
                continue
            if found[0].startswith("<!"):
                if not self._passes_doctype(found.start(), is_last=is_last):
                    return
                continue
            end = self._end_of_tag(found.start(), is_closing=bool(found[1]))
            if end is None:
                if len(self._buffer) - found.start() <= _LONGEST_TAG and not is_last:
                    self._place = found.start()
                    return
                end = found.end()  # a tag without an end: what follows decides
            self._place = end
            yield from self._seen(found, end)

    def _seen(self, found: re.Match[str], end: int) -> Iterator[Piece]:
        name, is_closing = found[2], bool(found[1])
        self._note_root(name, is_closing=is_closing, is_empty=self._buffer[end - 2 : end] == "/>")
        if name not in self.units:
            if name in self.around and not is_closing and self._start is None:
                yield Piece(name, self._line_of(found.start()), self._buffer[found.start() : end])
        elif is_closing:
            if self._start is not None:
                yield self._closed(end)
        else:
            if self._start is not None:  # the one before has no end
                yield self._closed(None)
            self._start, self._name, self._is_dropped = found.start(), name, False
            self._unit_line = self._line_of(found.start())
            if self._buffer[end - 2 : end] == "/>":
                yield self._closed(end)

    def _note_root(self, name: str, *, is_closing: bool, is_empty: bool) -> None:
        if name == self.root and is_closing:
            # Inside of a unit, too, whose end may be missing; any unit after it shows that it was text.
            self._root_has_ended = True
        elif name == self.root and self._start is None:
            self._root_has_begun, self._root_has_ended = True, is_empty
        elif name in self.units:
            self._root_has_ended = False

    def _closed(self, end: int | None) -> Piece:
        self._num_units += 1
        text = None if end is None or self._is_dropped else self._buffer[self._start : end]
        is_too_large = self._is_dropped or (text is not None and len(text) > MAX_UNIT_CHARACTERS)
        self._start = None
        return Piece(self._name, self._unit_line, None if is_too_large else text, is_too_large)

    def _skipped(self) -> bool:
        place = self._buffer.find(self._skip, self._place)
        if place < 0:
            self._place = max(self._place, len(self._buffer) - len(self._skip) + 1)
            return False
        self._place, self._skip = place + len(self._skip), ""
        return True

    def _passes_doctype(self, start: int, *, is_last: bool) -> bool:
        """Step over a document type without declarations; return False if its end is not there yet."""
        end = self._buffer.find(">", start)
        text = self._buffer[start : end + 1 or len(self._buffer)]
        if "[" in text or text[:8].upper() == "<!ENTITY" or len(text) > _LONGEST_TAG:
            raise DataError(
                f"{place_of(self.path, self._line_of(start))}: declares entities or other rules of its own, which are "
                "refused because they can read other files and fill the memory; remove the document type (<!DOCTYPE "
                "... >) and write the characters themselves"
            )
        self._place = start if end < 0 else end + 1
        return end >= 0 and not (is_last and end < 0)

    def _end_of_tag(self, start: int, *, is_closing: bool) -> int | None:
        if is_closing:
            end = self._buffer.find(">", start)
            return None if end < 0 else end + 1
        found = self._tag.match(self._buffer, start)
        return found.end() if found else None

    def _line_of(self, place: int) -> int:
        self._line += self._buffer.count("\n", self._counted, place)
        self._counted = max(self._counted, place)
        return self._line

    def _trim(self) -> None:
        if self._start is not None and len(self._buffer) - self._start > MAX_UNIT_CHARACTERS + _LONGEST_TAG:
            self._is_dropped = True
        keep = self._place if self._start is None or self._is_dropped else self._start
        self._line_of(keep)
        self._buffer = self._buffer[keep:]
        self._place -= keep
        self._counted -= keep
        if self._start is not None:
            self._start = max(0, self._start - keep)


@lru_cache(maxsize=1)
def _parser() -> Any:
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )


def parsed(text: str) -> _Element | None:
    """Return a unit as an element, or None if it is not well-formed."""
    from lxml import etree

    prefixes = sorted(set(_PREFIX.findall(text)) - _WELL_KNOWN_PREFIXES)
    names = "".join(f' xmlns:{prefix}="urn:{prefix}"' for prefix in prefixes)
    try:
        root = etree.fromstring(f"<around{names}>{text}</around>", _parser())
    except (etree.XMLSyntaxError, ValueError):
        return None
    # An entity that is not declared stays in the tree as a node without a name.
    return root[0] if len(root) == 1 and not any(True for _ in root.iter(etree.Entity)) else None


def unit_of(piece: Piece, invalid_utf8: InvalidUtf8) -> _Element | Reason:
    """Return a unit as an element, or why there is none."""
    if piece.is_too_large:
        return Reason.TOO_LARGE
    text = piece.text or ""
    if _SURROGATE.search(text):
        if invalid_utf8 is not InvalidUtf8.REPLACE:
            return Reason.INVALID_TEXT
        text = _SURROGATE.sub("\ufffd", text)
    element = parsed(text) if text else None
    return Reason.BROKEN if element is None else element


def local_name(element: _Element) -> str:
    """Return the name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def children_of(element: _Element, *names: str) -> list[_Element]:
    """Return the children with one of the names."""
    return [child for child in element if local_name(child) in names]


_ATTRIBUTE: Final = re.compile(r"""([A-Za-z_][\w:.-]*)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""")


def attributes_of(tag: str) -> dict[str, str]:
    """Return the attributes of a start tag as written, by local name."""
    found = _ATTRIBUTE.findall(tag)
    return {name.rpartition(":")[2]: first or second for name, first, second in found}
