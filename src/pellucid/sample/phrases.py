"""Build the phrases of both languages: noun phrases, verb groups, pronouns, predicates.

Each function returns a cached `Fragment`; the constants at the top name the bits of its masks. Read next: `draft.py`,
which draws the words, and the `templates_*.py`, which combine the phrases into sentences.
"""

from functools import cache, lru_cache
from typing import NamedTuple

from pellucid.sample import morphology_english as english
from pellucid.sample import morphology_french as french
from pellucid.sample.lexicon import Adjective, Noun, Verb
from pellucid.sample.sentence import Agreement, Fragment, Words

# Bits of a noun phrase.
NOUN, DETERMINER, ADJECTIVE, NUMBER, PREPOSITION = 1, 2, 4, 8, 16
# Bits of a verb group.
LEXICAL, AUXILIARY, ADVERB, CLITIC = 1, 2, 4, 8

# Determiner kinds that differ between the languages: (English, French); the others name themselves.
_DETERMINERS = {
    "bare": ("", "some"),  # "flowers" -> "des fleurs", "water" -> "de l'eau"
    "generic": ("", "the"),  # "flowers" -> "les fleurs" in general
    "none": ("", ""),
    "not a": ("a", "any"),  # after a negation: "a car" -> "de voiture"
    "any": ("any", "any"),
    "bare any": ("", "any"),  # after a negation: "drinks milk" -> "de lait"
}

NUMBERS = (
    ("two", "deux"), ("three", "trois"), ("four", "quatre"), ("five", "cinq"), ("six", "six"), ("seven", "sept"),
    ("eight", "huit"), ("nine", "neuf"), ("ten", "dix"), ("twelve", "douze"), ("fifteen", "quinze"),
    ("twenty", "vingt"),
)  # fmt: skip
_FRENCH_NUMBERS = dict(NUMBERS)

PRONOUNS = {
    "I": ("I", "je", Agreement(0, False, False)),
    "you": ("you", "vous", Agreement(4, False, False)),
    "he": ("he", "il", Agreement(2, False, False)),
    "she": ("she", "elle", Agreement(2, True, False)),
    "we": ("we", "nous", Agreement(3, False, True)),
    "they": ("they", "ils", Agreement(5, False, True)),
}

# French tense, and whether it is compound, for each English one.
_TENSES = {
    "present": ("present", False),
    "progressive": ("present", False),
    "past": ("present", True),
    "perfect": ("present", True),
    "past_state": ("imperfect", False),
    "past_progressive": ("imperfect", False),
    "pluperfect": ("imperfect", True),
    "still_going_on": ("present", False),  # "has lived here for ten years" -> "habite ici depuis dix ans"
    "future": ("future", False),
    "conditional": ("conditional", False),
}


@lru_cache(maxsize=100_000)
def noun_phrase(
    noun: Noun, determiner: str = "the", plural: bool = False, adjective: Adjective | None = None,
    number: str = "", prepositions: tuple[str, str] = ("", ""),
) -> Fragment:  # fmt: skip
    """Return a noun phrase, with an optional preposition in English, French or both ("de" fuses: du, des).

    `determiner` is the, a, this, some, a possessive, or a key of `_DETERMINERS`.
    """
    english_determiner, french_determiner = _DETERMINERS.get(determiner, (determiner, determiner))
    noun_words = tuple((noun.french_plural if plural else noun.french).split())
    precedes = adjective is not None and adjective.precedes
    following = [(noun.plural if plural else noun.lemma, NOUN)]
    french_words = [(word, NOUN) for word in noun_words]
    if adjective is not None:
        following.insert(0, (adjective.lemma, ADJECTIVE))
        french_adjective = french.agree(adjective, noun.feminine, plural)
        if precedes and not plural and not noun.feminine and french.begins_with_vowel(noun_words[0]):
            french_adjective = adjective.prevocalic
        french_words.insert(0 if precedes else len(french_words), (french_adjective, ADJECTIVE))
    if number:
        following.insert(0, (number, NUMBER))
        french_words.insert(0, (_FRENCH_NUMBERS[number], NUMBER))
    if english_determiner == "a":
        english_determiner = english.article(following[0][0])
    elif english_determiner == "this" and plural:
        english_determiner = "these"
    if french_determiner == "some" and plural and precedes:
        french_determiner = "any"  # de belles fleurs, not des
    mark = DETERMINER if english_determiner else NOUN
    vowel = french.begins_with_vowel(french_words[0][0])
    french_head = _french_head(french_determiner, prepositions[1], mark, (noun.feminine, plural, vowel))
    english_head = [(word, PREPOSITION) for word in prepositions[0].split()]
    if english_determiner:
        english_head.append((english_determiner, DETERMINER))
    return Fragment((*english_head, *following), (*french_head, *french_words), 5)


