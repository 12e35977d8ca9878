"""What a document says of its own language, for browsers, spelling checkers and other programs.

Where it says that its text is in the source language, it is to say the target language once a text is translated.
Read ``safe_xml.py`` next.
"""

from __future__ import annotations

import locale
from typing import Final

from pellucid.documents.limits import Reading
from pellucid.text.formats.languages import tidy_code

__all__ = ["direction_of", "is_of_another", "located", "restated"]

_RIGHT_TO_LEFT: Final = frozenset({"ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


_LOCATED: Final = {"ar": "ar-SA", "no": "nb-NO", "zh-hans": "zh-CN", "zh-hant": "zh-TW"}
"""Where the table of the system has none, or another."""


def restated(stated: str, reading: Reading) -> str | None:
    """Return what a code such as ``fr-CA`` is to be, or None where it stays: it is not that of the source language."""
    if not reading.target_language or not _is_source(stated, reading):
        return None
    return reading.target_language.replace("-", "_") if "_" in stated else reading.target_language


def is_of_another(stated: str, reading: Reading) -> bool:
    """Return whether a code says that a text is in another language than the source; no code says nothing."""
    return bool(stated.strip() and reading.source_language) and not _is_source(stated, reading)


def located(code: str) -> str:
    """Return a code with a region, which Microsoft Office wants: ``en`` is ``en-US``, ``pt-BR`` stays."""
    if own := _LOCATED.get(code.lower()):
        return own
    if "-" in code:
        return code
    known = locale.normalize(code).partition(".")[0].partition("@")[0]
    return known.replace("_", "-") if known.partition("_")[0] == code and "_" in known else code


def direction_of(code: str) -> str:
    """Return in which direction a language is written: ``ltr`` or ``rtl``."""
    return "rtl" if _language_of(code) in _RIGHT_TO_LEFT else "ltr"


def _is_source(stated: str, reading: Reading) -> bool:
    own = _language_of(reading.source_language)
    return bool(own) and own == _language_of(stated)


def _language_of(code: str) -> str:
    return tidy_code(code).split("-")[0]
