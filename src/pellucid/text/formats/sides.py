"""Which languages the two sides of a file are in: what the file states, and what its text looks like.

A memory of years has units that somebody entered the wrong way round. Where the library py3langid is installed (the
extra ``detect``), they are counted; nothing is left out by it, because short texts of related languages look alike.
Read ``reading.py`` next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from pellucid.config import InvalidUtf8
from pellucid.text.formats.languages import tidy_code
from pellucid.text.formats.markup import attributes_of, pieces_of, unit_of
from pellucid.text.formats.naming import NamedFile
from pellucid.text.formats.tmx import variants_of
from pellucid.text.formats.units import Reason, Unit

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

__all__ = ["SwapWatch", "languages_in"]

_SURVEYED: Final = 1_000
_MOST_WATCHED: Final = 100_000
"""Units of a file; detection takes about 30 µs for each."""
_LONGEST: Final = 1_000
_SURE: Final = 0.95
_STATED: Final = ("source-language", "srcLang", "target-language", "trgLang")


def languages_in(file: NamedFile) -> list[str]:
    """Return the codes that the first units of a TMX or XLIFF file state, the most frequent first.

    Raises:
        DataError: it cannot be read.
    """
    codes: Counter[str] = Counter()
    if file.format == "tmx":
        for piece in islice(pieces_of(file.path, units=frozenset({"tu"}), around=frozenset(), root="tmx"), _SURVEYED):
            unit = unit_of(piece, InvalidUtf8.REPLACE)
            codes.update([] if isinstance(unit, Reason) else [*variants_of(unit)])
    if file.format == "xliff":
        around = frozenset({"xliff", "file"})
        for piece in islice(pieces_of(file.path, units=frozenset({"unit"}), around=around, root="xliff"), _SURVEYED):
            stated = attributes_of(piece.text or "") if piece.name in around else {}
            codes.update(stated[name] for name in _STATED if name in stated)
    return [code for code, _ in codes.most_common()]


class SwapWatch:
    """Looks at the first 100,000 units of a file.

    Args:
        languages: codes of source and target.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        self._source, self._target = (tidy_code(code).partition("-")[0] for code in languages)
        self._identifier = _identifier_of(self._source, self._target) if self._source != self._target else None
        self._left = _MOST_WATCHED

    def is_swapped(self, unit: Unit) -> bool:
        """Return whether the source text is surely in the target language, and the other way round."""
        if self._identifier is None or not self._left:
            return False
        self._left -= 1
        wanted = ((unit.source, self._target), (unit.target, self._source))
        return all(_is_in(self._identifier, text, language) for text, language in wanted)


def _is_in(identifier: LanguageIdentifier, text: str, language: str) -> bool:
    found, probability = identifier.classify(text[:_LONGEST])
    return found == language and float(probability) >= _SURE


@lru_cache(maxsize=4)
def _identifier_of(source: str, target: str) -> LanguageIdentifier | None:
    """Return what tells two languages apart; None where the library is not installed or does not know one of them."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return None
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    try:
        identifier.set_languages([source, target])
    except ValueError:
        return None
    return identifier
