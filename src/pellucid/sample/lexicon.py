"""Read the two-sided lexicon of the embedded corpus from `lexicon.toml`.

Entries compare by identity (`eq=False`): the phrase caches are keyed by them, and hashing every field would cost more
than the phrase.

Read next: `morphology_french.py` and `morphology_english.py`, which inflect these entries.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from pellucid.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Noun:
    """One noun in both languages; `plural` is empty for a mass noun, `tags` say which words it fits."""

    lemma: str
    plural: str
    french: str
    french_plural: str
    feminine: bool
    tags: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Adjective:
    """One adjective in both languages; `french` holds m. sing., f. sing., m. plur., f. plur.

    `prevocalic` is the masculine singular before a vowel sound (bel, nouvel, vieil), else the plain one.
    """

    lemma: str
    french: tuple[str, str, str, str]
    prevocalic: str
    precedes: bool
    comparative: str
    tags: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """One verb in both languages with the tags of the objects it takes; `particle` follows it in English.

    A star at the end of a lemma distinguishes two verbs with the same spelling (leave a place, leave*: go away).
    """

    lemma: str
    base: str
    particle: str
    third: str
    past: str
    participle: str
    progressive: str
    french: str
    pronominal: bool
    preposition: str
    tags: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class FamilyFrame:
    """One verb of the pronoun family: its subjects, its objects, and the adjectives that fit only one of the two."""

    verb: Verb
    subjects: tuple[Noun, ...]
    subject_too: tuple[Adjective, ...]
    subject_very: tuple[Adjective, ...]
    object_too: tuple[tuple[Noun, tuple[Adjective, ...]], ...]
    object_very: tuple[tuple[Noun, tuple[Adjective, ...]], ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The whole lexicon, with indexes for the templates.

    `adjectives_of` lists the adjectives that can follow "be" after a noun, `attributes_of` those that can stand beside
    it. `habits` holds the determiners and objects of each verb that can be a habit. `verb_groups` holds lemmas.
    """

    nouns: Mapping[str, Noun]
    adjectives: Mapping[str, Adjective]
    verbs: Mapping[str, Verb]
    feminine: Mapping[str, str]
    masculine: Mapping[str, str]
    nouns_by_tag: Mapping[str, tuple[Noun, ...]]
    adjectives_of: Mapping[str, tuple[Adjective, ...]]
    attributes_of: Mapping[str, tuple[Adjective, ...]]
    objects_of: Mapping[str, tuple[Noun, ...]]
    habits: Mapping[str, tuple[tuple[str, ...], tuple[Noun, ...]]]
    verb_groups: Mapping[str, tuple[str, ...]]
    family: tuple[FamilyFrame, ...]


@dataclass(frozen=True, slots=True)
class FrenchTables:
    """French forms and spellings that follow no rule."""

    irregular: Mapping[str, tuple[str, str, str]]
    strong_stems: Mapping[str, tuple[str, bool]]
    with_etre: frozenset[str]
    aspirate: frozenset[str]


@cache
def french_tables() -> FrenchTables:
    """Read the irregular verbs, the changing stems and the words with an aspirated h once."""
    document = _document()
    return FrenchTables(
        irregular={
            verb: (present, future, form) for verb, (present, future, form) in document["french_irregular"].items()
        },
        strong_stems={verb: (stem, bool(future)) for verb, (stem, future) in document["french_strong_stems"].items()},
        with_etre=frozenset(document["french"]["with_etre"]),
        aspirate=frozenset(document["french"]["aspirate"]),
    )


