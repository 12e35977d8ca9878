"""Formatted runs of text, which Word, PowerPoint and Excel all write in their way, and elements that are plain text.

Read ``opc.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from pellucid.documents.zipped.inline import (
    PLAIN,
    Atom,
    Format,
    Node,
    Place,
    PopShell,
    PushShell,
    Step,
    Text,
    Write,
    carry_out,
    writable,
)
from pellucid.documents.zipped.package import Passage
from pellucid.documents.zipped.stretches import base_of, stretches_of, with_formats

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = [
    "append_leaf",
    "append_run",
    "append_text",
    "atom_of",
    "descriptions_in",
    "format_of",
    "in_run",
    "is_note",
    "keep_space",
    "name_of",
    "nodes_of_run",
    "plain_passage",
    "run_passage",
    "sibling_tag",
    "text_in",
]

_PREFIXES: Final = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w",
    "http://schemas.openxmlformats.org/drawingml/2006/main": "a",
    "http://purl.oclc.org/ooxml/drawingml/main": "a",
    "http://schemas.openxmlformats.org/presentationml/2006/main": "p",
    "http://purl.oclc.org/ooxml/presentationml/main": "p",
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "s",
    "http://purl.oclc.org/ooxml/spreadsheetml/main": "s",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc",
}
_FILE_NAME: Final = re.compile(r"\S+\.\w{2,5}")
_SPACE: Final = "{http://www.w3.org/XML/1998/namespace}space"


@lru_cache(maxsize=4096)
def _short(tag: str) -> str:
    namespace, _, local = tag.removeprefix("{").rpartition("}")
    return f"{_PREFIXES.get(namespace, namespace)}:{local}"


def name_of(element: _Element) -> str:
    """Return a name such as ``w:r``, the same for both dialects of a format; "" for comments and the like."""
    return _short(element.tag) if isinstance(element.tag, str) else ""


def text_in(
    leaf: _Element,
    format: Format = PLAIN,
    *,
    run: _Element | None = None,
    properties: _Element | None = None,
) -> Iterator[Text | Atom]:
    """Yield the text of an element, and as codes what else is in it, such as comments.

    ``run`` is the element around it, and ``properties`` state the look, as for ``in_run``.
    """
    if leaf.text:
        yield Text(leaf.text, format)
    for one in leaf:
        yield atom_of(one, () if run is None else (PushShell(run, _all(properties)), PushShell(leaf)))
        if one.tail:
            yield Text(one.tail, format)


def nodes_of_run(run: _Element, *, ignored: frozenset[str]) -> Iterator[Text | Atom]:
    """Yield what a run of PowerPoint or Excel holds; ``ignored`` as for ``format_of``."""
    properties = run.find(sibling_tag(run, "rPr"))
    look = format_of(properties, ignored=ignored)
    for child in run:
        if child.tag == sibling_tag(run, "t"):
            yield from text_in(child, look, run=run, properties=properties)
        elif child is not properties:
            yield atom_of(child, (PushShell(run, _all(properties)),))


def atom_of(element: _Element, around: tuple[PushShell, ...] = ()) -> Atom:
    """Return the code of an element, in copies of the elements around it, or of a comment, which can stand anywhere."""
    if is_note(element):
        return Atom((Place(element),), "<!>", is_visible=False)
    steps: tuple[Step, ...] = (*around, Place(element), *(PopShell() for _ in around))
    return Atom(steps, f"<{name_of(element).rpartition(':')[2] or '&'}>")


def is_note(element: _Element) -> bool:
    """Return whether an element is a comment or a processing instruction, which readers do not see."""
    from lxml import etree

    return element.tag is etree.Comment or element.tag is etree.ProcessingInstruction


def _all(properties: _Element | None) -> tuple[_Element, ...]:
    return () if properties is None else (properties,)


def sibling_tag(element: _Element, local: str) -> str:
    """Return the tag of another element in the namespace of this one."""
    return f"{element.tag.rpartition('}')[0]}}}{local}"


def format_of(
    properties: _Element | None,
    *,
    ignored: frozenset[str],
    is_slight: Callable[[_Element], bool] = lambda property_: False,
) -> Format:
    """Return the look that properties of a run state, without those that cannot be seen, by name or by their value."""
    if properties is None:
        return PLAIN
    key = _key(properties, ignored, is_slight)
    return Format(key if key[1] or key[2] else (), properties)


def _key(
    element: _Element, ignored: frozenset[str], is_slight: Callable[[_Element], bool]
) -> tuple[str, Any, tuple[Hashable, ...]]:
    attributes = tuple(
        sorted((name, value) for name, value in element.attrib.items() if name.rpartition("}")[2] not in ignored)
    )
    children = tuple(
        _key(one, ignored, is_slight)
        for one in element
        if name_of(one) not in ignored and name_of(one) and not is_slight(one)
    )
    return name_of(element), attributes, children


def in_run(run: _Element, properties: _Element | None, element: _Element) -> tuple[Step, ...]:
    """Return the steps that put an element into a run like the one it was in."""
    return (PushShell(run, _all(properties)), Place(element), PopShell())


def append_run(parent: _Element, text: str, format: Format, *, run: str, leaf: str) -> None:
    """Write a run; ``run`` and ``leaf`` are the tags of runs and of the text in them."""
    from lxml import etree

    written = etree.SubElement(parent, run)
    if format.properties is not None:
        properties = deepcopy(format.properties)
        properties.tail = None
        written.append(properties)
    append_leaf(written, text, leaf)


def append_leaf(parent: _Element, text: str, leaf: str) -> None:
    """Write an element of text whose white space counts."""
    from lxml import etree

    written = etree.SubElement(parent, leaf)
    written.text = text
    keep_space(written)


def keep_space(leaf: _Element) -> None:
    """Have the white space in an element count, if it has any that would not."""
    text = "".join(one for one in leaf.itertext())
    # White space always counts in DrawingML, and its texts have no attributes.
    if not name_of(leaf).startswith("a:") and (text != text.strip() or "  " in text or "\n" in text):
        leaf.set(_SPACE, "preserve")


def append_text(parent: _Element, text: str, format: Format = PLAIN) -> None:
    """Write text behind the children of an element."""
    if not text:
        return
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def run_passage(
    element: _Element,
    nodes: Sequence[Node],
    place: str,
    *,
    write: Callable[[_Element, str, Format], None],
    kept: frozenset[str],
    last: frozenset[str] = frozenset(),
) -> Passage:
    """Return a passage of formatted runs.

    Args:
        element: the paragraph.
        nodes: what it holds.
        place: where it is, for people.
        write: writes a run.
        kept: names of children that stay, such as its properties.
        last: those that stay behind all others.
    """
    base = base_of(nodes)

    def rewrite(steps: Iterable[Step]) -> None:
        ends = [child for child in element if name_of(child) in last]
        for child in list(element):
            if name_of(child) not in kept:
                element.remove(child)
        carry_out(steps, element, write, base=base)
        element.extend(ends)

    return Passage(stretches_of(with_formats(nodes, base)), rewrite, place)


def descriptions_in(root: _Element, *names: str) -> Iterator[Passage]:
    """Yield the descriptions of pictures, which are attributes of elements of these names; names of files are none."""
    for element in root.iter(*(f"{{*}}{name}" for name in names)):
        for attribute in ("title", "descr"):
            text = element.get(attribute, "")
            if text and not _FILE_NAME.fullmatch(text):
                pieces = stretches_of([Text(text)])
                yield Passage(pieces, partial(_write_attribute, element, attribute), f"picture {element.get('id', '')}")


def _write_attribute(element: _Element, attribute: str, steps: Iterable[Step]) -> None:
    element.set(attribute, writable("".join(step.text for step in steps if isinstance(step, Write))))


def plain_passage(element: _Element, place: str) -> Passage:
    """Return the passage of an element that holds text and nothing else."""

    def rewrite(steps: Iterable[Step]) -> None:
        for child in list(element):
            element.remove(child)
        element.text = None
        carry_out(steps, element, append_text)

    return Passage(stretches_of(text_in(element)), rewrite, place)
