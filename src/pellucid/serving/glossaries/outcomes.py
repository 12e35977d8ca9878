"""Which terms of a request its translations have, and which they lack; every protocol says it.

Read ``../protocols/libretranslate.py`` for the header that says it where an answer has no place for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pellucid.translation.terms.glossary import Glossary

__all__ = ["NO_TERMS", "TermOutcome", "outcome_of", "together"]

_MOST_SHOWN: Final = 20


@dataclass(frozen=True)
class TermOutcome:
    """Source forms of terms; one that several sentences have may be in both."""

    kept: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def record(self) -> dict[str, object]:
        """Return the first of each, for an answer."""
        return {"kept": [*self.kept[:_MOST_SHOWN]], "missing": [*self.missing[:_MOST_SHOWN]]}

    def headers(self) -> dict[str, str]:
        """Return the header with the record in ASCII; none where no term was in the text."""
        return {"X-Terms": json.dumps(self.record())} if self.kept or self.missing else {}


NO_TERMS: Final = TermOutcome()


def outcome_of(glossary: Glossary, sentences: Iterable[tuple[str, str]]) -> TermOutcome:
    """Return what became of the terms in sentences, each given with its translation."""
    if not glossary.terms:
        return NO_TERMS
    kept: dict[str, None] = {}
    missing: dict[str, None] = {}
    for source, target in sentences:
        for term in glossary.within(source):
            (kept if term.is_kept_in(target) else missing)[term.source] = None
    return TermOutcome((*kept,), (*missing,))


def together(outcomes: Iterable[TermOutcome]) -> TermOutcome:
    """Return the outcomes of several texts as one."""
    every = [*outcomes]
    kept = dict.fromkeys(form for one in every for form in one.kept)
    return TermOutcome((*kept,), (*dict.fromkeys(form for one in every for form in one.missing),))
