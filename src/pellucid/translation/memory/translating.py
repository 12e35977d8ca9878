"""A translator with a memory: texts that the memory has do not reach the model. Read ``../translator.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Self

from pellucid.translation.constraints import configured
from pellucid.translation.document.results import DocumentTranslation
from pellucid.translation.document.translating import translate_document
from pellucid.translation.hypothesis import Translation
from pellucid.translation.memory.recalling import MATCHES, Recall, recall
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.requests import chunks_of, prefixes_for

if TYPE_CHECKING:
    from pellucid.translation.terms.glossary import Term
    from pellucid.translation.translator import Translator

__all__ = ["Remembering"]


class Remembering:
    """A translator that looks each text up first; a line of several sentences is looked up as a whole.

    Args:
        translator: of all other texts.
        memory: of its language pair.
        matches: most similar units shown beside a translation of the model.
    """

    def __init__(self, translator: Translator, memory: TranslationMemory, *, matches: int = MATCHES) -> None:
        self._translator = translator
        self._memory = memory
        self._matches = matches
        self.config = translator.config
        self.tokenizer = translator.tokenizer
        self.single_sentences = translator.single_sentences
        self.source_language = translator.source_language
        self.target_language = translator.target_language

    def with_terms(self, terms: Iterable[Term]) -> Self:
        """Return the same for terms."""
        return type(self)(self._translator.with_terms(terms), self._memory, matches=self._matches)

    def translate_document(
        self, text: str, *, lines: str, progress: Callable[[int], None] = lambda done: None
    ) -> DocumentTranslation:
        """Translate a document. A block that the memory has as a whole is not cut into sentences."""
        return translate_document(self, text, lines=lines, progress=progress, keeps_whole=self._has)

    def translate_stream(
        self,
        texts: Iterable[str | None],
        *,
        chunk: int = 1024,
        target_prefix: str | Iterable[str] | None = None,
        progress: Callable[[int], None] = lambda done: None,
        **settings: object,
    ) -> Iterator[Translation]:
        """Translate a stream as ``Translator.translate_stream`` does; with a prefix, the memory is only shown.

        Raises:
            ConfigError, RequestError: as there.
        """
        config = configured(self.config, settings)
        chunks = chunks_of(texts, chunk)
        shared = config.target_prefix if target_prefix is None else target_prefix
        prefixes = repeat(shared) if isinstance(shared, str) else iter(shared)
        return (
            done for some in chunks for done in self._translated(some, prefixes_for(some, prefixes), progress, settings)
        )

    def _translated(
        self,
        texts: Sequence[str | None],
        prefixes: Sequence[str],
        progress: Callable[[int], None],
        settings: dict[str, object],
    ) -> Iterator[Translation]:
        recalled = [self._recall(text, self._matches) for text in texts]
        left = [place for place, one in enumerate(recalled) if one.target is None or prefixes[place]]
        known = len(texts) - len(left)
        found = self._translator.translate_stream(
            [texts[place] for place in left],
            chunk=max(len(left), 1),
            target_prefix=[prefixes[place] for place in left],
            progress=lambda done: progress(known + done),
            **settings,
        )
        by_place = dict(zip(left, found, strict=True))
        for place, (text, one) in enumerate(zip(texts, recalled, strict=True)):
            own = None if place in by_place else one.translation_of(text or "")
            yield own or one.beside(by_place[place])

    def _recall(self, text: str | None, most: int) -> Recall:
        if text is None or self.tokenizer.split_tag(text)[0]:  # the memory is for one target language
            return Recall()
        terms = self._translator.glossary.within(text)
        return recall(text, [self._memory], most=most, terms=terms)

    def _has(self, text: str) -> bool:
        return self._recall(text, 0).target is not None
