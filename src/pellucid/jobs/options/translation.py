"""How a model is opened and searches, and how it translates texts. Read ``parts.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pellucid.config.translation import TranslationConfig
from pellucid.jobs.glossaries.reading import terms_of
from pellucid.jobs.memories.reading import memory_for
from pellucid.jobs.models import EngineName, EnginePrecision, open_translator, settings_for
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.terms.glossary import Glossary
from pellucid.translation.translator import Translator

__all__ = ["FOR_PEOPLE", "ModelOptions", "TranslationOptions"]

FOR_PEOPLE: Final = ("placeholders=keep",)
"""Settings of `pellucid translate` and of the service, below those of the user: a program puts something in the place
of a placeholder, so it has to come through. Scores and the inside of a model are of the text as it is."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Options of every verb that opens a model; ``open_translator`` says what they are."""

    settings: Sequence[str] = ()
    device: str = "auto"
    threads: int = 0
    engine: str = EngineName.AUTO
    precision: str = EnginePrecision.AUTO

    def config_of(self, model: Path) -> TranslationConfig:
        """Return the settings that a translator would have, as ``settings_for`` does; nothing is opened."""
        return settings_for(model, self.settings)

    def open(self, model: Path, *, device: str = "", say: Callable[[str], None] = lambda text: None) -> Translator:
        """Open a model as ``open_translator`` does; a device that is named takes the place of the own one."""
        return open_translator(
            model,
            settings=self.settings,
            device=device or self.device,
            threads=self.threads,
            engine=self.engine,
            precision=self.precision,
            say=say,
        )


@dataclass(frozen=True, kw_only=True)
class TranslationOptions(ModelOptions):
    """Options of every translation: of lines, records, and documents with and without codes."""

    terms: str | None = None
    """A file of terms; ``-`` is standard input."""
    keep: Sequence[str] = ()
    """Words and phrases that stay as they are."""
    memory: Sequence[str] = ()
    """Files and patterns of a translation memory."""

    def read_terms(self, config: TranslationConfig) -> Glossary:
        """Return the terms and the words to keep, as ``terms_of`` does."""
        return terms_of(self.terms, self.keep, config)

    def read_memory(self, model: Path, say: Callable[[str], None]) -> TranslationMemory | None:
        """Return the memory as ``memory_for`` does, or None if no file is named."""
        return memory_for(model, self.memory, say) if self.memory else None
