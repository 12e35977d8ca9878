"""Draw words at random and write them into a sentence. Every template uses this class.

Read next: the `templates_*.py`, then `corpus.py`.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pellucid.sample.lexicon import Adjective, Lexicon, Noun, Verb
from pellucid.sample.phrases import (
    CLITIC,
    LEXICAL,
    NOUN,
    PREPOSITION,
    PRONOUNS,
    infinitive,
    noun_phrase,
    owned_phrase,
    predicate,
    to_be,
    verb_group,
)
from pellucid.sample.sentence import Agreement, Fragment, Sentence
from pellucid.sample.vocabulary import DEGREES, FAULTS, Phrase

_Item = TypeVar("_Item")
_Entry = TypeVar("_Entry", Noun, Verb, Adjective)

ANYBODY = ("I", "I", "you", "you", "he", "she", "we", "they")
# Persons for the rarer tenses. There are few, so that each form occurs often enough in training.
FEW = ("I", "I", "you", "he", "she")
FEWER = ("I", "he", "she")
_SINGLE = frozenset(["mother", "father", "transport", "settlement", "town", "home", "sight", "way", "indoor"])
_CHILDREN = frozenset({"boy", "girl", "child"})
POSSESSIVES = ("my", "my", "your", "his", "her", "our", "their")
POSSESSIVE_OF = {"I": "my", "you": "your", "he": "his", "she": "her", "we": "our", "they": "their"}


class Draft(Sentence):
    """Write one sentence at random: draw lexicon entries, record them as content, and append their phrases.

    `possessive` is the possessive of the last person written as a subject.
    """

    __slots__ = ("_random", "_speaker", "_verb_mask", "content", "lexicon", "possessive")

    def __init__(self, lexicon: Lexicon, generator: random.Random) -> None:
        super().__init__()
        self.lexicon = lexicon
        self.content: list[str] = []
        self.possessive = "my"
        self._speaker = ""
        self._verb_mask = 0
        self._random = generator.random

    # -- drawing -----------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._random() < probability

    def choose(self, items: Sequence[_Item]) -> _Item:
        """Return one of the items."""
        return items[int(self._random() * len(items))]

    def record(self, entry: _Entry) -> _Entry:
        """Append the entry to the content of the sentence and return it."""
        self.content.append(entry.lemma)
        return entry

    def noun(self, tag: str) -> Noun:
        """Draw and record a noun with the tag; see `new`."""
        return self.new(self.lexicon.nouns_by_tag[tag])

    def named_noun(self, *lemmas: str) -> Noun:
        """Draw and record one of the nouns."""
        return self.record(self.lexicon.nouns[self.choose(lemmas)])

    def object_of(self, verb: Verb) -> Noun:
        """Draw and record a noun that the verb can take as its object; see `new`."""
        return self.new(self.lexicon.objects_of[verb.lemma])

    def new(self, choices: Sequence[Noun]) -> Noun:
        """Draw and record a noun that the sentence does not contain yet; children have no daughters and sons."""
        young = bool(_CHILDREN.intersection(self.content))
        noun = self.choose(choices)
        while len(choices) > 1 and (noun.lemma in self.content or (young and "offspring" in noun.tags)):
            noun = self.choose(choices)
        return self.record(noun)

    def several(self, verb: Verb) -> Noun:
        """Draw and record an object of the verb that can be counted, but no relatives."""
        noun = self.object_of(verb)
        while not self.countable(noun) or "kin" in noun.tags:
            self.content.pop()
            noun = self.object_of(verb)
        return noun

    def clothes(self, wearer: Agreement) -> Noun:
        """Draw and record clothes for the wearer: only women wear dresses and skirts here."""
        noun = self.noun("clothes")
        while "ladies" in noun.tags and not wearer.feminine:
            self.content.pop()
            noun = self.noun("clothes")
        return noun

    def verb(self, *lemmas: str) -> Verb:
        """Draw and record one of the verbs."""
        return self.record(self.lexicon.verbs[self.choose(lemmas)])

    def adjective(self, *lemmas: str) -> Adjective:
        """Draw and record one of the adjectives."""
        return self.record(self.lexicon.adjectives[self.choose(lemmas)])

    def attribute(self, noun: Noun, share: float) -> Adjective | None:
        """Draw and record, in this share of the calls, an adjective beside the noun; None if none fits."""
        return self._fitting(self.lexicon.attributes_of[noun.lemma]) if self.chance(share) else None

    def quality(self, noun: Noun) -> Adjective | None:
        """Draw and record an adjective that says something about the noun after "be"; None if none fits."""
        return self._fitting(self.lexicon.adjectives_of[noun.lemma])

    def _fitting(self, choices: Sequence[Adjective]) -> Adjective | None:
        if not choices:
            return None
        adjective = self.choose(choices)
        if adjective.lemma in self.content or (adjective.lemma == "clean" and "wash" in self.content):
            return None  # not "clean the clean garage"
        return self.record(adjective)

    def countable(self, noun: Noun) -> bool:
        """Return whether the plural of the noun is everyday language: not for places, and nobody has two mothers."""
        return bool(noun.plural) and not noun.tags & _SINGLE

    # -- writing -----------------------------------------------------------------------------------------

    def phrase(
        self, noun: Noun, determiner: str = "the", plural: bool = False, adjective: Adjective | None = None,
        number: str = "", prepositions: tuple[str, str] = ("", ""),
    ) -> Agreement:  # fmt: skip
        """Write a noun phrase and return its agreement.

        A French preposition without an English one ("enter" -> "entrer dans") is linked to the verb before it.
        """
        start = len(self.french_masks)
        shift = self.add(noun_phrase(noun, determiner, plural, adjective, number, prepositions))
        if prepositions[1] and not prepositions[0]:
            for index in range(start, len(self.french_masks)):
                if self.french_masks[index] & (PREPOSITION << shift):
                    self.french_masks[index] |= self._verb_mask
        return Agreement(5 if plural else 2, noun.feminine, plural, NOUN << shift)

    def owned(self, owner: Noun, determiner: str, noun: Noun) -> Agreement:
        """Write "my brother's car" and return the agreement of the car."""
        shift = self.add(owned_phrase(owner, determiner, noun))
        return Agreement(2, noun.feminine, False, NOUN << shift)

    def pronoun(self, name: str) -> Agreement:
        """Write a personal pronoun that has no antecedent in the sentence."""
        english, french, agreement = PRONOUNS[name]
        self.both(english, french)
        self.possessive = POSSESSIVE_OF[name]
        self._speaker = name
        return agreement

    def refer_back(self, antecedent: Agreement, english: str = "") -> Agreement:
        """Write the subject pronoun that refers to `antecedent`: it, he, she, they."""
        if not english:
            english = "they" if antecedent.plural else "it"
        french = ("elle" if antecedent.feminine else "il") + ("s" if antecedent.plural else "")
        self.refer(self.both(english, french), antecedent.mask)
        return antecedent

    def again(self, subject: Agreement) -> Agreement:
        """Write the subject a second time: the same pronoun, or one that refers to the person."""
        if self._speaker:
            return self.pronoun(self._speaker)
        english = "they" if subject.plural else "she" if subject.feminine else "he"
        return self.refer_back(subject, english)

    def someone(self, plural_share: float = 0.2, pronouns: Sequence[str] = ANYBODY) -> Agreement:
        """Write a person as the subject: a pronoun, a relative or another person; set `possessive`."""
        drawn = self._random()
        if drawn < 0.35:
            return self.pronoun(self.choose(pronouns))
        return self.named_person("kin" if drawn < 0.7 else "someone", plural_share)

    def named_person(self, tag: str, plural_share: float = 0.2) -> Agreement:
        """Write "my sister", "the young doctor", "the children"; set `possessive` to match the person."""
        noun = self.noun(tag)
        plural = self.chance(plural_share) and self.countable(noun)
        is_relative = "kin" in noun.tags
        determiner = self.choose(POSSESSIVES) if is_relative else "the"
        adjective = None if is_relative else self.attribute(noun, 0.25)
        self._speaker = ""
        self.possessive = "their" if plural else "her" if noun.feminine else "his"
        return self.phrase(noun, determiner, plural, adjective)

    def act(
        self, verb: Verb, tense: str, subject: Agreement, negation: str = "", adverb: tuple[str, str] = ("", ""),
        clitic: str = "", earlier_object: Agreement | None = None,
    ) -> int:  # fmt: skip
        """Write a verb group that agrees with its subject and return the mask of its object pronoun."""
        plain = subject._replace(mask=0)
        earlier = earlier_object and Agreement(2, earlier_object.feminine, earlier_object.plural)
        group = verb_group(verb, tense, plain, negation, adverb, clitic, earlier)
        shift = self.begin(4)
        self.write_verb(shift, group.whole)
        return CLITIC << shift

    def write_verb(self, shift: int, fragment: Fragment) -> None:
        """Write (part of) a verb group; a preposition after it will be linked to this verb."""
        self.write_at(shift, fragment)
        self._verb_mask = LEXICAL << shift

    def infinitive(self, verb: Verb, subject: Agreement) -> None:
        """Write a bare infinitive, with the reflexive pronoun of the subject if the verb needs one."""
        self.write_verb(self.begin(4), infinitive(verb, subject.person))

    def is_(self, tense: str, subject: Agreement, negation: str = "") -> None:
        """Write "be" so that it agrees with its subject."""
        self.add(to_be(tense, subject.person, negation).whole)

    def predicate(self, adjective: Adjective, subject: Agreement, degree: Phrase = ("", "")) -> None:
        """Write an adjective after "be"."""
        self.add(predicate(adjective, subject.feminine, subject.plural, degree))

    def describe(
        self, subject: Agreement, tense: str, adjective: Adjective, degree: Phrase = ("", ""), *, negation: str = ""
    ) -> None:
        """Write "is very wide", "weren't tired" after its subject."""
        self.is_(tense, subject, negation)
        self.predicate(adjective, subject, degree)

    def word_for(self, english: str, mask: int) -> None:
        """Write an English word and link it to the French words with `mask`, which are already written."""
        self.english.append(english)
        self.english_masks.append(mask)

    def french_word(self, french: str, mask: int) -> None:
        """Write a French word and link it to the English words with `mask`."""
        self.french.append(french)
        self.french_masks.append(mask)

    def degree(self, adjective: Adjective) -> Phrase:
        """Draw an adverb of degree for the adjective: "too" only for those in `FAULTS`."""
        if not adjective.comparative:
            return ("", "")
        degree = self.choose(DEGREES)
        return degree if degree[0] != "too" or adjective.lemma in FAULTS else DEGREES[0]


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence pattern; `weight` says how often it is drawn, `write` writes all of it but the final `mark`."""

    name: str
    weight: float
    write: Callable[[Draft], None]
    mark: str = "."
