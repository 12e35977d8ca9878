"""From the tree of a paragraph to segments, with few codes and none at the ends, and back to steps.

Read ``package.py`` next.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from pellucid.documents.segments import Code, CodeKind, Parts, has_letters, merged_text
from pellucid.documents.zipped.inline import (
    PLAIN,
    Atom,
    Break,
    Format,
    Node,
    Pair,
    PopFormat,
    PushFormat,
    Step,
    Text,
    Write,
    steps_of,
)

__all__ = ["Stretch", "base_of", "stretches_of", "with_formats"]

_MOST_SHOWN: Final = 40
_TAG: Final = re.compile("<([^<>]*)>")


@dataclass(frozen=True)
class Stretch:
    """What becomes one segment."""

    parts: Parts
    steps: Mapping[Code, tuple[Step, ...]]
    """Of each code."""
    keeps_order: bool
    """Whether a code begins or ends a range that is no pair, because it crosses another."""

    def steps_of(self, parts: Parts | None) -> Iterator[Step]:
        """Yield the steps that write a translation of it, or what it is."""
        for part in self.parts if parts is None else parts:
            if isinstance(part, str):
                yield Write(part)
            else:
                yield from self.steps[part]


def base_of(nodes: Iterable[Node]) -> Format:
    """Return the format that needs no codes: that of most stretches of text, and of these the longest."""
    stretches: Counter[Hashable] = Counter()
    lengths: Counter[Hashable] = Counter()
    looks: dict[Hashable, Format] = {}
    before: Hashable = None
    for text in _texts_of(nodes):
        key = text.format.key
        looks.setdefault(key, text.format)
        stretches[key] += key != before
        lengths[key] += len(text.text)
        before = key
    return looks[max(looks, key=lambda one: (stretches[one], lengths[one]))] if looks else PLAIN


def _texts_of(nodes: Iterable[Node]) -> Iterator[Text]:
    for node in nodes:
        if isinstance(node, Text):
            yield node
        elif isinstance(node, Pair):
            yield from _texts_of(node.children)


def with_formats(nodes: Iterable[Node], base: Format) -> tuple[Node, ...]:
    """Return nodes in which text of every other format is in a pair; neighbours of one format share a pair."""
    found: list[Node] = []
    run: list[Node] = []
    after: list[Node] = []  # atoms, which belong to the run only if more of it follows
    key: object = None

    def end() -> None:
        if run:
            look = next(node.format for node in run if isinstance(node, Text))
            found.append(Pair((PushFormat(look),), (PopFormat(),), tuple(run), shown="<format>"))
        found.extend(after)
        run.clear()
        after.clear()

    for node in nodes:
        if isinstance(node, Text) and node.format.key != base.key:
            if key is not None and key != node.format.key:
                end()
            key = node.format.key
            run += [*after, node]
            after.clear()
        elif isinstance(node, Atom) and run:
            after.append(node)
        else:
            end()
            key = None
            found.append(replace(node, children=with_formats(node.children, base)) if isinstance(node, Pair) else node)
    end()
    return tuple(found)


def stretches_of(nodes: Iterable[Node]) -> list[tuple[Step, ...] | Stretch]:
    """Return what of a paragraph stays as it is, and between that what is translated.

    Text without a letter stays. Breaks divide a paragraph, except inside pairs that cannot be divided.
    """
    found: list[tuple[Step, ...] | Stretch] = []
    for line, end in _lines(_joined(nodes)):
        found += _trimmed(list(_simplified(line)), keeps_order=_has_ranges(line))
        if end is not None:
            found.append(end.steps)
    return found


def _joined(nodes: Iterable[Node]) -> list[Node]:
    """Return nodes in which neighbours with equal keys are one, and what an atom opens and another closes is a pair."""
    found: list[Node] = []
    opened: list[tuple[Atom, int]] = []
    for node in nodes:
        if isinstance(node, Pair):
            before = found[-1] if found else None
            if node.key is not None and isinstance(before, Pair) and before.key == node.key:
                found[-1] = replace(before, children=(*before.children, *node.children))
                continue
        if isinstance(node, Atom) and node.closes is not None and opened and opened[-1][0].opens == node.closes:
            atom, place = opened.pop()
            inside = tuple(found[place + 1 :])
            if not any(isinstance(one, Break) for one in inside):
                found[place:] = [Pair(atom.steps, node.steps, inside, shown=atom.shown)]
                continue
        if isinstance(node, Atom) and node.opens is not None:
            opened.append((node, len(found)))
        found.append(node)
    return [replace(one, children=tuple(_joined(one.children))) if isinstance(one, Pair) else one for one in found]


def _lines(nodes: Sequence[Node]) -> Iterator[tuple[list[Node], Break | None]]:
    """Yield the nodes before each break, and the break; None after the last."""
    line: list[Node] = []
    for node in nodes:
        if isinstance(node, Break):
            yield line, node
            line = []
        elif isinstance(node, Pair) and node.key is not None:
            for children, end in _lines(node.children):
                line.append(replace(node, children=tuple(children)))
                if end is not None:
                    yield line, end
                    line = []
        else:
            line.append(_whole(node))
    yield line, None


def _whole(node: Node) -> Node:
    """Return a node in which breaks are codes, each with what follows it in its pair if that has no words."""
    if isinstance(node, Break):
        return Atom(node.steps, "<break>", is_space=True)
    if not isinstance(node, Pair):
        return node
    children: list[Node] = []
    for line, end in _lines(node.children):
        if children and not any(has_letters(text.text) for text in _texts_of(line)):
            before = children.pop()
            line = [replace(before, steps=steps_of([before, *line]))] if isinstance(before, Atom) else [before, *line]
        children += line
        if end is not None:
            children.append(Atom(end.steps, "<break>", is_space=True))
    return replace(node, children=tuple(children))


def _simplified(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield nodes with fewer codes: neighbours as one atom, nested pairs as one pair, empty pairs as atoms."""
    atoms: list[Node] = []
    for node in nodes:
        one = _simple_pair(node) if isinstance(node, Pair) else node
        if isinstance(one, Atom):
            atoms.append(one)
            continue
        yield from _one_atom(atoms)
        atoms.clear()
        yield one
    yield from _one_atom(atoms)


