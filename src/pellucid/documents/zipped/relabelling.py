"""Where office documents say in which language a text is, for their spelling checkers. Read ``opc.py`` next.

There are three places side by side: for letters as in Latin, for East Asian ones, and for those that are written from
right to left. Each function changes an XML tree and returns whether it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pellucid.documents.languages import direction_of, located, restated
from pellucid.documents.limits import Reading
from pellucid.documents.zipped.runs import name_of, sibling_tag

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["relabel_drawing", "relabel_open", "relabel_word"]

_EAST_ASIAN: Final = frozenset({"zh", "ja", "ko", "yue"})
_WORD: Final = frozenset({"w:lang", "w:themeFontLang"})
_DRAWING: Final = frozenset({"a:rPr", "a:endParaRPr", "a:defRPr"})
_FO: Final = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_STYLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OPEN: Final = (f"{_FO}%s", f"{_STYLE}%s-asian", f"{_STYLE}%s-complex")


def relabel_word(root: _Element, reading: Reading) -> bool:
    """Relabel a part of a Word document."""
    found = False
    for one in root.iter("{*}lang", "{*}themeFontLang"):
        if name_of(one) in _WORD:
            places = [sibling_tag(one, name) for name in ("val", "eastAsia", "bidi")]
            if any(restated(one.get(place, ""), reading) for place in places):
                one.set(_place_for(reading, places), located(reading.target_language))
                found = True
    return found


def relabel_drawing(root: _Element, reading: Reading) -> bool:
    """Relabel a part of a PowerPoint presentation."""
    found = False
    for one in root.iter("{*}rPr", "{*}endParaRPr", "{*}defRPr"):
        if name_of(one) in _DRAWING and restated(one.get("lang", ""), reading):
            one.set("lang", located(reading.target_language))
            found = True
    return found


def relabel_open(root: _Element, reading: Reading) -> bool:
    """Relabel a part of an OpenDocument file."""
    found = False
    language, _, country = located(reading.target_language).partition("-")
    for one in root.iter(f"{_STYLE}text-properties"):
        if any(restated(one.get(place % "language", ""), reading) for place in _OPEN):
            place = _place_for(reading, _OPEN)
            one.set(place % "language", language)
            one.set(place % "country", country or "none")
            found = True
    return found


def _place_for(reading: Reading, places: Sequence[str]) -> str:
    """Return which of three places is for the letters of the target language."""
    target = reading.target_language
    if target.partition("-")[0].lower() in _EAST_ASIAN:
        return places[1]
    return places[2] if direction_of(target) == "rtl" else places[0]
