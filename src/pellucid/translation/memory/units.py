"""The units of a translation memory for one language pair, in main memory. Read ``recalling.py`` next.

Sources are equal if they are after the project's one normalisation (``text/normalisation.py``): white space, invisible
characters and the spelling of accents do not count; capitals, punctuation, tags and placeholders do.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Final

from pellucid.errors import DataError
from pellucid.text.normalisation import Normaliser
from pellucid.translation.memory.index import Candidates, GroupIndex
from pellucid.translation.memory.matches import SAME, MemoryMatch, differing
from pellucid.translation.placeholders.markers import markers_of

__all__ = ["LEAST_SCORE", "MOST_UNITS", "TranslationMemory"]

LEAST_SCORE: Final = 70.0
"""Units with a lower score are not similar."""
MOST_UNITS: Final = 500_000
_MOST_CHARACTERS: Final = 100_000_000
_LONGEST: Final = 1000
"""Characters of the longest source that is compared with others; longer ones match exactly or not at all."""
_HIGHEST: Final = 99.9
"""Of a source that is not the same."""

_normalised: Final = Normaliser()


class TranslationMemory:
    """Units of a memory. Of several translations of a source, the most frequent counts; of these, the last.

    Args:
        units: sources and targets.
        name: of the memory, for messages.

    Raises:
        DataError: there are more than ``MOST_UNITS`` different sources, or more characters than the memory is for.
    """

    def __init__(self, units: Iterable[tuple[str, str]], *, name: str = "the memory") -> None:
        self._numbers: dict[str, int] = {}
        self._targets: list[str] = []
        self._several: dict[int, Counter[str]] = {}
        digest, characters = hashlib.sha256(), 0
        for source, target in units:
            key = _normalised(source)
            digest.update(f"{key}\0{target}\0".encode("utf-8", errors="surrogatepass"))
            if self._add(key, target):
                characters += len(key) + len(target)
            if len(self._targets) > MOST_UNITS or characters > _MOST_CHARACTERS:
                raise DataError(
                    f"{name}: has over {MOST_UNITS:,} different sources, or over {_MOST_CHARACTERS:,} characters, the "
                    "limits of a memory; leave out the files that this text has least to do with"
                )
        for number, counts in self._several.items():
            self._targets[number] = max(reversed(counts), key=counts.__getitem__)
        self._sources = list(self._numbers)
        self._index = GroupIndex([source if len(source) <= _LONGEST else "" for source in self._sources])
        self.sha256 = digest.hexdigest()
        """Of all units, in order."""

    def _add(self, key: str, target: str) -> bool:
        """Add a unit; return whether it is new."""
        number = self._numbers.get(key)
        if number is None:
            if key:
                self._numbers[key] = len(self._targets)
                self._targets.append(target)
            return bool(key)
        counts = self._several.setdefault(number, Counter())
        if not counts:
            counts[self._targets[number]] = 1
        is_new = target not in counts
        counts[target] = counts.pop(target, 0) + 1  # the last one comes last
        return is_new

    def __len__(self) -> int:
        return len(self._targets)

    def exact(self, text: str) -> str | None:
        """Return the translation of a text, if the memory has one with the placeholders and tags of the text."""
        number = self._numbers.get(_normalised(text))
        if number is None:
            return None
        target = self._targets[number]
        return target if sorted(markers_of(target)) == sorted(markers_of(self._sources[number])) else None

    def same(self, text: str) -> list[MemoryMatch]:
        """Return all units with the source of a text, the one that counts first."""
        number = self._numbers.get(_normalised(text))
        if number is None:
            return []
        targets = dict.fromkeys([self._targets[number], *reversed(self._several.get(number, ()))])
        return [MemoryMatch(self._sources[number], target, SAME) for target in targets]

    def similar(self, text: str, *, most: int, least: float = LEAST_SCORE) -> list[MemoryMatch]:
        """Return units whose sources are like a text and not the same, the best first."""
        from rapidfuzz import fuzz, process

        key = _normalised(text)
        if most < 1 or not key or len(key) > _LONGEST:
            return []
        numbers = self.candidates(key, least=least).numbers
        sources = [self._sources[number] for number in numbers]
        scored = process.extract(key, sources, scorer=fuzz.ratio, score_cutoff=least, limit=most + 1)
        return [
            MemoryMatch(source, self._targets[numbers[place]], min(round(score, 1), _HIGHEST), *differing(source, key))
            for source, score, place in scored
            if source != key
        ][:most]

    def candidates(self, text: str, *, least: float = LEAST_SCORE) -> Candidates:
        """Return the units that are compared with a text."""
        return self._index.candidates(text, least=least)
