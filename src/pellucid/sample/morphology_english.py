"""Inflect English: the verb with its auxiliaries, and the indefinite article.

Persons are numbered as in `morphology_french.py`, 0 to 5: I, (thou), he/she/it, we, you, they.
Read next: `phrases.py`.
"""

from functools import cache

from pellucid.sample.lexicon import Verb

_BE_PRESENT = ("am", "are", "is", "are", "are", "are")
_BE_PAST = ("was", "were", "was", "were", "were", "were")
_NEGATED = {
    "do": "don't", "does": "doesn't", "did": "didn't", "will": "won't", "is": "isn't", "are": "aren't",
    "was": "wasn't", "were": "weren't", "has": "hasn't", "have": "haven't", "can": "can't", "could": "couldn't",
    "must": "mustn't", "had": "hadn't", "would": "wouldn't",
}  # fmt: skip


def negated(auxiliary: str) -> str:
    """Return the contracted negative of an auxiliary ("am" takes a separate "not")."""
    return _NEGATED.get(auxiliary, auxiliary + " not")


def be(tense: str, person: int) -> str:
    """Return the form of "be" in the present or the past."""
    return (_BE_PRESENT if tense == "present" else _BE_PAST)[person]


@cache
def article(next_word: str) -> str:
    """Return "a" or "an", according to the first sound of the next word."""
    vowel = (next_word[0] in "aeiou" and not next_word.startswith(("uni", "use", "euro"))) or next_word == "honest"
    return "an" if vowel else "a"


@cache
def verb_words(verb: Verb, tense: str, person: int, support: bool) -> tuple[str, str]:
    """Return (auxiliary, main verb); the auxiliary is empty in the simple tenses without `support`.

    `support` adds do, does or did in the simple tenses, as negations and questions require.
    `tense` is present, past, future, progressive, past_progressive, perfect, pluperfect or conditional.
    """
    if tense == "present":
        third = person == 2
        return ("does" if third else "do", verb.base) if support else ("", verb.third if third else verb.base)
    if tense == "past":
        return ("did", verb.base) if support else ("", verb.past)
    if tense in ("progressive", "past_progressive"):
        return be("present" if tense == "progressive" else "past", person), verb.progressive
    if tense == "perfect":
        return ("has" if person == 2 else "have"), verb.participle
    if tense == "pluperfect":
        return "had", verb.participle
    return ("will" if tense == "future" else "would"), verb.base