def _french_head(determiner: str, preposition: str, mark: int, shape: tuple[bool, bool, bool]) -> list[tuple[str, int]]:
    """Return the French preposition and determiner; only the last word of the preposition can fuse."""
    *lead, last = preposition.split() or [""]
    words = french.determiner(determiner, last, *shape)
    marked = [(word, PREPOSITION) for word in lead]
    if last and len(words) == 1:
        return [*marked, (words[0], PREPOSITION | mark if determiner else PREPOSITION)]
    if last:
        return [*marked, (words[0], PREPOSITION), *((word, mark) for word in words[1:])]
    return [*marked, *((word, mark) for word in words)]


@lru_cache(maxsize=100_000)
def owned_phrase(owner: Noun, determiner: str, noun: Noun) -> Fragment:
    """Return "my brother's car" -> "la voiture de mon frère"; the owner's bits are those of a noun phrase times 32."""
    possessor = noun_phrase(owner, determiner, prepositions=("", "de"))
    thing = noun_phrase(noun, "the")
    english_owner, french_owner = (
        tuple((word, mask << 5) for word, mask in words) for words in (possessor.english, possessor.french)
    )
    # "'s" translates "de" and replaces the article of the thing.
    possessive = ("'s", (PREPOSITION << 5) | DETERMINER)
    return Fragment((*english_owner, possessive, *thing.english[1:]), thing.french + french_owner, 10)


class VerbGroup(NamedTuple):
    """Hold a verb group in two parts: an English question puts its subject between them."""

    auxiliary: Fragment
    rest: Fragment

    @property
    def whole(self) -> Fragment:
        """Return the group in one part, for a statement."""
        return Fragment(self.auxiliary.english + self.rest.english, self.rest.french, self.rest.width)


@lru_cache(maxsize=100_000)
def verb_group(
    verb: Verb, tense: str, subject: Agreement, negation: str = "", adverb: tuple[str, str] = ("", ""),
    clitic: str = "", earlier_object: Agreement | None = None, question: bool = False,
) -> VerbGroup:  # fmt: skip
    """Return a verb group; clear the masks of `subject` and `earlier_object`, so that the cache can be used.

    `negation` is "", "not" (ne ... pas) or "never" (ne ... jamais). `adverb` comes before the English main verb and
    after the French finite verb. `clitic` is a French object pronoun. `earlier_object` is an object that precedes the
    verb: a participle with avoir agrees with it.
    """
    english_tense = {"past_state": "past", "still_going_on": "perfect"}.get(tense, tense)
    support = question or negation == "not"
    helper, main = english.verb_words(verb, english_tense, subject.person, support)
    tensed = helper not in ("", "do", "does", "did")
    if negation == "not":
        helper = english.negated(helper)
    main_mask = LEXICAL if helper else LEXICAL | AUXILIARY
    rest = [(word, AUXILIARY) for word in (["never"] if negation == "never" else [])]
    rest += [(word, ADVERB) for word in adverb[0].split()]
    rest.append((main, main_mask))
    if verb.particle:
        rest.append((verb.particle, LEXICAL))
    auxiliary = tuple((word, AUXILIARY) for word in helper.split())
    words = _french_verb(verb, tense, subject, negation, adverb[1], clitic, earlier_object, tensed or not helper)
    return VerbGroup(Fragment(auxiliary, (), 4), Fragment(tuple(rest), tuple(words), 4))


def _french_verb(
    verb: Verb, tense: str, subject: Agreement, negation: str, adverb: str, clitic: str,
    earlier_object: Agreement | None, tensed: bool,
) -> list[tuple[str, int]]:  # fmt: skip
    """Return the words of the French verb group: ne, pronouns, finite verb, pas, adverb, participle."""
    french_tense, compound = _TENSES[tense]
    words = [("ne", AUXILIARY)] if negation else []
    if verb.pronominal:
        words.append((french.REFLEXIVE[subject.person], LEXICAL))
    if clitic:
        words.append((clitic, CLITIC))
    helper = french.auxiliary(verb.french, verb.pronominal)
    finite = french.conjugate(helper if compound else verb.french, french_tense, subject.person)
    words.append((finite, AUXILIARY if compound else LEXICAL | AUXILIARY if tensed else LEXICAL))
    if negation:
        words.append(("jamais" if negation == "never" else "pas", AUXILIARY))
    words += [(word, ADVERB) for word in adverb.split()]
    if compound:
        agreeing = subject if helper == "être" else earlier_object
        form = french.participle(verb.french, agreeing.feminine, agreeing.plural) if agreeing else (
            french.participle(verb.french, False, False)
        )  # fmt: skip
        words.append((form, LEXICAL))
    return words


