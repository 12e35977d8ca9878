"""The terms of a call, and which of them the source of a sentence has.

A file has a term in each line: the source form, a tab, the target forms of which the translation must contain one,
and, after another tab, the forms that it must not contain. Forms are separated by "|"; either list may be empty:

    Hund<tab>hound | hounds<tab>dog | dogs
    Katze<tab><tab>pussy
    Bellmann<tab>Bellmann

The last one stays as it is, as do the forms of ``kept_terms``.
Blank lines, and lines that begin with "#", are left out. Read ``watch.py`` next.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pellucid.config import TranslationConfig
from pellucid.errors import DataError, RequestError, counted
from pellucid.translation.terms.forms import is_boundary, occurrences, spellings_of

__all__ = ["Glossary", "Term", "kept_terms", "merged", "read_terms"]

_SEPARATOR: Final = "|"
_KEY_LENGTH: Final = 3


@dataclass(frozen=True)
class Term:
    """What a translation has to say where its source has a word or a phrase.

    Args:
        source: applies where this form stands in a source sentence.
        target: the translation contains one of these forms; none: it need not contain anything. A str is one form.
        avoid: the translation contains none of these forms.

    Raises:
        RequestError: a form is empty or no text, or there is neither ``target`` nor ``avoid``.
    """

    source: str
    target: str | Sequence[str] = ()
    avoid: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        lists = {"target": self.target, "avoid": self.avoid}
        forms = {name: (given,) if isinstance(given, str) else tuple(given) for name, given in lists.items()}
        for form in (self.source, *forms["target"], *forms["avoid"]):
            if not isinstance(form, str) or not form.strip():
                raise RequestError(
                    f"the term {self.source!r} has the form {form!r}; a form is a text that shows something"
                )
        if not any(forms.values()):
            raise RequestError(f"the term {self.source!r} has no target form and none to avoid; give one of them")
        object.__setattr__(self, "source", _plain(self.source))
        for name, given in forms.items():
            object.__setattr__(self, name, tuple(dict.fromkeys(map(_plain, given))))
        if both := set(self.target) & set(self.avoid):
            raise RequestError(f"the term {self.source!r} has {min(both)!r} both as a target form and as one to avoid")

    def is_kept_in(self, target: str) -> bool:
        """Return whether a translation has one of the target forms, if there are any, and none to avoid."""
        has = any(any(occurrences(target, spellings_of(form))) for form in self.target)
        avoided = any(any(occurrences(target, spellings_of(form))) for form in self.avoid)
        return (has or not self.target) and not avoided

    def __str__(self) -> str:
        wanted = [f"use {' | '.join(self.target)}"] if self.target else []
        avoided = [f"not {' | '.join(self.avoid)}"] if self.avoid else []
        return f"{self.source}: {', '.join(wanted + avoided)}"


def _plain(form: str) -> str:
    return " ".join(unicodedata.normalize("NFC", form).split())


class Glossary:
    """Terms that can be looked up in source texts.

    Raises:
        RequestError: an element is no term, or two terms have the same source form.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self.terms = tuple(terms)
        self._by_source: dict[str, Term] = {}
        for term in self.terms:
            if not isinstance(term, Term):
                raise RequestError(f"terms holds a {type(term).__name__}; give a list of Term")
            if term.source in self._by_source:
                raise RequestError(f"there are two terms for {term.source!r}; give one with all its forms")
            self._by_source[term.source] = term

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    @cached_property
    def _spelt(self) -> dict[str, list[tuple[str, Term]]]:
        """The spellings of all source forms by their first characters, the longest first; a form before its cases."""
        table: dict[str, list[tuple[str, Term]]] = {}
        ranked = [(rank, s, t) for t in self.terms for rank, s in enumerate(spellings_of(t.source))]
        for _, spelling, term in sorted(ranked, key=lambda one: (-len(one[1]), one[0])):
            table.setdefault(spelling[:_KEY_LENGTH], []).append((spelling, term))
        return table

    def within(self, source: str) -> tuple[Term, ...]:
        """Return the terms that a source sentence has, each once, in the order of its first place."""
        return tuple(self.places(source))

    def places(self, source: str) -> dict[Term, list[tuple[int, int]]]:
        """Return the terms that a source sentence has, with their places in its NFC form, by the first of these.

        Of forms that overlap, the one that begins first counts, and of those that begin together the longest.
        """
        source = unicodedata.normalize("NFC", source)
        found: dict[Term, list[tuple[int, int]]] = {}
        place = 0
        while place < len(source):
            end = place + 1
            if is_boundary(source, place):
                for spelling, term in self._beginning(source[place : place + _KEY_LENGTH]):
                    if source.startswith(spelling, place) and is_boundary(source, place + len(spelling)):
                        end = place + len(spelling)
                        found.setdefault(term, []).append((place, end))
                        break
            place = end
        return found

    def refuse_with(self, config: TranslationConfig) -> None:
        """Refuse a search that cannot bring terms about.

        Raises:
            RequestError: the search draws at random, or in groups.
        """
        if config.num_beam_groups > 1:
            raise RequestError(
                f"num_beam_groups = {config.num_beam_groups} cannot follow terms, which divide the beam themselves; "
                "leave one of the two out"
            )
        if config.sampling:
            raise RequestError("sampling = true draws at random and cannot follow terms; leave one of the two out")

    def _beginning(self, key: str) -> list[tuple[str, Term]]:
        return [one for size in range(len(key), 0, -1) for one in self._spelt.get(key[:size], ())]


def kept_terms(forms: Iterable[str]) -> list[Term]:
    """Return terms for words that stay as they are; a RequestError says which one is empty."""
    return [*merged([Glossary([Term(form, form)]) for form in forms])]


def merged(glossaries: Iterable[Glossary]) -> Glossary:
    """Return the terms of several glossaries; of two terms for the same source form, the first counts."""
    found: dict[str, Term] = {}
    for glossary in glossaries:
        for term in glossary:
            found.setdefault(term.source, term)
    return Glossary(found.values())


def read_terms(lines: Iterable[str | ValueError], *, name: str) -> Glossary:
    """Read the lines of a file of terms.

    Args:
        lines: without their ends, or why a line cannot be read.
        name: of the file, for messages.

    Raises:
        DataError: a line is no term, or two lines have the same source form.
    """
    terms: dict[str, Term] = {}
    places: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if isinstance(line, ValueError):
            raise DataError(f"{name}, line {number}: {line}")
        if not line.strip() or line.startswith("#"):
            continue
        columns = line.split("\t")
        if not 2 <= len(columns) <= 3:
            raise DataError(
                f"{name}, line {number}: has {counted(len(columns), 'column')}; give the source form, the target forms "
                "and, if there are any, the forms to avoid, with a tab between them"
            )
        try:
            term = Term(columns[0], _listed(columns[1]), _listed(columns[2]) if len(columns) == 3 else ())
        except RequestError as error:
            raise DataError(f"{name}, line {number}: {error}") from None
        if term.source in terms:
            raise DataError(
                f"{name}, lines {places[term.source]} and {number} are both for {term.source!r}; "
                f"write all forms in one line, with {_SEPARATOR!r} between them"
            )
        terms[term.source], places[term.source] = term, number
    return Glossary(terms.values())


def _listed(column: str) -> tuple[str, ...]:
    return tuple(column.split(_SEPARATOR)) if column.strip() else ()
