"""Read TMX 1.4 and older: translation memories. Read ``xliff.py`` next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.config import InvalidUtf8
from pellucid.errors import DataError
from pellucid.text.formats.inline import InlineCodes
from pellucid.text.formats.languages import answers, best_of, script_of, tidy_code
from pellucid.text.formats.markup import Piece, children_of, pieces_of, unit_of
from pellucid.text.formats.units import Found, LeftOut, Reason, Request, Unit

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_tmx", "variants_of"]

_SURVEYED: Final = 10_000
_LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_DOCUMENTS: Final = frozenset(
    {"document", "documentname", "docname", "doc", "file", "filename", "sourcefile", "originalfile", "original"}
)
_Usual = Mapping[str, int]


def read_tmx(path: Path, request: Request) -> Iterator[Found]:
    """Yield the units of a memory: one for each ``tu``, whatever the number of its languages.

    Of several variants of a language, the most frequent of the first 10,000 units is preferred; another one is taken
    where a unit lacks it, unless its script differs.

    Raises:
        DataError: the file cannot be read, has no units, or none in one of the languages.
    """
    usual = _survey(path, request)
    for piece in _units(path):
        yield _found(piece, request, usual)


def _units(path: Path) -> Iterator[Piece]:
    return pieces_of(path, units=frozenset({"tu"}), around=frozenset(), root="tmx")


def _survey(path: Path, request: Request) -> _Usual:
    codes: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    units = 0
    for piece in islice(_units(path), _SURVEYED):
        units += 1
        unit = unit_of(piece, InvalidUtf8.REPLACE)
        for code in () if isinstance(unit, Reason) else variants_of(unit):
            codes[tidy_code(code)] += 1
            spelled.setdefault(tidy_code(code), code)
    if not units:
        raise DataError(f"{path}: has no units (<tu>), so it is not a translation memory in TMX, or it is empty")
    for asked in request.languages:
        if codes and not any(answers(asked, code) for code in codes) and units < _SURVEYED:
            found = ", ".join(spelled[code] for code, _ in codes.most_common(20))
            raise DataError(
                f"{path}: has no text in {asked!r}; its languages are {found}; set the languages to two of these "
                "(--src-lang and --tgt-lang)"
            )
    return codes


def variants_of(unit: _Element) -> dict[str, _Element]:
    """Return the text in each language of a unit; of two texts in one language, the first counts."""
    found: dict[str, _Element] = {}
    for variant in children_of(unit, "tuv"):
        code = variant.get(_LANGUAGE) or variant.get("lang") or ""
        segments = children_of(variant, "seg")
        if code and segments:
            found.setdefault(code, segments[0])
    return found


def _found(piece: Piece, request: Request, usual: _Usual) -> Found:
    unit = unit_of(piece, request.invalid_utf8)
    if isinstance(unit, Reason):
        return LeftOut(unit, piece.line)
    variants = variants_of(unit)
    codes = []
    for asked, missing in zip(request.languages, (Reason.NO_SOURCE, Reason.NO_TARGET), strict=True):
        code = best_of(asked, variants, usual)
        if code is None:
            return LeftOut(missing, piece.line)
        preferred = best_of(asked, usual, usual) or code
        if len({script_of(preferred), script_of(code)} - {""}) > 1:
            return LeftOut(Reason.OTHER_SCRIPT, piece.line)
        codes.append(code)
    inline = InlineCodes()
    source, target = (inline.text_of(variants[code]) for code in codes)
    return Unit(source, target, piece.line, _document(unit), (codes[0], codes[1]))


def _document(unit: _Element) -> str:
    for property_ in children_of(unit, "prop"):
        kind = (property_.get("type") or "").casefold().removeprefix("x-")
        if kind.replace("-", "").replace("_", "") in _DOCUMENTS:
            return (property_.text or "").strip()
    return ""
