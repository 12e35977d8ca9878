"""Paragraphs of DrawingML (ECMA-376 part 1, section 21): slides, notes, text boxes, SmartArt. Read ``pptx.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from pellucid.documents.segments import has_letters
from pellucid.documents.zipped.inline import Break, Node, Place
from pellucid.documents.zipped.package import Left, Passage, PassageReader
from pellucid.documents.zipped.runs import (
    append_run,
    atom_of,
    descriptions_in,
    name_of,
    nodes_of_run,
    run_passage,
    sibling_tag,
)

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["DIAGRAMS", "drawing_passages", "passages_where"]

_UNSEEN: Final = frozenset({"lang", "altLang", "noProof", "dirty", "err", "smtClean", "smtId", "bmk"})
_KEPT: Final = frozenset({"a:pPr"})
_LAST: Final = frozenset({"a:endParaRPr"})


def passages_where(root: _Element, left: Left, is_text: Callable[[_Element], bool]) -> Iterator[Passage]:
    """Yield the paragraphs for which ``is_text`` holds, and the descriptions of pictures."""
    paragraphs = [one for one in root.iter("{*}p") if name_of(one) == "a:p"]
    for number, element in enumerate(paragraphs, 1):
        if is_text(element):
            yield run_passage(
                element,
                list(_nodes(element, left)),
                f"paragraph {number}",
                write=partial(append_run, run=sibling_tag(element, "r"), leaf=sibling_tag(element, "t")),
                kept=_KEPT,
                last=_LAST,
            )
    yield from descriptions_in(root, "cNvPr")


def drawing_passages(root: _Element, left: Left) -> Iterator[Passage]:
    """Yield every paragraph."""
    return passages_where(root, left, lambda _: True)


def _nodes(paragraph: _Element, left: Left) -> Iterator[Node]:
    for child in paragraph:
        name = name_of(child)
        if name == "a:r":
            yield from nodes_of_run(child, ignored=_UNSEEN)
        elif name == "a:br":
            yield Break((Place(child),))
        elif name not in _KEPT and name not in _LAST:
            left["field result"] += name == "a:fld" and has_letters("".join(child.itertext()))
            yield atom_of(child)


DIAGRAMS: Final[dict[str, PassageReader]] = {
    "drawingml.diagramData+xml": drawing_passages,
    "ms-office.drawingml.diagramDrawing+xml": drawing_passages,
}
"""SmartArt: its texts, and the picture of it."""
