"""What memories say of a text: its translation, or units that are like it. Read ``translating.py`` next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pellucid.text.normalisation import nul_in
from pellucid.translation.flags import in_order
from pellucid.translation.hypothesis import Hypothesis, Translation
from pellucid.translation.memory.matches import MemoryMatch
from pellucid.translation.memory.units import TranslationMemory
from pellucid.translation.terms.glossary import Term

__all__ = ["MATCHES", "Recall", "recall"]

MATCHES: Final = 3
"""Units that are shown beside a translation, unless another number is asked for."""


@dataclass(frozen=True)
class Recall:
    """The translation that a memory has of a text, if any, and the units that are shown beside the result."""

    target: str | None = None
    matches: tuple[MemoryMatch, ...] = ()

    def translation_of(self, source: str) -> Translation | None:
        """Return the translation of a memory, which has the white space around the text; None if there is none."""
        if self.target is None:
            return None
        bare = source.strip()
        start = source.index(bare)
        text = f"{source[:start]}{self.target}{source[start + len(bare) :]}"
        itself = Hypothesis((), 0.0, 0.0, (), is_finished=True, text=text)
        return Translation(source, text, 0.0, (), (itself,), flags=("memory",), matches=self.matches)

    def beside(self, translation: Translation) -> Translation:
        """Return a translation of the model with the matches beside it."""
        if not self.matches or translation.error is not None:
            return translation
        best = self.matches[0]
        evidence = {**translation.evidence, "memory_match": f"{best.score:g} % like {best.source[:60]!r}"}
        flags = in_order({*translation.flags, "memory_match"})
        ordered = {flag: evidence[flag] for flag in in_order(evidence)}
        return replace(translation, matches=self.matches, flags=flags, evidence=ordered)


def recall(
    text: str, memories: Sequence[TranslationMemory], *, most: int = MATCHES, terms: Iterable[Term] = ()
) -> Recall:
    """Look a text up; the first memory with an exact match has the translation.

    A translation that breaks one of ``terms`` is only shown, because the terms are of the request. At most ``most``
    matches are shown.
    """
    if not memories or not text.strip() or nul_in(text) is not None or _has_surrogates(text):
        return Recall()
    target = next((found for one in memories if (found := one.exact(text)) is not None), None)
    if target is not None and not all(term.is_kept_in(target) for term in terms):
        target = None
    same = [match for one in memories for match in one.same(text) if match.target != target] if most else []
    if target is None and len(same) < most:
        like = [match for one in memories for match in one.similar(text, most=most)]
        same += sorted(like, key=lambda match: -match.score)
    return Recall(target, tuple(dict.fromkeys(same))[:most])


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
