"""Draw words at random and write them into a sentence: what every template works with.

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

ANYBODY = ("I", "I", "you", "you", "he", "she", "we", "they")
# Persons for the rarer tenses: few, so that every form is met often enough to be learned.
FEW = ("I", "I", "you", "he", "she")
FEWER = ("I", "he", "she")
_SINGLE = frozenset(["mother", "father", "transport", "settlement", "town", "home", "sight", "way", "indoor"])
_CHILDREN = frozenset({"boy", "girl", "child"})
POSSESSIVES = ("my", "my", "your", "his", "her", "our", "their")
_OF_PERSON = {"I": "my", "you": "your", "he": "his", "she": "her", "we": "our", "they": "their"}


class Draft(Sentence):
    """Write one sentence at random: draw entries, note them as content, and append their phrases."""

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

    def noun(self, tag: str) -> Noun:
        """Draw a noun with the tag, one not yet in the sentence where there is a choice, and note it."""
        return self.new(self.lexicon.nouns_by_tag[tag])

    def object_of(self, verb: Verb) -> Noun:
        """Draw a noun that the verb takes, one not yet in the sentence where there is a choice, and note it."""
        return self.new(self.lexicon.objects_of[verb.lemma])

    def new(self, choices: Sequence[Noun]) -> Noun:
        """Draw and note a noun that is new to the sentence; children have no daughters and sons."""
        young = bool(_CHILDREN.intersection(self.content))
        noun = self.choose(choices)
        while len(choices) > 1 and (noun.lemma in self.content or (young and "offspring" in noun.tags)):
            noun = self.choose(choices)
        self.content.append(noun.lemma)
        return noun

    def clothes(self, wearer: Agreement) -> Noun:
        """Draw and note what the wearer may have on: dresses and skirts are for women here."""
        noun = self.noun("clothes")
        while "ladies" in noun.tags and not wearer.feminine:
            self.content.pop()
            noun = self.noun("clothes")
        return noun

    def verb(self, *lemmas: str) -> Verb:
        """Draw one of the verbs and note it."""
        verb = self.lexicon.verbs[self.choose(lemmas)]
        self.content.append(verb.lemma)
        return verb

    def adjective_of(self, noun: Noun, *, predicative: bool = False) -> Adjective | None:
        """Draw and note an adjective that can stand beside the noun (or behind "be"), or None if there is none."""
        choices = (self.lexicon.adjectives_of if predicative else self.lexicon.attributes_of)[noun.lemma]
        if not choices:
            return None
        adjective = self.choose(choices)
        if adjective.lemma in self.content or (adjective.lemma == "clean" and "wash" in self.content):
            return None  # not "clean the clean garage"
        self.content.append(adjective.lemma)
        return adjective

    def countable(self, noun: Noun) -> bool:
        """Say whether the plural of the noun is everyday language: not for places, and nobody has two mothers."""
        return bool(noun.plural) and not noun.tags & _SINGLE

    # -- writing -----------------------------------------------------------------------------------------

    def phrase(
        self, noun: Noun, determiner: str = "the", plural: bool = False, adjective: Adjective | None = None,
        number: str = "", prepositions: tuple[str, str] = ("", ""),
    ) -> Agreement:  # fmt: skip
        """Write a noun phrase and return what agrees with it.

        A French preposition without an English one ("enter" -> "entrer dans") is linked to the verb before it.
        """
        start = len(self.french_masks)
        shift = self.add(noun_phrase(noun, determiner, plural, adjective, number, prepositions))
        if prepositions[1] and not prepositions[0]:
            for index in range(start, len(self.french_masks)):
                if self.french_masks[index] & (PREPOSITION << shift):
                    self.french_masks[index] |= self._verb_mask
        return Agreement(5 if plural else 2, noun.feminine, plural, NOUN << shift)

    def owned(self, owner: Noun, determiner: str, noun: Noun, plural: bool = False) -> Agreement:
        """Write "my brother's car" and return what agrees with the car."""
        shift = self.add(owned_phrase(owner, determiner, noun, plural))
        return Agreement(5 if plural else 2, noun.feminine, plural, NOUN << shift)

    def pronoun(self, name: str) -> Agreement:
        """Write a personal pronoun of the first, second or third person that has no antecedent in the sentence."""
        english, french, agreement = PRONOUNS[name]
        self.both(english, french)
        self.possessive = _OF_PERSON[name]
        self._speaker = name
        return agreement

    def refer_back(self, antecedent: Agreement, english: str = "") -> Agreement:
        """Write the pronoun that stands for `antecedent` as a subject: it, he, she, they."""
        if not english:
            english = "they" if antecedent.plural else "it"
        french = ("elle" if antecedent.feminine else "il") + ("s" if antecedent.plural else "")
        self.refer(self.both(english, french), antecedent.mask)
        return antecedent

    def again(self, subject: Agreement) -> Agreement:
        """Write the subject a second time: the same pronoun, or the one that stands for the person named."""
        if self._speaker:
            return self.pronoun(self._speaker)
        english = "they" if subject.plural else "she" if subject.feminine else "he"
        return self.refer_back(subject, english)

    def someone(self, plural_share: float = 0.2, pronouns: Sequence[str] = ANYBODY) -> Agreement:
        """Write a person as a subject: one of the pronouns, a relative or somebody else; sets `possessive`."""
        drawn = self._random()
        if drawn < 0.35:
            return self.pronoun(self.choose(pronouns))
        return self.named_person("kin" if drawn < 0.7 else "someone", plural_share)

    def named_person(self, tag: str, plural_share: float = 0.2) -> Agreement:
        """Write "my sister", "the young doctor", "the children"; sets `possessive` to match the person."""
        noun = self.noun(tag)
        plural = self.chance(plural_share) and self.countable(noun)
        adjective = None
        if "kin" in noun.tags:
            determiner = self.choose(POSSESSIVES)
        else:
            determiner = "the"
            if self.chance(0.25):
                adjective = self.adjective_of(noun)
        self._speaker = ""
        self.possessive = "their" if plural else "her" if noun.feminine else "his"
        return self.phrase(noun, determiner, plural, adjective)

    def act(
        self, verb: Verb, tense: str, subject: Agreement, negation: str = "", adverb: tuple[str, str] = ("", ""),
        clitic: str = "", earlier_object: Agreement | None = None,
    ) -> int:  # fmt: skip
        """Write a verb group in agreement with its subject and return the mask of its object pronoun."""
        plain = Agreement(subject.person, subject.feminine, subject.plural)
        earlier = earlier_object and Agreement(2, earlier_object.feminine, earlier_object.plural)
        group = verb_group(verb, tense, plain, negation, adverb, clitic, earlier)
        shift = self.begin(4)
        self.write_verb(shift, group.whole)
        return CLITIC << shift

    def write_verb(self, shift: int, fragment: Fragment) -> None:
        """Write (part of) a verb group; its meaning is what a preposition behind it will be linked to."""
        self.write_at(shift, fragment)
        self._verb_mask = LEXICAL << shift

    def infinitive(self, verb: Verb, subject: Agreement) -> None:
        """Write a bare infinitive with the subject's reflexive pronoun, if it needs one."""
        self.write_verb(self.begin(4), infinitive(verb, subject.person))

    def is_(self, tense: str, subject: Agreement, negation: str = "") -> None:
        """Write "be" in agreement with its subject."""
        self.add(to_be(tense, subject.person, negation).whole)

    def predicate(self, adjective: Adjective, subject: Agreement, degree: tuple[str, str] = ("", "")) -> int:
        """Write an adjective behind "be" and return the mask of the adjective."""
        return 1 << self.add(predicate(adjective, subject.feminine, subject.plural, degree))

    def word_for(self, english: str, mask: int) -> None:
        """Write an English word alone that is linked to the French words with `mask`, already written."""
        self.english.append(english)
        self.english_masks.append(mask)

    def french_word(self, french: str, mask: int) -> None:
        """Write a French word alone that is linked to the English words with `mask`."""
        self.french.append(french)
        self.french_masks.append(mask)

    def degree(self, adjective: Adjective) -> Phrase:
        """Draw an adverb of degree that suits the adjective: "too" only for what can be a fault."""
        if not adjective.comparative:
            return ("", "")
        degree = self.choose(DEGREES)
        return degree if degree[0] != "too" or adjective.lemma in FAULTS else DEGREES[0]

    def stop(self, mark: str = ".") -> None:
        """Write the final mark of both sides."""
        self.both(mark, mark)


@dataclass(frozen=True, slots=True)
class Template:
    """Name a sentence pattern, say how often it is drawn, and how it is written."""

    name: str
    weight: float
    write: Callable[[Draft], None]
