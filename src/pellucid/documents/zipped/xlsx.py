"""Excel workbooks (SpreadsheetML, ECMA-376 part 1, section 18): texts of cells, comments and text boxes.

Formulas and their results, names of sheets and headers of tables stay: formulas refer to them. Read ``odf.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from pellucid.documents.limits import Reading
from pellucid.documents.safe_xml import parsed_xml
from pellucid.documents.segments import Document
from pellucid.documents.zipped.drawing import DIAGRAMS, drawing_passages
from pellucid.documents.zipped.inline import Atom, Node, Step, Text, Write, carry_out
from pellucid.documents.zipped.opc import Kind, Office, office_of
from pellucid.documents.zipped.package import Left, Passage
from pellucid.documents.zipped.runs import (
    append_run,
    append_text,
    atom_of,
    keep_space,
    name_of,
    nodes_of_run,
    plain_passage,
    run_passage,
    sibling_tag,
    text_in,
)
from pellucid.documents.zipped.stretches import stretches_of
from pellucid.errors import counted

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read"]

_ESCAPE: Final = re.compile("(_x[0-9A-Fa-f]{4}_)")
_PAGE_TEXT: Final = re.compile(rb"<(?:\w+:)?(?:odd|even|first)(?:Header|Footer)[ >]")
_RESULT: Final = re.compile(rb"""<(?:\w+:)?c\s[^<>]*\bt=["']str["']""")
"""A cell whose formula gives a text."""
_INPUT_TEXT: Final = re.compile(rb"<(?:\w+:)?dataValidation [^<>]*\b(?:prompt|error)=")
"""What Excel says while a value is typed in; it is short, and a file with a longer one does not open."""
_PHONETIC: Final = frozenset({"s:rPh", "s:phoneticPr"})
_GUIDE: Final = re.compile(rb"<(?:\w+:)?rPh[ >]")


def read(data: bytes, reading: Reading) -> Document:
    """Read a workbook; ``documents.naming`` has the terms."""
    left = Left()
    office = office_of(data, _kind(frozenset()), reading)
    names = frozenset(_column_names(office, reading))
    members = office.archive.members
    for member in office.members(*_MAIN):
        root = parsed_xml(members[member], reading, member=member).getroot()
        left["sheet name"] += sum(name_of(one) == "s:sheet" for one in root.iter("{*}sheet"))
    sheets = office.members(_SHEET)
    left["header and footer text"] += sum(len(_PAGE_TEXT.findall(members[member])) for member in sheets)
    left["formula result"] += sum(len(_RESULT.findall(members[member])) for member in sheets)
    left["input message"] += sum(len(_INPUT_TEXT.findall(members[member])) for member in sheets)
    guides = sum(len(_GUIDE.findall(members[member])) for member in office.members(_STRINGS, _SHEET))
    return office.document(
        _kind(names),
        reading,
        left,
        skipped=frozenset(member for member in sheets if b"inlineStr" not in members[member]),
        notes=[f"{counted(guides, 'phonetic guide')} not kept where the text changes"] if guides else (),
    )


def _column_names(office: Office, reading: Reading) -> Iterator[str]:
    """Yield the names of columns: tables and pivot tables find their columns by the texts of cells."""
    for ending, leaf in _COLUMNS:
        for member in office.members(ending):
            root = parsed_xml(office.archive.members[member], reading, member=member).getroot()
            yield from (_comparable(one.get("name", "")) for one in root.iter(f"{{*}}{leaf}"))


def _comparable(text: str) -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(found[0][2:6], 16)), text)
    return " ".join(plain.split()).casefold()


def _strings(root: _Element, left: Left, *, names: frozenset[str]) -> Iterator[Passage]:
    texts = [one for one in root if name_of(one) == "s:si"]
    yield from _rich(((one, f"text {number}") for number, one in enumerate(texts)), left, names)


