"""PowerPoint presentations (PresentationML, ECMA-376 part 1, section 19): slides, notes, comments and SmartArt.

Of layouts and masters the text that every slide shows is translated, and what only stands in empty frames is not.
Read ``xlsx.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from pellucid.documents.limits import Reading
from pellucid.documents.segments import Document
from pellucid.documents.zipped.drawing import DIAGRAMS, drawing_passages, passages_where
from pellucid.documents.zipped.opc import Kind, office_of
from pellucid.documents.zipped.package import Left, Passage
from pellucid.documents.zipped.relabelling import relabel_drawing
from pellucid.documents.zipped.runs import name_of, plain_passage

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read"]


def read(data: bytes, reading: Reading) -> Document:
    """Read a presentation; ``documents.naming`` has the terms."""
    return office_of(data, _KIND, reading).document(_KIND, reading, Left())


def _background(root: _Element, left: Left) -> Iterator[Passage]:
    return passages_where(root, left, lambda paragraph: not _is_prompt(paragraph))


def _is_prompt(paragraph: _Element) -> bool:
    """Return whether a paragraph of a layout stands in a frame that a slide fills."""
    shape = next((one for one in paragraph.iterancestors() if name_of(one) == "p:sp"), None)
    return shape is not None and any(name_of(one) == "p:ph" for one in shape.iter("{*}ph"))


def _comments(root: _Element, left: Left) -> Iterator[Passage]:
    texts = [one for one in root.iter("{*}text") if name_of(one) == "p:text"]
    yield from (plain_passage(one, f"comment {number}") for number, one in enumerate(texts, 1))
    yield from drawing_passages(root, left)


_SLIDE_SHOWS: Final = tuple(
    f"{maker}.{what}.main+xml"
    for maker, what in (
        ("presentationml", "presentation"),
        ("presentationml", "slideshow"),
        ("presentationml", "template"),
        ("ms-powerpoint", "presentation.macroEnabled"),
        ("ms-powerpoint", "slideshow.macroEnabled"),
        ("ms-powerpoint", "template.macroEnabled"),
    )
)
_KIND: Final = Kind(
    "PowerPoint presentation",
    _SLIDE_SHOWS,
    {
        "presentationml.slide+xml": drawing_passages,
        "presentationml.notesSlide+xml": drawing_passages,
        "presentationml.slideLayout+xml": _background,
        "presentationml.slideMaster+xml": _background,
        "presentationml.notesMaster+xml": _background,
        "presentationml.comments+xml": _comments,
        "ms-powerpoint.comments+xml": _comments,
        **DIAGRAMS,
    },
    relabel_drawing,
    _SLIDE_SHOWS,
)