def _one_atom(atoms: Sequence[Node]) -> Iterator[Node]:
    if atoms:
        shown = "".join(one.shown for one in atoms if isinstance(one, Atom))
        shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"
        is_space = all(isinstance(one, Atom) and one.is_space for one in atoms)
        yield Atom(steps_of(atoms), shown, is_visible=_is_visible(atoms), is_space=is_space)


def _simple_pair(pair: Pair) -> Node:
    children = tuple(_simplified(pair.children))
    if not any(text.text for text in _texts_of(children)):
        steps = (*pair.before, *steps_of(children), *pair.after)
        return Atom(steps, pair.shown, is_visible=_is_visible(children))
    inner = children[0]
    if len(children) == 1 and isinstance(inner, Pair):
        before, after = (*pair.before, *inner.before), (*inner.after, *pair.after)
        return replace(pair, before=before, after=after, children=inner.children, shown=pair.shown + inner.shown)
    return replace(pair, children=children)


def _is_visible(nodes: Iterable[Node]) -> bool:
    return any(isinstance(node, Atom) and node.is_visible for node in nodes)


def _has_ranges(nodes: Iterable[Node]) -> bool:
    return any(
        _has_ranges(node.children)
        if isinstance(node, Pair)
        else isinstance(node, Atom) and (node.opens is not None or node.closes is not None)
        for node in nodes
    )


def _trimmed(nodes: list[Node], *, keeps_order: bool) -> list[tuple[Step, ...] | Stretch]:
    """Return a stretch without codes at its ends, between what was there."""
    before: list[Step] = []
    after: list[Step] = []
    while nodes:
        pair = nodes[0]
        if len(nodes) == 1 and isinstance(pair, Pair):
            before += pair.before
            after[:0] = pair.after
            nodes = list(pair.children)
        elif _is_outside(nodes[0]):
            before += steps_of([nodes.pop(0)])
        elif _is_outside(nodes[-1]):
            after[:0] = steps_of([nodes.pop()])
        else:
            break
    if not any(has_letters(text.text) for text in _texts_of(nodes)):
        return [(*before, *steps_of(nodes), *after)]
    return [tuple(before), _stretch(nodes, keeps_order=keeps_order), tuple(after)]


def _is_outside(node: Node) -> bool:
    return isinstance(node, Atom) or (isinstance(node, Text) and not node.text.strip())


def _stretch(nodes: Iterable[Node], *, keeps_order: bool) -> Stretch:
    steps: dict[Code, tuple[Step, ...]] = {}
    parts: list[str | Code] = []
    numbers = count(1)

    def add(code: Code, of: tuple[Step, ...]) -> None:
        parts.append(code)
        steps[code] = of

    def take(nodes: Iterable[Node]) -> None:
        for node in nodes:
            if isinstance(node, Text):
                parts.append(node.text)
                continue
            number = next(numbers)
            if not isinstance(node, Pair):
                code = Code(CodeKind.STANDALONE, number)
                if isinstance(node, Atom):
                    code = replace(code, shown=node.shown, is_visible=node.is_visible, is_space=node.is_space)
                add(code, node.steps)
                continue
            add(Code(CodeKind.OPENING, number, shown=node.shown), node.before)
            take(node.children)
            add(Code(CodeKind.CLOSING, number, shown=_closing(node.shown)), node.after)

    take(nodes)
    return Stretch(merged_text(parts), steps, keeps_order)


def _closing(shown: str) -> str:
    return "".join(f"</{name}>" for name in reversed(_TAG.findall(shown)))
