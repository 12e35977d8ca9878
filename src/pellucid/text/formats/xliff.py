"""Read XLIFF 1.2 and 2.x: a document and its translation, segment by segment. Read ``po.py`` next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError
from pellucid.text.formats.inline import InlineCodes
from pellucid.text.formats.languages import answers
from pellucid.text.formats.markup import Piece, attributes_of, children_of, local_name, pieces_of, unit_of
from pellucid.text.formats.units import Found, LeftOut, Reason, Request, Unit

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_xliff"]

_UNITS: Final = frozenset({"trans-unit", "unit"})
_AROUND: Final = frozenset({"xliff", "file"})
_NOT_BEGUN: Final = frozenset({"new", "needs-translation", "initial"})
_GUESSES: Final = frozenset(
    {"fuzzy-match", "leveraged-mt", "leveraged-inherited", "leveraged-repository", "leveraged-tm", "mt-suggestion"}
)


@dataclass(frozen=True)
class _Around:
    """What the elements around a unit state."""

    source: str = ""
    target: str = ""
    document: str = ""
    is_for_translation: bool = True


def read_xliff(path: Path, request: Request) -> Iterator[Found]:
    """Yield the segments of a file; a file in the other direction is turned round, with a note.

    Raises:
        DataError: the file cannot be read, has no units, or has other languages.
    """
    around, number, units = _Around(), 0, 0
    is_turned = False
    for piece in pieces_of(path, units=_UNITS, around=_AROUND, root="xliff"):
        if piece.name in _UNITS:
            units += 1
            for found in _segments(piece, around, request.invalid_utf8):
                is_plain = isinstance(found, LeftOut) or not is_turned
                yield found if is_plain else _turned(found)  # type: ignore[arg-type]
            continue
        stated = attributes_of(piece.text or "")
        number += piece.name == "file"
        around = replace(
            around,
            source=stated.get("source-language") or stated.get("srcLang") or around.source,
            target=stated.get("target-language") or stated.get("trgLang") or around.target,
            document=f"{number}" if piece.name == "file" else around.document,
            is_for_translation=stated.get("translate") != "no",
        )
        if piece.name == "file":
            is_turned = _is_turned(path, around, request)
    if not units:
        raise DataError(f"{path}: has no units (<trans-unit> or <unit>), so it is not XLIFF, or it is empty")


def _is_turned(path: Path, around: _Around, request: Request) -> bool:
    stated = (around.source, around.target)

    def fits(languages: tuple[str, str]) -> bool:
        return all(not code or answers(asked, code) for asked, code in zip(languages, stated, strict=True))

    if fits(request.languages):
        return False
    if fits(request.swapped):
        request.say(f"{path.name}: translates from {stated[0]} into {stated[1]}, and is read the other way round")
        return True
    raise DataError(
        f"{path}: translates from {stated[0]!r} into {stated[1]!r}, and the languages of this corpus are "
        f"{request.languages[0]!r} and {request.languages[1]!r}; leave the file out, or set the languages"
    )


def _turned(unit: Unit) -> Unit:
    return replace(unit, source=unit.target, target=unit.source, codes=(unit.codes[1], unit.codes[0]))


def _segments(piece: Piece, around: _Around, invalid_utf8: InvalidUtf8) -> Iterator[Found]:
    unit = unit_of(piece, invalid_utf8)
    if isinstance(unit, Reason):
        yield LeftOut(unit, piece.line)
    elif not around.is_for_translation or unit.get("translate") == "no":
        yield LeftOut(Reason.NOT_FOR_TRANSLATION, piece.line)
    elif local_name(unit) == "trans-unit":
        yield from _segments_of_1(unit, piece.line, around)
    else:
        segments = children_of(unit, "segment")
        if not segments:
            yield LeftOut(Reason.BROKEN, piece.line)
        for segment in segments:
            sides = (children_of(segment, "source"), children_of(segment, "target"))
            yield _pair(sides[0], sides[1], segment.get("state"), piece.line, around)


def _segments_of_1(unit: _Element, line: int, around: _Around) -> Iterator[Found]:
    sources, targets = children_of(unit, "source"), children_of(unit, "target")
    state = _state(targets[0], unit) if targets else None
    marked = {m.get("mid"): m for s in children_of(unit, "seg-source") for m in _marks(s)}
    if not marked:
        yield _pair(sources, targets, state, line, around)
        return
    translated = {mark.get("mid"): mark for target in targets for mark in _marks(target)}
    for name, mark in marked.items():
        yield _pair([mark], [translated[name]] if name in translated else [], state, line, around)


def _marks(element: _Element) -> list[_Element]:
    return [e for e in element.iter() if local_name(e) == "mrk" and e.get("mtype") == "seg"]


def _state(target: _Element, unit: _Element) -> str:
    """Return the state of a translation in the words of XLIFF 2, or as it is written."""
    if (target.get("state-qualifier") or "") in _GUESSES or unit.get("approved") == "no":
        return "needs-review"
    return target.get("state") or ""


def _pair(sources: list[_Element], targets: list[_Element], state: str | None, line: int, around: _Around) -> Found:
    if not sources:
        return LeftOut(Reason.BROKEN, line)
    inline = InlineCodes()
    source = inline.text_of(sources[0])
    target = inline.text_of(targets[0]) if targets else ""
    if not target.strip() or state in _NOT_BEGUN:
        return LeftOut(Reason.UNTRANSLATED, line)
    if state and state.startswith("needs-"):
        return LeftOut(Reason.FUZZY, line)
    return Unit(source, target, line, around.document, (around.source, around.target))
