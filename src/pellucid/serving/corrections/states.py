"""What a correction is, and the states that a review gives it. Read ``journal.py`` next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pellucid.errors import DataError

__all__ = ["Correction", "State", "correction_of"]

_ID_DIGITS: Final = 16


class State(StrEnum):
    """What a review decided."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Correction:
    """A text and the translation that a user proposes for it. Who proposed it, and when, is not kept."""

    source: str
    target: str
    source_language: str
    target_language: str
    state: State = State.PENDING
    translation: str = ""
    """What was shown instead, where the client says so."""

    @property
    def id(self) -> str:
        """Sixteen digits of a digest of languages and texts, so that the same proposal has the same id."""
        parts = (self.source_language, self.target_language, self.source, self.target)
        return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:_ID_DIGITS]

    def record(self) -> dict[str, str]:
        """Return the line of the journal."""
        languages = {"source_lang": self.source_language, "target_lang": self.target_language}
        shown = {"translation": self.translation} if self.translation else {}
        texts = {"source": self.source, "target": self.target, **shown}
        return {"id": self.id, "state": self.state.value, **languages, **texts}


def correction_of(record: Mapping[str, object], place: str) -> Correction:
    """Return the correction of a line of the journal.

    Raises:
        DataError: the line has not the texts and the languages of a correction.
    """
    names = ("source", "target", "source_lang", "target_lang")
    texts = [text for name in names if isinstance(text := record.get(name), str)]
    if len(texts) < len(names):
        raise DataError(f"{place}: a correction has {', '.join(names)}; restore the file from a copy")
    source, target, source_language, target_language = texts
    return Correction(source, target, source_language, target_language, translation=str(record.get("translation", "")))
