"""Word documents (WordprocessingML, ECMA-376 part 1, section 17): body, notes, headers, footers and comments.

Runs that look alike are one text. Links, insertions and content controls become pairs; deletions, pictures, formulas
and results of fields are codes. Read ``drawing.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from pellucid.documents.limits import Reading
from pellucid.documents.segments import Document, has_letters
from pellucid.documents.zipped.drawing import DIAGRAMS
from pellucid.documents.zipped.fields import Mark, folded, is_link
from pellucid.documents.zipped.inline import (
    Atom,
    Break,
    Node,
    Pair,
    Place,
    PopShell,
    PushShell,
    Text,
)
from pellucid.documents.zipped.opc import Kind, office_of
from pellucid.documents.zipped.package import Left, Passage
from pellucid.documents.zipped.relabelling import relabel_word
from pellucid.documents.zipped.runs import (
    append_run,
    atom_of,
    descriptions_in,
    format_of,
    in_run,
    is_note,
    name_of,
    run_passage,
    sibling_tag,
    text_in,
)

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read"]

_UNSEEN: Final = frozenset({"w:lang", "w:noProof", "hint"})
_FORGOTTEN: Final = frozenset({"w:proofErr", "w:lastRenderedPageBreak", "w:pPr"})
_AROUND: Final = frozenset(
    {"w:hyperlink", "w:ins", "w:moveTo", "w:smartTag", "w:customXml", "w:dir", "w:bdo", "w:sdtContent"}
)
_PROPERTIES: Final = frozenset({"w:smartTagPr", "w:customXmlPr", "w:sdtPr", "w:sdtEndPr"})
_BOUND: Final = frozenset({"w:dataBinding", "w:dropDownList", "w:comboBox", "w:date"})
_SLIGHT: Final = {"w:spacing": 10, "w:w": 5, "w:kern": 10_000}
"""Twentieths of a point between letters, percents of their width, and whether pairs of letters move together."""
_OF_OTHER_SCRIPTS: Final = frozenset({"w:bCs", "w:iCs", "w:szCs"})
"""They count where the run says that its script is one of those."""
_RANGES: Final = ("w:bookmark", "w:commentRange", "w:perm")
_LETTERS: Final = {"w:noBreakHyphen": "\u2011", "w:softHyphen": "\u00ad"}
_BREAKS: Final = frozenset({"w:tab", "w:br", "w:cr", "w:ptab"})
_DELETED: Final = frozenset({"w:del", "w:moveFrom"})


def read(data: bytes, reading: Reading) -> Document:
    """Read a Word document; ``documents.naming`` has the terms."""
    return office_of(data, _KIND, reading).document(_KIND, reading, Left())


def _passages(root: _Element, left: Left) -> Iterator[Passage]:
    for number, element in enumerate(root.iter(sibling_tag(root, "p")), 1):
        nodes = folded(_nodes(element, left), left)
        yield run_passage(
            element,
            nodes,
            f"paragraph {number}",
            write=partial(append_run, run=sibling_tag(root, "r"), leaf=sibling_tag(root, "t")),
            kept=frozenset({"w:pPr"}),
        )
    yield from descriptions_in(root, "docPr")


def _nodes(parent: _Element, left: Left) -> Iterator[Node]:
    for child in parent:
        name = name_of(child)
        if name == "w:r":
            yield from _run(child, left)
        elif name in _AROUND:
            shell = PushShell(child, _properties(child))
            yield Pair((shell,), (PopShell(),), tuple(folded(_nodes(child, left), left)), shown=f"<{name[2:]}>")
        elif name == "w:sdt":
            yield _control(child, left)
        elif name == "w:fldSimple":
            yield _simple_field(child, left)
        elif name not in _FORGOTTEN and name not in _PROPERTIES:
            left["tracked deletion"] += name in _DELETED
            left["alternative text"] += name == "mc:AlternateContent" and _has_own_text(child)
            yield _range(child, name)


def _run(run: _Element, left: Left) -> Iterator[Node]:
    properties = next((child for child in run if name_of(child) == "w:rPr"), None)
    look = format_of(properties, ignored=_UNSEEN, is_slight=_is_slight)
    for child in run:
        name = name_of(child)
        steps = in_run(run, properties, child)
        if name == "w:t":
            yield from text_in(child, look, run=run, properties=properties)
        elif name in _LETTERS:
            yield Text(_LETTERS[name], look)
        elif name in _BREAKS:
            yield Break(steps)
        elif name in ("w:fldChar", "w:instrText"):
            yield Mark(steps, stage=child.get(sibling_tag(child, "fldCharType"), ""), instruction=child.text or "")
        elif is_note(child):
            yield atom_of(child)
        elif name != "w:rPr" and name not in _FORGOTTEN:
            left["ruby text"] += name == "w:ruby"
            left["alternative text"] += name == "mc:AlternateContent" and _has_own_text(child)
            yield Atom(steps, f"<{name.rpartition(':')[2]}>", is_visible=name != "w:commentReference")


def _is_slight(property_: _Element) -> bool:
    """Return whether a property of a run cannot be seen, as far as it goes: conversion from PDF leaves many such."""
    name, value = name_of(property_), property_.get(sibling_tag(property_, "val"), "")
    if name in _OF_OTHER_SCRIPTS:
        return not any(name_of(one) in ("w:rtl", "w:cs") for one in property_.itersiblings()) and not any(
            name_of(one) in ("w:rtl", "w:cs") for one in property_.itersiblings(preceding=True)
        )
    most = _SLIGHT.get(name)
    return most is not None and value.lstrip("-").isdecimal() and abs(int(value) - (name == "w:w") * 100) <= most


def _has_own_text(element: _Element) -> bool:
    """Return whether an element holds text that stands in no paragraph of its own, as a text box has."""
    return any(
        has_letters(leaf.text or "")
        and not any(name_of(one) == "w:p" for one in takewhile(lambda one: one is not element, leaf.iterancestors()))
        for leaf in element.iter("{*}t")
    )


def _control(control: _Element, left: Left) -> Node:
    """Return a content control; what it shows comes from elsewhere if it is bound, a list or a date."""
    properties, content = _properties(control), next((one for one in control if name_of(one) == "w:sdtContent"), None)
    if content is None or any(name_of(one) in _BOUND for all_ in properties for one in all_):
        left["bound content control"] += 1
        return Atom((Place(control),), "<sdt>")
    before = (PushShell(control, properties), PushShell(content))
    return Pair(before, (PopShell(), PopShell()), tuple(folded(_nodes(content, left), left)), shown="<sdt>")


def _simple_field(field: _Element, left: Left) -> Node:
    if is_link(field.get(sibling_tag(field, "instr"), "")):
        return Pair((PushShell(field),), (PopShell(),), tuple(_nodes(field, left)), shown="<link>")
    left["field result"] += has_letters("".join(field.itertext()))
    return Atom((Place(field),), "<field>")


def _range(element: _Element, name: str) -> Atom:
    """Return a code of a paragraph; it may begin or end a range such as a bookmark, which readers do not see."""
    number = element.get(sibling_tag(element, "id")) if name else None
    kind, _, end = name.rpartition("Start" if name.endswith("Start") else "End")
    is_range = kind in _RANGES and not end and number is not None
    opens = (kind, number) if is_range and name.endswith("Start") else None
    closes = (kind, number) if is_range and name.endswith("End") else None
    is_visible = not (is_note(element) or name in _DELETED or name.endswith(("Start", "End")))
    shown = f"<{name.rpartition(':')[2] or '!'}>"
    return Atom((Place(element),), shown, opens=opens, closes=closes, is_visible=is_visible)


def _properties(element: _Element) -> tuple[_Element, ...]:
    return tuple(child for child in element if name_of(child) in _PROPERTIES)


_BODY: Final = (
    "wordprocessingml.document.main+xml",
    "wordprocessingml.template.main+xml",
    "ms-word.document.macroEnabled.main+xml",
    "ms-word.template.macroEnabledTemplate.main+xml",
)
_OTHERS: Final = ("header", "footer", "footnotes", "endnotes", "comments")
_KIND: Final = Kind(
    "Word document",
    _BODY,
    {
        **dict.fromkeys((*_BODY, *(f"wordprocessingml.{name}+xml" for name in _OTHERS)), _passages),
        **DIAGRAMS,
    },
    relabel_word,
    ("wordprocessingml.styles+xml", "wordprocessingml.settings+xml"),
)