@cache
def _document() -> dict[str, Any]:
    """Parse the data file once. Its tables have different formats; each reader below knows one of them."""
    text = resources.files("pellucid.sample").joinpath("lexicon.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _noun(lemma: str, row: list[str]) -> Noun:
    plural, french, french_plural, gender, tags = row
    if gender not in ("m", "f"):
        raise DataError(f"lexicon.toml: noun {lemma!r} has gender {gender!r}; use 'm' or 'f'")
    return Noun(lemma, plural, french, french_plural, gender == "f", frozenset(tags.split()) | {lemma})


def _adjective(lemma: str, row: list[str], prevocalic: Mapping[str, str]) -> Adjective:
    *forms, position, comparative, tags = row
    if len(forms) != 4 or position not in ("before", "after"):
        raise DataError(f"lexicon.toml: adjective {lemma!r} needs four forms and a position, 'before' or 'after'")
    m, f, mp, fp = forms
    return Adjective(
        lemma, (m, f, mp, fp), prevocalic.get(m, m), position == "before", comparative, frozenset(tags.split())
    )


def _verb(lemma: str, row: list[str]) -> Verb:
    third, past, participle, progressive, french, preposition, tags = row
    base, _, particle = lemma.partition(" ")
    pronominal = french.startswith("se ")
    return Verb(
        lemma, base.rstrip("*"), particle, third, past, participle, progressive, french.removeprefix("se "), pronominal,
        preposition, frozenset(tags.split()),
    )  # fmt: skip


def _family(
    document: Mapping[str, Any], nouns: dict[str, Noun], adjectives: dict[str, Adjective], verbs: dict[str, Verb]
) -> tuple[FamilyFrame, ...]:
    def adjective_list(text: str) -> tuple[Adjective, ...]:
        return tuple(adjectives[word] for word in text.split())

    def objects(table: Mapping[str, str]) -> tuple[tuple[Noun, tuple[Adjective, ...]], ...]:
        return tuple((nouns[lemma], adjective_list(text)) for lemma, text in table.items())

    return tuple(
        FamilyFrame(
            verbs[lemma],
            tuple(noun for noun in nouns.values() if table["subjects"] in noun.tags),
            adjective_list(table["subject_too"]),
            adjective_list(table["subject_very"]),
            objects(table["too"]),
            objects(table["very"]),
        )
        for lemma, table in document.items()
    )


@cache
def load_lexicon() -> Lexicon:
    """Read and check the lexicon once.

    Raises:
        DataError: an entry has a wrong number of fields, or a value that the comments of the file do not allow.
    """
    document = _document()
    prevocalic = document["prevocalic"]
    try:
        nouns = {lemma: _noun(lemma, row) for lemma, row in document["nouns"].items()}
        adjectives = {lemma: _adjective(lemma, row, prevocalic) for lemma, row in document["adjectives"].items()}
        verbs = {lemma: _verb(lemma, row) for lemma, row in document["verbs"].items()}
    except ValueError as error:
        raise DataError(f"lexicon.toml: an entry has too few or too many fields: {error}") from error
    for lemma, verb in verbs.items():
        if verb.tags - {"-"} and not any(verb.tags & noun.tags for noun in nouns.values()):
            raise DataError(f"lexicon.toml: no noun has a tag of {lemma!r}: {sorted(verb.tags)}; write '-' for none")
    tags = sorted({tag for noun in nouns.values() for tag in noun.tags})
    return Lexicon(
        nouns=nouns,
        adjectives=adjectives,
        verbs=verbs,
        feminine=document["feminine"],
        masculine=document["masculine"],
        nouns_by_tag={tag: tuple(noun for noun in nouns.values() if tag in noun.tags) for tag in tags},
        adjectives_of={
            lemma: tuple(
                adjective
                for adjective in adjectives.values()
                if adjective.tags & noun.tags and adjective.lemma != "new"  # "is new" would be neuf, not nouveau
            )
            for lemma, noun in nouns.items()
        },
        attributes_of={  # "my sister is worried", but not "my worried sister"
            lemma: tuple(
                adjective for adjective in adjectives.values() if adjective.tags & (noun.tags - {"person", "kin"})
            )
            for lemma, noun in nouns.items()
        },
        objects_of={
            lemma: tuple(noun for noun in nouns.values() if verb.tags & noun.tags) for lemma, verb in verbs.items()
        },
        habits={
            lemma: (
                tuple(determiners.split()),
                tuple(noun for noun in nouns.values() if noun.tags & frozenset(tags.split())),
            )
            for lemma, (determiners, tags) in document["habits"].items()
        },
        verb_groups={name: _lemmas(text, verbs) for name, text in document["verb_groups"].items()},
        family=_family(document["pronoun_family"], nouns, adjectives, verbs),
    )


def _lemmas(text: str, verbs: Mapping[str, Verb]) -> tuple[str, ...]:
    """Split a list of verbs, all of which must be in the lexicon."""
    lemmas = tuple(text.split())
    unknown = [lemma for lemma in lemmas if lemma not in verbs]
    if unknown:
        raise DataError(f"lexicon.toml: verb_groups contains {unknown}; add these verbs to [verbs], or remove them")
    return lemmas
