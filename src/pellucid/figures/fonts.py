"""Which font draws a label, and whether it can: every character is looked up before anything is drawn.

matplotlib draws a box for a character that no font has, and says so in a warning that a paper does not show. Here
it is an error that names the characters, their script and an installed family that has them, if one does.
Read ``canvas.py`` next.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties

from pellucid.errors import RequestError

__all__ = ["BUNDLED_FAMILY", "families_for", "need_glyphs"]

BUNDLED_FAMILY: Final = "DejaVu Sans"
"""Comes with matplotlib, so a figure looks the same everywhere; Latin, Greek, Cyrillic, Arabic, Hebrew and more."""
_FONT_FILES: Final = (".ttf", ".otf", ".ttc")
_MOST_NAMED: Final = 8


def families_for(font: str | Path | None) -> tuple[str, ...]:
    """Return the families that draw text, in order: the one asked for, then the bundled one.

    Args:
        font: a font file, or the name of an installed family.

    Raises:
        RequestError: there is no such file or family.
    """
    if font is None:
        return (BUNDLED_FAMILY,)
    is_file = isinstance(font, Path) or str(font).lower().endswith(_FONT_FILES)
    family = _family_of(Path(font)) if is_file else str(font)
    try:
        _path_of(family)
    except ValueError:
        raise RequestError(
            f"font = {str(font)!r} is no installed font family; give the name of one, or the path of a file "
            f"that ends in {', '.join(_FONT_FILES)}"
        ) from None
    return (family,) if family == BUNDLED_FAMILY else (family, BUNDLED_FAMILY)


def need_glyphs(labels: Iterable[str], families: Sequence[str]) -> None:
    """Make sure that every character of every label is in a font that will draw it.

    Raises:
        RequestError: some are in none; the message names them and their scripts.
    """
    wanted = {character for label in labels for character in label if _is_drawn(character)}
    for family in families:
        wanted -= _characters_of(_path_of(family))
    if not wanted:
        return
    missing = sorted(wanted)
    named = ", ".join(f"{character} U+{ord(character):04X}" for character in missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    scripts = ", ".join(sorted({_script_of(character) for character in missing}))
    other = _installed_family_with(wanted)
    remedy = (
        f"the installed family {other!r} has them: font={other!r}, on the command line --font {other!r}"
        if other
        else "no installed font has all of them; install one for this script, or give its file: "
        "font='path/to/font.ttf', on the command line --font path/to/font.ttf"
    )
    raise RequestError(f"no glyph for {named}{more} (script: {scripts}) in {' or '.join(families)}; {remedy}")


def _family_of(path: Path) -> str:
    known = {entry.fname: entry.name for entry in reversed(font_manager.fontManager.ttflist)}
    whole = str(path.resolve())
    if whole in known:
        return known[whole]
    try:
        font_manager.fontManager.addfont(whole)
    except (OSError, RuntimeError) as error:
        raise RequestError(f"font = {str(path)!r} cannot be read as a font file: {error}") from None
    return next(entry.name for entry in font_manager.fontManager.ttflist if entry.fname == whole)


def _path_of(family: str) -> str:
    return str(font_manager.findfont(FontProperties(family=[family]), fallback_to_default=False))


@lru_cache(maxsize=512)
def _characters_of(path: str) -> frozenset[str]:
    return frozenset(map(chr, font_manager.get_font(path).get_charmap()))


def _installed_family_with(wanted: set[str]) -> str | None:
    """Return the first family in the alphabet whose regular face has all of them."""
    for family in sorted({entry.name for entry in font_manager.fontManager.ttflist}):
        try:
            if family != "Last Resort High-Efficiency" and wanted <= _characters_of(_path_of(family)):
                return family
        except (OSError, RuntimeError, ValueError):  # a font that cannot be opened draws nothing
            continue
    return None


def _is_drawn(character: str) -> bool:
    """Tell whether a character needs a glyph: joiners, marks of direction and variation selectors do not."""
    is_selector = "\ufe00" <= character <= "\ufe0f"
    return unicodedata.category(character) != "Cf" and not is_selector and not character.isspace()


def _script_of(character: str) -> str:
    """Return the first word of the character's name in Unicode, which is its script for letters."""
    if "\U0001f000" <= character <= "\U0001faff":
        return "emoji, which are not drawn in colour"
    return unicodedata.name(character, "unnamed").split(" ")[0].replace("-", " ")
