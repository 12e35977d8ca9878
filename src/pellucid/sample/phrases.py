"""Make the phrases of both languages: noun phrases, verb groups, pronouns, predicates.

Each function returns a cached `Fragment`; the bits of its masks are named at the top. Read next: `draft.py`, which
draws the words, and the `templates_*.py`, which put the phrases together.
"""

from functools import cache, lru_cache
from typing import NamedTuple

from pellucid.sample import morphology_english as english
from pellucid.sample import morphology_french as french
from pellucid.sample.lexicon import Adjective, Noun, Verb
from pellucid.sample.sentence import Agreement, Fragment

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
    """Make a noun phrase, with an English and a French preposition if given ("of", "de" fuses: du, des).

    `determiner` is the, a, this, some, a possessive, or one of the kinds that differ between the languages.
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
    before, after = [], _french_head(french_determiner, prepositions[1], mark, (noun.feminine, plural, vowel))
    before += [(word, PREPOSITION) for word in prepositions[0].split()]
    if english_determiner:
        before.append((english_determiner, DETERMINER))
    return _fragment(before + following, after + french_words, 5)


def _french_head(determiner: str, preposition: str, mark: int, shape: tuple[bool, bool, bool]) -> list[tuple[str, int]]:
    """Return preposition and determiner; only the last word of the preposition can fuse."""
    *lead, last = preposition.split() or [""]
    words = french.determiner(determiner, last, *shape)
    marked = [(word, PREPOSITION) for word in lead]
    if last and len(words) == 1:
        return [*marked, (words[0], PREPOSITION | mark if determiner else PREPOSITION)]
    if last:
        return [*marked, (words[0], PREPOSITION), *((word, mark) for word in words[1:])]
    return [*marked, *((word, mark) for word in words)]


def _fragment(left: list[tuple[str, int]], right: list[tuple[str, int]], width: int) -> Fragment:
    return Fragment(
        tuple(word for word, _ in left), tuple(mask for _, mask in left),
        tuple(word for word, _ in right), tuple(mask for _, mask in right), width,
    )  # fmt: skip


@lru_cache(maxsize=100_000)
def owned_phrase(
    owner: Noun, determiner: str, noun: Noun, plural: bool = False, prepositions: tuple[str, str] = ("", "")
) -> Fragment:
    """Make "my brother's car" -> "la voiture de mon frère"; the bits of the owner lie five above those of the noun."""
    possessor = noun_phrase(owner, determiner, prepositions=("", "de"))
    thing = noun_phrase(noun, "the", plural, prepositions=prepositions)
    leading = len(prepositions[0].split())
    # The English article of the thing is gone: "'s" stands for it and for "de".
    left = [*zip(thing.english[:leading], thing.english_masks[:leading], strict=True)]
    left += [(word, mask << 5) for word, mask in zip(possessor.english, possessor.english_masks, strict=True)]
    left.append(("'s", (PREPOSITION << 5) | DETERMINER))
    left += [*zip(thing.english[leading + 1 :], thing.english_masks[leading + 1 :], strict=True)]
    right = [*zip(thing.french, thing.french_masks, strict=True)]
    right += [(word, mask << 5) for word, mask in zip(possessor.french, possessor.french_masks, strict=True)]
    return _fragment(left, right, 10)


class VerbGroup(NamedTuple):
    """Hold a verb group cut at the place where an English question puts its subject."""

    auxiliary: Fragment
    rest: Fragment

    @property
    def whole(self) -> Fragment:
        """Return the group in one piece, as statements have it."""
        return Fragment(
            self.auxiliary.english + self.rest.english,
            self.auxiliary.english_masks + self.rest.english_masks,
            self.rest.french,
            self.rest.french_masks,
            self.rest.width,
        )


@lru_cache(maxsize=100_000)
def verb_group(
    verb: Verb, tense: str, subject: Agreement, negation: str = "", adverb: tuple[str, str] = ("", ""),
    clitic: str = "", earlier_object: Agreement | None = None, question: bool = False,
) -> VerbGroup:  # fmt: skip
    """Make a verb group; call it with the mask of `subject` cleared so that the cache can help.

    `negation` is "", "not" (ne ... pas) or "never" (ne ... jamais); `adverb` stands before the English main word and
    behind the French finite verb; `clitic` is a French object pronoun; `earlier_object` is what a participle with
    avoir agrees with, when that object comes first.
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
    auxiliary = [(word, AUXILIARY) for word in helper.split()]
    words = _french_verb(verb, tense, subject, negation, adverb[1], clitic, earlier_object, tensed or not helper)
    return VerbGroup(_fragment(auxiliary, [], 4), _fragment(rest, words, 4))


