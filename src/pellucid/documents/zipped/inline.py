"""The inside of a paragraph as a tree: text, codes, pairs and breaks, and the steps that write each of them again.

A step is done when the paragraph is written, never before, so that reading changes nothing. Read ``stretches.py`` next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = [
    "PLAIN",
    "Atom",
    "Break",
    "Format",
    "Node",
    "Pair",
    "Place",
    "PopFormat",
    "PopShell",
    "PushFormat",
    "PushShell",
    "Step",
    "Text",
    "Write",
    "carry_out",
    "steps_of",
    "writable",
]

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Format:
    """The look of a run."""

    key: Hashable
    """Formats with equal keys look alike."""
    properties: _Element | None
    """The element that states it; copied into each run."""


PLAIN: Final = Format((), None)


@dataclass(frozen=True, slots=True)
class Write:
    """Write text in a format, or in the innermost one that is open."""

    text: str
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class PushFormat:
    """Text that follows has this format."""

    format: Format


@dataclass(frozen=True, slots=True)
class PopFormat:
    """Text that follows has the format from before."""


@dataclass(frozen=True, slots=True)
class PushShell:
    """What follows goes into a copy of an element."""

    element: _Element
    properties: tuple[_Element, ...] = ()
    """Its children that are copied, too."""
    namespaces: dict[str | None, str] = field(init=False, compare=False)
    """By prefix, as the document has them: an element that was taken out of it has others."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "namespaces", dict(self.element.nsmap))


@dataclass(frozen=True, slots=True)
class PopShell:
    """What follows goes behind the last such copy."""


@dataclass(frozen=True, slots=True)
class Place:
    """Put an element here: itself, because paragraphs inside it may change, too."""

    element: _Element


Step = Write | PushFormat | PopFormat | PushShell | PopShell | Place


@dataclass(frozen=True, slots=True)
class Text:
    """Text to translate."""

    text: str
    format: Format = PLAIN


@dataclass(frozen=True, slots=True)
class Atom:
    """What is no text: a picture, a field, an anchor."""

    steps: tuple[Step, ...]
    shown: str = ""
    opens: Hashable = None
    """Equal to ``closes`` of the atom that ends what this one begins."""
    closes: Hashable = None
    is_visible: bool = True
    """Whether readers see it; a bookmark or a comment of XML can stand in the middle of a word."""
    is_space: bool = False
    """Whether it is white space, such as a tab."""


@dataclass(frozen=True, slots=True)
class Break:
    """Where one text ends and another begins: a tab, a new line."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Something around other nodes: a link, a formatted stretch."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]
    children: tuple[Node, ...]
    key: Hashable = None
    """Neighbours with equal keys are one pair, and a break divides such a pair in two; None for others."""
    shown: str = ""


Node = Text | Atom | Break | Pair


def steps_of(nodes: Iterable[Node]) -> tuple[Step, ...]:
    """Return the steps that write nodes as they are."""
    found: list[Step] = []
    for node in nodes:
        if isinstance(node, Text):
            found.append(Write(node.text, node.format))
        elif isinstance(node, Pair):
            found += (*node.before, *steps_of(node.children), *node.after)
        else:
            found += node.steps
    return tuple(found)


def carry_out(
    steps: Iterable[Step],
    parent: _Element,
    write: Callable[[_Element, str, Format], None],
    *,
    base: Format = PLAIN,
) -> None:
    """Write steps behind the children of an element.

    Args:
        steps: in their order; what is pushed is popped.
        parent: the element.
        write: writes text behind the children of an element.
        base: the format of text outside all others.
    """
    from lxml import etree

    parents, formats = [parent], [base]
    for step in steps:
        if isinstance(step, Write):
            write(parents[-1], writable(step.text), step.format or formats[-1])
        elif isinstance(step, PushFormat):
            formats.append(step.format)
        elif isinstance(step, PopFormat):
            formats.pop()
        elif isinstance(step, PushShell):
            of = step.element
            shell = etree.SubElement(
                parents[-1], of.tag, attrib=dict(of.attrib), nsmap=_undeclared(step.namespaces, parents[-1])
            )
            shell.extend(_copied(one) for one in step.properties)
            parents.append(shell)
        elif isinstance(step, PopShell):
            parents.pop()
        else:
            step.element.tail = None
            parents[-1].append(step.element)


def _undeclared(namespaces: dict[str | None, str], parent: _Element) -> dict[str | None, str]:
    """Return the namespaces that a copy of an element must declare below a parent."""
    around = parent.nsmap
    return {prefix: uri for prefix, uri in namespaces.items() if around.get(prefix) != uri}


def _copied(element: _Element) -> _Element:
    copy = deepcopy(element)
    copy.tail = None
    return copy


def writable(text: str) -> str:
    """Return text in which the characters that XML cannot hold are replacement characters."""
    return _NOT_XML.sub("\ufffd", text)