def _cells(root: _Element, left: Left, *, names: frozenset[str]) -> Iterator[Passage]:
    cells = [one for one in root.iter("{*}c") if name_of(one) == "s:c" and one.get("t") == "inlineStr"]
    texts = ((child, f"cell {one.get('r', '')}") for one in cells for child in one if name_of(child) == "s:is")
    yield from _rich(texts, left, names)


def _comments(root: _Element, left: Left) -> Iterator[Passage]:
    comments = [one for one in root.iter("{*}comment") if name_of(one) == "s:comment"]
    texts = ((child, f"comment on {one.get('ref', '')}") for one in comments for child in one)
    yield from _rich(((one, place) for one, place in texts if name_of(one) == "s:text"), left, frozenset())


def _threads(root: _Element, left: Left) -> Iterator[Passage]:
    for comment in root.iter("{*}threadedComment"):
        if any(True for _ in comment.iter("{*}mention")):
            left["mentioning comment"] += 1  # by the place of the name in the text
            continue
        for one in comment.iterchildren("{*}text"):
            yield plain_passage(one, f"comment on {comment.get('ref', '')}")


def _rich(texts: Iterable[tuple[_Element, str]], left: Left, names: frozenset[str]) -> Iterator[Passage]:
    for element, place in texts:
        nodes = list(_nodes(element))
        if names and _comparable("".join(node.text for node in nodes if isinstance(node, Text))) in names:
            left["column name"] += 1
            continue
        run, leaf = sibling_tag(element, "r"), sibling_tag(element, "t")
        leaves = element.findall(leaf)
        if len(leaves) == 1 and element.find(run) is None:
            inside = [piece for node in text_in(leaves[0]) for piece in _pieces(node)]
            yield Passage(stretches_of(inside), partial(_write_plain, element, leaves[0]), place)
        else:
            write = partial(append_run, run=run, leaf=leaf)
            yield run_passage(element, nodes, place, write=write, kept=frozenset())


def _nodes(element: _Element) -> Iterator[Node]:
    for child in element:
        name = name_of(child)
        if name == "s:t":
            found: Iterable[Text | Atom] = text_in(child)
        elif name == "s:r":
            found = nodes_of_run(child, ignored=frozenset())
        else:
            found = [] if name in _PHONETIC else [atom_of(child)]
        for node in found:
            yield from _pieces(node)


def _pieces(text: Text | Atom) -> Iterator[Node]:
    """Yield text; escapes such as ``_x000D_`` in it are codes."""
    if isinstance(text, Atom):
        yield text
        return
    for number, piece in enumerate(_ESCAPE.split(text.text)):
        if number % 2:
            yield Atom((Write(piece, text.format),), piece)
        elif piece:
            yield Text(piece, text.format)


def _write_plain(item: _Element, leaf: _Element, steps: Iterable[Step]) -> None:
    """Write a text without runs into its only leaf, and drop the phonetic guides beside it."""
    for one in list(item):
        if name_of(one) in _PHONETIC:
            item.remove(one)
    for one in list(leaf):
        leaf.remove(one)
    leaf.text = None
    carry_out(steps, leaf, append_text)
    keep_space(leaf)


_MAIN: Final = (
    "spreadsheetml.sheet.main+xml",
    "spreadsheetml.template.main+xml",
    "ms-excel.sheet.macroEnabled.main+xml",
    "ms-excel.template.macroEnabled.main+xml",
)
_STRINGS: Final = "spreadsheetml.sharedstrings+xml"
_SHEET: Final = "spreadsheetml.worksheet+xml"
_COLUMNS: Final = (("spreadsheetml.table+xml", "tableColumn"), ("spreadsheetml.pivotcachedefinition+xml", "cacheField"))


def _kind(names: frozenset[str]) -> Kind:
    return Kind(
        "Excel workbook",
        _MAIN,
        {
            _STRINGS: partial(_strings, names=names),
            _SHEET: partial(_cells, names=names),
            "spreadsheetml.comments+xml": _comments,
            "ms-excel.threadedcomments+xml": _threads,
            "officedocument.drawing+xml": drawing_passages,
            **DIAGRAMS,
        },
    )
