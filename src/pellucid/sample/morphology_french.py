"""Inflect French: conjugation, agreement, determiners, elision.

Persons are numbered 0 to 5: je, tu, il/elle, nous, vous, ils/elles. Read next: `sentence.py`, which lays the two
languages side by side.
"""

from functools import cache

from pellucid.sample.lexicon import Adjective, french_tables

VOWELS = frozenset("aàâeéèêëiîïoôuùûyhœAÀÂEÉÈÊIÎOÔUÙÛHŒ")

_ELIDED = {
    "le": "l'", "la": "l'", "je": "j'", "me": "m'", "te": "t'", "se": "s'", "ne": "n'", "de": "d'", "que": "qu'",
    "ce": "c'", "puisque": "puisqu'", "lorsque": "lorsqu'",
}  # fmt: skip
_ENDINGS_PRESENT_ER = ("e", "es", "e", "ons", "ez", "ent")
_ENDINGS_IMPERFECT = ("ais", "ais", "ait", "ions", "iez", "aient")
_ENDINGS_FUTURE = ("ai", "as", "a", "ons", "ez", "ont")
REFLEXIVE = ("me", "te", "se", "nous", "vous", "se")


@cache
def begins_with_vowel(word: str) -> bool:
    """Return whether `word` requires elision: it begins with a vowel or a mute h, not an aspirated one."""
    return word[0] in VOWELS and word.lower() not in french_tables().aspirate


def elide(words: list[str]) -> None:
    """Elide in place the short words (le, de, que, ne, je ...) before a vowel sound."""
    for index in range(len(words) - 1):
        short = _ELIDED.get(words[index])
        if short is not None:
            if begins_with_vowel(words[index + 1]):
                words[index] = short
        elif words[index] == "si" and words[index + 1] in ("il", "ils"):
            words[index] = "s'"


@cache
def _stems(infinitive: str) -> tuple[tuple[str, ...], str, str]:
    """Return the six present forms, the future stem and the participle."""
    tables = french_tables()
    if infinitive in tables.irregular:
        present, future, participle = tables.irregular[infinitive]
        return tuple(present.split()), future, participle
    stem, ending = infinitive[:-2], infinitive[-2:]
    if ending == "er":
        soft = stem + "e" if stem.endswith("g") else stem[:-1] + "ç" if stem.endswith("c") else stem
        strong, strong_future = tables.strong_stems.get(infinitive, (stem, False))
        stems = (strong, strong, strong, soft, stem, strong)
        present_er = tuple(s + e for s, e in zip(stems, _ENDINGS_PRESENT_ER, strict=True))
        return present_er, (strong if strong_future else stem) + "er", stem + "é"
    if ending == "ir":
        endings = ("is", "is", "it", "issons", "issez", "issent")
        return tuple(stem + e for e in endings), infinitive, stem + "i"
    endings = ("s", "s", "", "ons", "ez", "ent")
    return tuple(stem + e for e in endings), infinitive[:-1], stem + "u"


@cache
def conjugate(infinitive: str, tense: str, person: int) -> str:
    """Return one simple form: `tense` is present, imperfect, future or conditional, `person` 0 to 5."""
    present, future, _ = _stems(infinitive)
    if tense == "present":
        return present[person]
    if tense == "future":
        return future + _ENDINGS_FUTURE[person]
    if tense == "conditional":
        return future + _ENDINGS_IMPERFECT[person]
    stem = "ét" if infinitive == "être" else present[3][:-3]
    if person in (3, 4) and stem[-1:] == "e" and stem[-2:-1] == "g":  # mangeais, but mangions
        stem = stem[:-1]
    if person in (3, 4) and stem.endswith("ç"):
        stem = stem[:-1] + "c"
    return stem + _ENDINGS_IMPERFECT[person]


@cache
def participle(infinitive: str, feminine: bool, plural: bool) -> str:
    """Return the past participle that agrees in gender and number."""
    form = _stems(infinitive)[2]
    if infinitive == "devoir" and (feminine or plural):
        form = "du"
    if feminine:
        form += "e"
    return form + "s" if plural and not form.endswith("s") else form


def auxiliary(infinitive: str, pronominal: bool) -> str:
    """Return "être" for verbs of motion and pronominal verbs, else "avoir"."""
    return "être" if pronominal or infinitive in french_tables().with_etre else "avoir"


def agree(adjective: Adjective, feminine: bool, plural: bool) -> str:
    """Return the adjective that agrees in gender and number, as it stands after its noun."""
    return adjective.french[2 * plural + feminine]


_POSSESSIVES = {
    "my": ("mon", "ma", "mes"), "his": ("son", "sa", "ses"), "her": ("son", "sa", "ses"), "its": ("son", "sa", "ses"),
    "our": ("notre", "notre", "nos"), "your": ("votre", "votre", "vos"), "their": ("leur", "leur", "leurs"),
}  # fmt: skip
_DEMONSTRATIVES = frozenset({"this", "that", "these", "those"})


@cache
def determiner(english: str, preposition: str, feminine: bool, plural: bool, vowel: bool) -> tuple[str, ...]:
    """Return the French determiner for an English one, fused with `preposition` ("de", "à", another, or empty).

    `english` is the, a, some, any (after a negation: de), this, a possessive, or empty. `vowel` says whether the next
    word begins with a vowel sound.
    """
    before = (preposition,) if preposition else ()
    if english == "the":
        if plural:
            return {"de": ("des",), "à": ("aux",)}.get(preposition, (*before, "les"))
        if vowel:
            return (*before, "l'")
        if feminine:
            return (*before, "la")
        return {"de": ("du",), "à": ("au",)}.get(preposition, (*before, "le"))
    if english == "a":
        return (*before, "une" if feminine else "un")
    if english == "some":
        return determiner("the", "de", feminine, plural, vowel)
    if english == "any":
        return ("d'" if vowel else "de",)
    if english in _DEMONSTRATIVES:
        return (*before, "ces" if plural else "cette" if feminine else "cet" if vowel else "ce")
    if english in _POSSESSIVES:
        masculine, feminine_form, plural_form = _POSSESSIVES[english]
        singular = feminine_form if feminine and not vowel else masculine
        return (*before, plural_form if plural else singular)
    return before