def _french_verb(
    verb: Verb, tense: str, subject: Agreement, negation: str, adverb: str, clitic: str,
    earlier_object: Agreement | None, tensed: bool,
) -> list[tuple[str, int]]:  # fmt: skip
    """Return the words of the French verb group: ne, pronouns, finite verb, pas, adverb, participle."""
    french_tense, compound = _TENSES[tense]
    words = [("ne", AUXILIARY)] if negation else []
    if verb.pronominal:
        words.append((french.reflexive(subject.person), LEXICAL))
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


@cache
def to_be(tense: str, person: int, negation: str = "", question: bool = False) -> VerbGroup:
    """Make "be" -> être: present, past (imperfect) or future."""
    helper, rest = ("will", [("be", LEXICAL)]) if tense == "future" else (english.be(tense, person), [])
    if negation == "not":
        helper = english.negated(helper)
    words = [("ne", AUXILIARY)] if negation else []
    french_tense = "imperfect" if tense == "past" else tense
    words.append((french.conjugate("être", french_tense, person), LEXICAL))
    if negation:
        words.append(("pas", AUXILIARY))
    auxiliary = [(word, LEXICAL | AUXILIARY) for word in helper.split()]
    return VerbGroup(_fragment(auxiliary, [], 2), _fragment(rest, words, 2))


@cache
def predicate(adjective: Adjective, feminine: bool, plural: bool, degree: tuple[str, str] = ("", "")) -> Fragment:
    """Make a predicative adjective with an optional adverb of degree ("too", "trop")."""
    left = [(word, 2) for word in degree[0].split()] + [(adjective.lemma, 1)]
    right = [(word, 2) for word in degree[1].split()] + [(french.agree(adjective, feminine, plural), 1)]
    return _fragment(left, right, 2)


@cache
def infinitive(verb: Verb, person: int = 2, clitic: str = "") -> Fragment:
    """Make a bare infinitive ("cross" -> "traverser"); the reflexive pronoun follows the person."""
    left = [(verb.base, LEXICAL)] + ([(verb.particle, LEXICAL)] if verb.particle else [])
    right = [(french.reflexive(person), LEXICAL)] if verb.pronominal else []
    if clitic:
        right.append((clitic, CLITIC))
    right.append((verb.french, LEXICAL))
    return _fragment(left, right, 4)


@cache
def modal(name: str, person: int, negation: str = "") -> VerbGroup:
    """Make can, could (imperfect) or must -> pouvoir, devoir."""
    verb, tense = {"can": ("pouvoir", "present"), "could": ("pouvoir", "imperfect"), "must": ("devoir", "present")}[
        name
    ]
    words = [("ne", AUXILIARY)] if negation else []
    words.append((french.conjugate(verb, tense, person), LEXICAL))
    if negation:
        words.append(("pas", AUXILIARY))
    helper = english.negated(name) if negation else name
    return VerbGroup(_fragment([(helper, LEXICAL | AUXILIARY)], [], 2), _fragment([], words, 2))


@cache
def going_to(verb: Verb, person: int) -> Fragment:
    """Make "is going to cross" -> "va traverser"."""
    left = [(english.be("present", person), 16), ("going", 16), ("to", 16)]
    right = [(french.conjugate("aller", "present", person), 16)]
    bare = infinitive(verb, person)
    left += zip(bare.english, bare.english_masks, strict=True)
    right += zip(bare.french, bare.french_masks, strict=True)
    return _fragment(left, right, 5)


@cache
def request(verb: Verb, negation: str = "") -> Fragment:
    """Make the imperative, polite: "close" -> "fermez", "don't forget" -> "n'oubliez pas"."""
    left = [("don't", AUXILIARY)] if negation else []
    left.append((verb.base, LEXICAL))
    if verb.particle:
        left.append((verb.particle, LEXICAL))
    words = [("ne", AUXILIARY)] if negation else []
    words.append((french.conjugate(verb.french, "present", 4), LEXICAL))
    if negation:
        words.append(("pas", AUXILIARY))
    return _fragment(left, words, 4)


@cache
def superlative_phrase(noun: Noun, adjective: Adjective) -> Fragment:
    """Make "the most expensive dress" -> "la robe la plus chère", "the biggest bed" -> "le plus grand lit"."""
    comparative = adjective.comparative
    if comparative.startswith("more "):
        left = [("the", DETERMINER), ("most", NUMBER), (comparative[5:], ADJECTIVE), (noun.lemma, NOUN)]
    else:
        left = [("the", DETERMINER), (comparative[:-1] + "st", NUMBER | ADJECTIVE), (noun.lemma, NOUN)]
    article = "la" if noun.feminine else "le"
    nouns = [(word, NOUN) for word in noun.french.split()]
    most = [(article, DETERMINER), ("plus", NUMBER), (french.agree(adjective, noun.feminine, False), ADJECTIVE)]
    if adjective.precedes:
        if not noun.feminine and french.begins_with_vowel(noun.french):
            most[-1] = (adjective.prevocalic, ADJECTIVE)
        return _fragment(left, most + nouns, 5)
    return _fragment(left, [(article, DETERMINER), *nouns, *most], 5)