def _not(negation: str, finite: str) -> Words:
    """Return a French finite verb, between ne and pas if it is negated."""
    return (("ne", AUXILIARY), (finite, LEXICAL), ("pas", AUXILIARY)) if negation else ((finite, LEXICAL),)


@cache
def to_be(tense: str, person: int, negation: str = "") -> VerbGroup:
    """Return "be" -> être in the present or the past (imperfect)."""
    form = english.be(tense, person)
    helper = english.negated(form) if negation else form
    words = _not(negation, french.conjugate("être", "imperfect" if tense == "past" else tense, person))
    auxiliary = tuple((word, LEXICAL | AUXILIARY) for word in helper.split())
    return VerbGroup(Fragment(auxiliary, (), 2), Fragment((), words, 2))


@cache
def predicate(adjective: Adjective, feminine: bool, plural: bool, degree: tuple[str, str] = ("", "")) -> Fragment:
    """Return a predicative adjective with an optional adverb of degree ("too", "trop")."""
    left = [(word, 2) for word in degree[0].split()] + [(adjective.lemma, 1)]
    right = [(word, 2) for word in degree[1].split()] + [(french.agree(adjective, feminine, plural), 1)]
    return Fragment(tuple(left), tuple(right), 2)


@cache
def infinitive(verb: Verb, person: int) -> Fragment:
    """Return a bare infinitive ("cross" -> "traverser"); the reflexive pronoun agrees with the person."""
    left = [(word, LEXICAL) for word in (verb.base, verb.particle) if word]
    right = [(french.REFLEXIVE[person], LEXICAL)] if verb.pronominal else []
    return Fragment(tuple(left), (*right, (verb.french, LEXICAL)), 4)


@cache
def modal(name: str, person: int, negation: str = "") -> VerbGroup:
    """Return can, could (imperfect) or must -> pouvoir, devoir."""
    verb, tense = "devoir" if name == "must" else "pouvoir", "imperfect" if name == "could" else "present"
    words = _not(negation, french.conjugate(verb, tense, person))
    helper = english.negated(name) if negation else name
    return VerbGroup(Fragment(((helper, LEXICAL | AUXILIARY),), (), 2), Fragment((), words, 2))


@cache
def going_to(verb: Verb, person: int) -> Fragment:
    """Return "is going to cross" -> "va traverser"."""
    left = ((english.be("present", person), 16), ("going", 16), ("to", 16))
    right = ((french.conjugate("aller", "present", person), 16),)
    bare = infinitive(verb, person)
    return Fragment(left + bare.english, right + bare.french, 5)


@cache
def request(verb: Verb, negation: str = "") -> Fragment:
    """Return the polite imperative: "close" -> "fermez", "don't forget" -> "n'oubliez pas"."""
    left = (("don't", AUXILIARY),) if negation else ()
    words = _not(negation, french.conjugate(verb.french, "present", 4))
    return Fragment(left + infinitive(verb, 4).english, words, 4)


@cache
def superlative_phrase(noun: Noun, adjective: Adjective) -> Fragment:
    """Return "the most expensive dress" -> "la robe la plus chère", "the biggest bed" -> "le plus grand lit"."""
    comparative = adjective.comparative
    if comparative.startswith("more "):
        superlative = [("most", NUMBER), (comparative[5:], ADJECTIVE)]
    else:
        superlative = [(comparative[:-1] + "st", NUMBER | ADJECTIVE)]
    left = (("the", DETERMINER), *superlative, (noun.lemma, NOUN))
    article = "la" if noun.feminine else "le"
    nouns = [(word, NOUN) for word in noun.french.split()]
    most = [(article, DETERMINER), ("plus", NUMBER), (french.agree(adjective, noun.feminine, False), ADJECTIVE)]
    if adjective.precedes:
        if not noun.feminine and french.begins_with_vowel(noun.french):
            most[-1] = (adjective.prevocalic, ADJECTIVE)
        return Fragment(left, (*most, *nouns), 5)
    return Fragment(left, ((article, DETERMINER), *nouns, *most), 5)
