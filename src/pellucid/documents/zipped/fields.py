"""The fields of Word: links stay around their text, every other field is one code with its result.

A field is a row of runs: its beginning, its instruction, a separator, its result and its end. A table of contents ends
in another paragraph than it begins in; what is between its marks is text. Read ``docx.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pellucid.documents.segments import has_letters
from pellucid.documents.zipped.inline import Atom, Node, Pair, Text, steps_of
from pellucid.documents.zipped.package import Left

__all__ = ["Mark", "folded", "is_link"]


@dataclass(frozen=True, slots=True)
class Mark(Atom):
    """A part of a field that is no text."""

    stage: str = ""
    """``begin``, ``separate``, ``end``, or nothing for an instruction."""
    instruction: str = ""


def is_link(instruction: str) -> bool:
    """Return whether the result of a field is text that its author wrote."""
    return instruction.split(maxsplit=1)[:1] == ["HYPERLINK"]


def folded(nodes: Iterable[Node], left: Left) -> list[Node]:
    """Return nodes in which every field that begins and ends among them is one node."""
    frames: list[list[Node]] = [[]]
    for node in nodes:
        if isinstance(node, Mark) and node.stage == "begin":
            frames.append([node])
        elif isinstance(node, Mark) and node.stage == "end" and len(frames) > 1:
            field = _field([*frames.pop(), node], left)
            frames[-1].append(field)
        else:
            frames[-1].append(node)
    return [node for frame in frames for node in frame]


def _field(nodes: Sequence[Node], left: Left) -> Node:
    instruction = "".join(node.instruction for node in nodes if isinstance(node, Mark))
    middle = next((at for at, node in enumerate(nodes) if isinstance(node, Mark) and node.stage == "separate"), None)
    if middle is not None and is_link(instruction):
        return Pair(steps_of(nodes[: middle + 1]), steps_of(nodes[-1:]), tuple(nodes[middle + 1 : -1]), shown="<link>")
    left["field result"] += any(isinstance(node, Text) and has_letters(node.text) for node in nodes)
    return Atom(steps_of(nodes), f"<field {' '.join(instruction.split()[:1])}>")
