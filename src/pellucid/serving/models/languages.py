"""Codes of languages as clients write them, and names. Read ``pool.py`` next."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from pellucid.interop.argos.languages import LANGUAGE_NAMES

__all__ = ["loses_region", "name_of", "normalised", "resolved"]

_ALIASES: Final = {
    "zh": ("zh", "zh-hans", "zh-cn"),
    "zh-hans": ("zh-hans", "zh", "zh-cn"),
    "zt": ("zh-hant", "zh-tw"),
    "zh-hant": ("zh-hant", "zh-tw"),
    "pb": ("pt-br",),
    "iw": ("he",),
    "no": ("nb",),
    "deu": ("de",),
    "ger": ("de",),
    "eng": ("en",),
    "fra": ("fr",),
    "fre": ("fr",),
    "spa": ("es",),
    "ita": ("it",),
    "por": ("pt",),
    "nld": ("nl",),
    "pol": ("pl",),
    "rus": ("ru",),
    "ukr": ("uk",),
    "zho": ("zh", "zh-hans"),
    "jpn": ("ja",),
}
_VARIANTS: Final = {
    "hans": "Simplified",
    "hant": "Traditional",
    "br": "Brazil",
    "pt": "Portugal",
    "gb": "British",
    "us": "American",
}


def normalised(code: str) -> str:
    """Return a code in small letters with hyphens, as in ``en-us``."""
    return code.strip().lower().replace("_", "-")


def resolved(code: str, offered: Collection[str]) -> str | None:
    """Return the offered code that a client means: the same, an alias, the language without its region, or None.

    A language without a region stands for its only variant, too: ``pt`` for ``pt-br``, where there is no other.
    """
    wanted = normalised(code)
    by_form = {normalised(one): one for one in offered}
    base = wanted.partition("-")[0]
    for form in (wanted, *_ALIASES.get(wanted, ()), base, *_ALIASES.get(base, ())):
        if form in by_form:
            return by_form[form]
    variants = [form for form in by_form if form.partition("-")[0] == base]
    return by_form[variants[0]] if len(variants) == 1 and "-" not in wanted else None


def loses_region(wanted: str, offered: str) -> bool:
    """Return whether a client asks for a variant of a language, and the model writes the language without choosing."""
    one, other = normalised(wanted), normalised(offered)
    return "-" in one and one != other and other not in _ALIASES.get(one, ())


def name_of(code: str) -> str:
    """Return the English name of a language; an unknown code is its own name."""
    base, _, variant = normalised(code).partition("-")
    name = LANGUAGE_NAMES.get(base)
    if name is None:
        return code
    return f"{name} ({_VARIANTS.get(variant, variant.upper())})" if variant else name
