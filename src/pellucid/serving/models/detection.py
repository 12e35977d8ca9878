"""The language of a text, by the library py3langid (an extra): its model is in the package, so nothing is fetched.

A text without letters has no language. Read ``../service.py`` next.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pellucid.interop.packages import is_installed
from pellucid.serving.models.languages import normalised, resolved
from pellucid.serving.refusals import Reason, Refusal

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

__all__ = ["Detected", "can_detect", "detect", "detected_among", "detected_for"]

_READ_CHARACTERS: Final = 4096
_LEAST_SHOWN: Final = 1.0
_SURE: Final = 50.0
_LOCK: Final = threading.Lock()


@dataclass(frozen=True)
class Detected:
    """A language that a text may be in, with a confidence from 0 to 100."""

    language: str
    confidence: float


def can_detect() -> bool:
    """Return whether the library is installed."""
    return is_installed("py3langid")


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
    mine = [(known.get(normalised(code).partition("-")[0]), code) for code in offered]
    best = max(((one.confidence, code) for one, code in mine if one is not None), default=None, key=lambda one: one[0])
    if best is None:
        raise Refusal(Reason.LANGUAGE, "none of the languages of this server can be detected; name the source language")
    return Detected(resolved(best[1], offered) or best[1], best[0])


def detected_for(text: str, sources: Collection[str], target: str) -> Detected:
    """Return the target where it is more probable than all other languages, else the most probable of the sources.

    Raises:
        Refusal: as ``detected_among``.
    """
    base = normalised(target).partition("-")[0]
    sure = next((one for one in detect(text) if one.language == base and one.confidence > _SURE), None)
    return sure or detected_among(text, sources)


def shown(found: list[Detected]) -> list[Detected]:
    """Return what is worth showing: the best, and the others that are not improbable."""
    return [one for place, one in enumerate(found) if not place or one.confidence >= _LEAST_SHOWN]


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
