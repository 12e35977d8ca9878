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
    NOUN,
    PRONOUNS,
    noun_phrase,
    owned_phrase,
    predicate,
    to_be,
    verb_group,
)  # fmt: skip
from pellucid.sample.sentence import Agreement, Sentence

_Item = TypeVar("_Item")

_PERSON_PRONOUNS = ("I", "I", "you", "you", "he", "she", "we", "they")
POSSESSIVES = ("my", "my", "your", "his", "her", "our", "their")
_OF_PERSON = {"I": "my", "you": "your", "he": "his", "she": "her", "we": "our", "they": "their"}


class Draft(Sentence):
    """Write one sentence at random: draw entries, note them as content, and append their phrases."""

    __slots__ = ("_random", "_speaker", "content", "lexicon", "possessive")

    def __init__(self, lexicon: Lexicon, generator: random.Random) -> None:
        super().__init__()
        self.lexicon = lexicon
        self.content: list[str] = []
        self.possessive = "my"
        self._speaker = ""
        self._random = generator.random

    # -- drawing -----------------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._random() < probability

    def choose(self, items: Sequence[_Item]) -> _Item:
        """Return one of the items."""
        return items[int(self._random() * len(items))]

    def noun(self, tag: str) -> Noun:
        """Draw a noun with the tag and note it."""
        noun = self.choose(self.lexicon.nouns_by_tag[tag])
        self.content.append(noun.lemma)
        return noun

    def object_of(self, verb: Verb) -> Noun:
        """Draw a noun that the verb takes and note it."""
        noun = self.choose(self.lexicon.objects_of[verb.lemma])
        self.content.append(noun.lemma)
        return noun

    def verb(self, *lemmas: str) -> Verb:
        """Draw one of the verbs and note it."""
        verb = self.lexicon.verbs[self.choose(lemmas)]
        self.content.append(verb.lemma)
        return verb

    def adjective_of(self, noun: Noun) -> Adjective | None:
        """Draw and note an adjective that makes sense with the noun, or None if there is none."""
        choices = self.lexicon.adjectives_of[noun.lemma]
        if not choices:
            return None
        adjective = self.choose(choices)
        self.content.append(adjective.lemma)
        return adjective

    # -- writing -----------------------------------------------------------------------------------------

    def phrase(
        self, noun: Noun, determiner: str = "the", plural: bool = False, adjective: Adjective | None = None,
        number: str = "", prepositions: tuple[str, str] = ("", ""),
    ) -> Agreement:  # fmt: skip
        """Write a noun phrase and return what agrees with it."""
        shift = self.add(noun_phrase(noun, determiner, plural, adjective, number, prepositions))
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

    def someone(self, plural_share: float = 0.2) -> Agreement:
        """Write a person as a subject: a pronoun, a relative or somebody else; sets `possessive` to match."""
        drawn = self._random()
        if drawn < 0.35:
            return self.pronoun(self.choose(_PERSON_PRONOUNS))
        return self.named_person("kin" if drawn < 0.7 else "someone", plural_share)

    def named_person(self, tag: str, plural_share: float = 0.2) -> Agreement:
        """Write "my sister", "the young doctor", "the children"; sets `possessive` to match the person."""
        noun = self.noun(tag)
        plural = self.chance(plural_share)
        adjective = None
        if tag == "kin":
            determiner = self.choose(POSSESSIVES)
        else:
            determiner = "the"
            if self.chance(0.25):
                adjective = self.adjective_of(noun)
        if plural and noun.lemma in ("mother", "father"):
            plural = False
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
        return CLITIC << self.add(group.whole)

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

    def stop(self, mark: str = ".") -> None:
        """Write the final mark of both sides."""
        self.both(mark, mark)


@dataclass(frozen=True, slots=True)
class Template:
    """Name a sentence pattern, say how often it is drawn, and how it is written."""

    name: str
    weight: float
    write: Callable[[Draft], None]
