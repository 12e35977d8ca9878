"""Which language codes of a file answer to the one that was asked for.

``en`` is answered by ``en``, ``en-GB`` and ``EN_us``; ``en-GB`` by ``en-GB`` and by plain ``en``, but not by ``en-US``.
Codes whose scripts differ (``zh-Hans`` and ``zh-TW``, ``sr-Latn`` and ``sr-Cyrl``) do not answer to each other.
Read ``naming.py`` next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

__all__ = ["answers", "best_of", "script_of", "tidy_code"]

_SCRIPT_LETTERS: Final = 4
_CODES_OF_A_RUN: Final = 1024
"""A file asks about the same few codes for each unit."""
_SCRIPTS: Final = {
    "zh-cn": "hans",
    "zh-sg": "hans",
    "zh-my": "hans",
    "zh-tw": "hant",
    "zh-hk": "hant",
    "zh-mo": "hant",
}
_SAME: Final = {"iw": "he", "in": "id", "ji": "yi", "nb": "no", "cmn": "zh", "deu": "de", "eng": "en", "fra": "fr"}
"""Codes of one language under two names; ``no`` most often stands for Bokmål."""


@lru_cache(_CODES_OF_A_RUN)
def tidy_code(code: str) -> str:
    """Return a code in the form that is compared: ``EN_us`` is ``en-us``."""
    first, *rest = code.strip().replace("_", "-").casefold().split("-")
    return "-".join((_SAME.get(first, first), *rest))


@lru_cache(_CODES_OF_A_RUN)
def script_of(code: str) -> str:
    """Return the script that a code states or implies, or ""."""
    tidied = tidy_code(code)
    parts = tidied.split("-")[1:]
    stated = next((part for part in parts if len(part) == _SCRIPT_LETTERS and part.isalpha()), "")
    return stated or _SCRIPTS.get("-".join(tidied.split("-")[:2]), "")


@lru_cache(_CODES_OF_A_RUN)
def answers(asked: str, code: str) -> bool:
    """Return whether text with this code is text of the language that was asked for."""
    one, other = tidy_code(asked), tidy_code(code)
    if one == other:
        return True
    if one.split("-")[0] != other.split("-")[0] or not one:
        return False
    scripts = {script_of(one), script_of(other)} - {""}
    regions = {_region(one), _region(other)} - {""}
    return len(scripts) < 2 and len(regions) < 2


def _region(code: str) -> str:
    return next((part for part in code.split("-")[1:] if len(part) in {2, 3}), "")


def best_of(asked: str, codes: Iterable[str], usual: Mapping[str, int]) -> str | None:
    """Return the code to take among those that answer: the very one, else the most usual; None if none answers."""
    found = [code for code in codes if answers(asked, code)]
    if not found:
        return None
    return min(found, key=lambda code: (tidy_code(code) != tidy_code(asked), -usual.get(tidy_code(code), 0), code))
