"""What a request asks for, and what it gets, whatever its protocol. Read ``cutting.py`` next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pellucid.serving.glossaries.outcomes import NO_TERMS, TermOutcome
from pellucid.serving.models.pool import ServedPair
from pellucid.translation.document.results import DocumentSentence
from pellucid.translation.document.translating import Cut
from pellucid.translation.hypothesis import Translation
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.terms.glossary import Glossary

__all__ = ["SentenceDone", "TextDone", "TextTranslation", "Wish"]


@dataclass(frozen=True)
class Wish:
    """Texts to translate, all with the same model and settings."""

    texts: tuple[str, ...]
    pair: ServedPair
    settings: tuple[tuple[str, object], ...] = ()
    """Of ``TranslationConfig``, over those of the model."""
    splits_sentences: bool | None = None
    """None: as the model was trained."""
    prefix: str = ""
    """What the translation of the only text begins with."""
    glossary: Glossary = field(default_factory=lambda: Glossary(()))
    memories: tuple[TranslationMemory, ...] = ()
    """Looked up before the model is asked, the first one first."""
    matches: int = 0
    """Most units of the memories that are shown beside a sentence."""
    is_bulk: bool = False


@dataclass(frozen=True)
class TextTranslation:
    """The translation of a text: its whole text, further ones, and its sentences."""

    source: str
    text: str
    alternatives: tuple[str, ...] = ()
    """Without the first, and without equal ones."""
    sentences: Sequence[DocumentSentence] = ()
    weights: str = ""
    """Beginning of the checksum of the model that translated it."""
    terms: TermOutcome = NO_TERMS

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of all sentences, each once."""
        return tuple(dict.fromkeys(flag for one in self.sentences for flag in one.translation.flags))

    @property
    def origins(self) -> Counter[str]:
        """How many sentences are from the ``model`` and from a ``memory``."""
        return Counter(one.translation.origin for one in self.sentences)

    @property
    def error(self) -> str | None:
        """Why a sentence could not be translated; it stands in the text as it was."""
        return next((one.translation.error for one in self.sentences if one.translation.error), None)


@dataclass(frozen=True)
class SentenceDone:
    """A sentence is translated: the number of its text, its number there, its place, and its translation."""

    text: int
    number: int
    cut: Cut
    translation: Translation


@dataclass(frozen=True)
class TextDone:
    """A text is translated: its number, and its translation."""

    text: int
    translation: TextTranslation
