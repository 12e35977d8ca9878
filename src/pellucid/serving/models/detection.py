"""The language of a text, by the library py3langid (an extra): its model is in the package, so nothing is fetched.

A text without letters has no language. A text that is surely in a language that no model reads is refused; a text too
short to tell is taken for the most probable of the languages that models read. Read ``../service.py`` next.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pellucid.interop.packages import is_installed
from pellucid.serving.models.languages import name_of, normalised, resolved
from pellucid.serving.refusals import Reason, Refusal

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

__all__ = ["Detected", "can_detect", "detect", "detected_among", "detected_for", "prepare_detection", "refuse_foreign"]

_READ_CHARACTERS: Final = 4096
_LEAST_SHOWN: Final = 1.0
_SURE: Final = 50.0
_FOREIGN: Final = 50.0
"""Least confidence in the three most probable languages together, as close relatives share it."""
_STILL_POSSIBLE: Final = 1.0
"""Least confidence in all languages that are offered, for a text that may be in one of them."""
_LOCK: Final = threading.Lock()


@dataclass(frozen=True)
class Detected:
    """A language that a text may be in, with a confidence from 0 to 100."""

    language: str
    confidence: float


def can_detect() -> bool:
    """Return whether the library is installed."""
    return is_installed("py3langid")


def prepare_detection() -> None:
    """Load what detection needs, if it is installed, so that no request waits for it."""
    if can_detect():
        with _LOCK:
            _identifier()


def detect(text: str) -> list[Detected]:
    """Return the languages that a text may be in, the most probable first; none where it has no letters.

    Raises:
        Refusal: the library is not installed.
    """
    if not can_detect():
        raise Refusal(
            Reason.NOT_OFFERED,
            "languages are not detected here; name the source language, or install pellucid with the extra 'detect'",
        )
    sample = text[:_READ_CHARACTERS].encode("utf-8", errors="replace").decode("utf-8")
    if not any(map(str.isalpha, sample)):
        return []
    with _LOCK:
        ranked = _identifier().rank(sample)
    return [Detected(str(code), round(100 * float(probability), 1)) for code, probability in ranked]


def detected_among(text: str, offered: Collection[str]) -> Detected:
    """Return the most probable of the offered languages; the first with a confidence of 0 where there are no letters.

    Raises:
        Refusal: the library is not installed, or it knows none of these languages.
    """
    found = detect(text)
    if not found:
        return Detected(next(iter(offered)), 0.0)
    known = {one.language: one for one in found}
    mine = [(known.get(_base(code)), code) for code in offered]
    best = max(((one.confidence, code) for one, code in mine if one is not None), default=None, key=lambda one: one[0])
    if best is None:
        raise Refusal(Reason.LANGUAGE, "none of the languages of this server can be detected; name the source language")
    return Detected(resolved(best[1], offered) or best[1], best[0])


def detected_for(text: str, sources: Collection[str], target: str) -> Detected:
    """Return the target where it is more probable than all other languages, else the most probable of the sources.

    Raises:
        Refusal: as ``detected_among`` and ``refuse_foreign``.
    """
    found = detect(text)
    base = _base(target)
    sure = next((one for one in found if one.language == base and one.confidence > _SURE), None)
    if sure is None:
        _refuse_if_foreign(text, found, sources, target)
    return sure or detected_among(text, sources)


def refuse_foreign(text: str, sources: Collection[str], target: str) -> None:
    """Refuse a text that is surely in none of the languages that are translated to the target, nor in the target.

    Where the library is not installed, or does not know one of these languages, nothing is refused.

    Raises:
        Refusal: names the language of the text, and those that are translated.
    """
    if can_detect():
        _refuse_if_foreign(text, detect(text), sources, target)


def _refuse_if_foreign(text: str, found: Sequence[Detected], sources: Collection[str], target: str) -> None:
    own = {_base(code) for code in sources} | {_base(target)}
    known = {one.language for one in found}
    if not found or not {_base(code) for code in sources} <= known:
        return
    possible = sum(one.confidence for one in found if one.language in own)
    others = [one for one in found if one.language not in own][:3]
    is_foreign = possible < _STILL_POSSIBLE and sum(one.confidence for one in others) >= _FOREIGN
    if is_foreign and not _may_be_a_name(text):
        read = ", ".join(f"{name_of(code)} ({code})" for code in sources)
        raise Refusal(
            Reason.LANGUAGE,
            f"the text seems to be in {name_of(others[0].language)} ({others[0].language}), which is not translated to "
            f"{name_of(target)} here; texts in these languages are: {read}. "
            "If it is in one of them, name the source language",
        )


def _may_be_a_name(text: str) -> bool:
    """Return whether a text is one word in Latin letters: a name looks like another language in any language."""
    letters = [character for character in text[:_READ_CHARACTERS] if character.isalpha()]
    return len(text.split()) == 1 and all("LATIN" in unicodedata.name(letter, "") for letter in letters)


def _base(code: str) -> str:
    return normalised(code).partition("-")[0]


def shown(found: list[Detected]) -> list[Detected]:
    """Return what is worth showing: the best, and the others that are not improbable."""
    return [one for place, one in enumerate(found) if not place or one.confidence >= _LEAST_SHOWN]


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
