"""Write statements with be and have: trades, places, qualities, comparisons, ages, prices.

The docstring of each template function is a sentence that it can write. Read next: `templates_clauses.py`.
"""

from pellucid.sample.draft import POSSESSIVES, Draft, Template
from pellucid.sample.lexicon import Adjective, Noun
from pellucid.sample.morphology_english import article, be, negated
from pellucid.sample.morphology_french import agree
from pellucid.sample.phrases import NUMBERS, superlative_phrase
from pellucid.sample.sentence import Agreement
from pellucid.sample.vocabulary import AND, BUT, TODAY, WEEKDAYS, Phrase

_ON_FURNITURE: tuple[Phrase, ...] = (
    ("on", "sur"), ("under", "sous"), ("behind", "derrière"), ("next to", "à côté de"), ("near", "près de"),
)  # fmt: skip
_AT_BUILDINGS: tuple[Phrase, ...] = (
    ("in front of", "devant"), ("behind", "derrière"), ("next to", "à côté de"), ("near", "près de"),
)  # fmt: skip
_COMPARED = ("vehicle", "transport", "clothes", "furniture", "show", "readable", "game", "town", "settlement",
             "sibling", "animal", "matter", "machine")  # fmt: skip
_COMPARATIVES = frozenset({
    "bigger", "smaller", "older", "longer", "faster", "slower", "heavier", "easier", "dirtier", "cleaner", "prettier",
    "more beautiful", "more expensive", "more interesting", "more boring", "more difficult", "more important",
    "more modern", "more comfortable", "more dangerous", "more patient", "more stubborn", "more nervous", "more tired",
})  # fmt: skip
_SUPERLATIVES = (
    ("clothes", "shop"), ("furniture", "house"), ("town", "city"), ("readable", "library"),
    ("machine", "shop"), ("matter", "book"),
)  # fmt: skip
_STATES = frozenset({
    "clean", "dirty", "dark", "delicious", "fresh", "tired", "lazy", "nervous", "sick", "impatient", "happy", "sad",
    "worried", "surprised", "scared", "slow", "full", "spicy", "curious", "proud", "stubborn", "shy",
})  # fmt: skip
_LATELY: tuple[Phrase, ...] = (
    ("yesterday", "hier"), ("this morning", "ce matin"), ("yesterday evening", "hier soir"),
    ("last week", "la semaine dernière"),
)  # fmt: skip
_NOW: tuple[Phrase, ...] = (TODAY, ("this morning", "ce matin"))
_PRICES = (*NUMBERS[8:], ("thirty", "trente"), ("forty", "quarante"), ("fifty", "cinquante"), ("a hundred", "cent"))


def _trade(draft: Draft, noun: Noun, subject: Agreement) -> None:
    """Write a trade after "be": no article in French, and the gender of the subject."""
    lexicon = draft.lexicon
    form = lexicon.feminine[noun.lemma] if subject.feminine else lexicon.masculine.get(noun.lemma, noun.french)
    draft.both(article(noun.lemma), "")
    draft.both(noun.lemma, form)


def write_profession(draft: Draft, person: str, noun: Noun) -> None:
    """I am a student."""
    subject = draft.pronoun(person)
    draft.is_("present", subject)
    _trade(draft, noun, subject)


def _profession(draft: Draft) -> None:
    write_profession(draft, draft.choose(("I", "you", "he", "she")), draft.noun("worker"))


def _family_trades(draft: Draft) -> None:
    """My sister is a doctor, and her father is a lawyer."""
    tense = draft.choose(("present", "past"))
    subject = draft.named_person("kin", 0)
    draft.is_(tense, subject)
    _trade(draft, draft.noun("worker"), subject)
    draft.both(",", ",")
    draft.both(*draft.choose((AND, BUT)))
    other = draft.phrase(draft.noun("kin"), draft.possessive)
    draft.is_(tense, other)
    _trade(draft, draft.noun("worker"), other)


def _become(draft: Draft) -> None:
    """My daughter wants to become a journalist next year."""
    subject = draft.named_person("sibling", 0) if draft.chance(0.7) else draft.pronoun(draft.choose(("I", "he", "she")))
    tense = draft.choose(("past", "future"))
    draft.act(draft.verb("become"), tense, subject)
    _trade(draft, draft.noun("worker"), subject)
    draft.both(*(("last year", "la année dernière") if tense == "past" else ("next year", "la année prochaine")))


def _thing_and_place(draft: Draft) -> tuple[Noun, Noun, Phrase]:
    """Draw a thing, a place for it, and the preposition between them."""
    if draft.chance(0.6):
        thing = draft.noun(draft.choose(("small", "thing", "pet", "portable")))
        return thing, draft.noun("surface"), draft.choose(_ON_FURNITURE)
    thing = draft.noun(draft.choose(("vehicle", "tree", "bench", "someone")))
    return thing, draft.noun("town"), draft.choose(_AT_BUILDINGS)


def _exists(draft: Draft, tense: str, person: int) -> None:
    """Write "there is" -> "il y a", in the present or the past; French keeps the singular."""
    draft.both("there " + be(tense, person), "il y a" if tense == "present" else "il y avait")


def _there_is(draft: Draft) -> None:
    """There is a black cat under the table."""
    _exists(draft, draft.choose(("present", "past")), 2)
    thing, place, preposition = _thing_and_place(draft)
    draft.phrase(thing, "a", False, draft.attribute(thing, 0.6))
    draft.phrase(place, "the", prepositions=preposition)


def _there_are(draft: Draft) -> None:
    """There were three old bicycles in front of the station."""
    _exists(draft, draft.choose(("present", "past")), 5)
    thing, place, preposition = _thing_and_place(draft)
    adjective = draft.attribute(thing, 0.5)
    if draft.chance(0.7):
        draft.phrase(thing, "none", True, adjective, draft.choose(NUMBERS)[0])
    else:
        draft.phrase(thing, "some", True, adjective)
    draft.phrase(place, "the", prepositions=preposition)


def _there_is_no(draft: Draft) -> None:
    """There isn't any fresh milk in the kitchen today."""
    tense = draft.choose(("present", "past"))
    if draft.chance(0.5):
        noun, plural = draft.noun(draft.choose(("groceries", "drink"))), False
    else:
        noun, plural = draft.noun(draft.choose(("fruit", "furniture", "flower"))), True
    french = "il ne y a pas" if tense == "present" else "il ne y avait pas"
    draft.both("there " + negated(be(tense, 5 if plural else 2)), french)
    draft.phrase(noun, "any", plural, draft.attribute(noun, 0.3))
    place = draft.named_noun("kitchen", "house", "room", "cellar", "shop", "restaurant")
    draft.phrase(place, "the", prepositions=("in", "dans"))
    draft.both(*(TODAY if tense == "present" else ("yesterday", "hier")))


def _owned_place(draft: Draft) -> None:
    """My brother's car is in front of the hotel."""
    owner, determiner = draft.noun("kin"), draft.choose(POSSESSIVES)
    if draft.chance(0.5):
        thing = draft.owned(owner, determiner, draft.noun("vehicle"))
        preposition, place = draft.choose(_AT_BUILDINGS), draft.noun("town")
    else:
        thing = draft.owned(owner, determiner, draft.noun(draft.choose(("small", "thing", "pet"))))
        preposition, place = draft.choose(_ON_FURNITURE), draft.noun("surface")
    draft.is_(draft.choose(("present", "past")), thing)
    draft.phrase(place, "the", prepositions=preposition)


def _described(draft: Draft, tags: tuple[str, ...]) -> tuple[Noun, Adjective]:
    """Draw a noun and an adjective that fits it."""
    while True:
        noun = draft.noun(draft.choose(tags))
        adjective = draft.quality(noun)
        if adjective is not None:
            return noun, adjective
        draft.content.pop()


def _owned_quality(draft: Draft) -> None:
    """The doctor's house is really very modern."""
    tag, determiner = draft.choose((("kin", draft.choose(POSSESSIVES)), ("someone", "the")))
    owner = draft.noun(tag)
    noun, adjective = _described(draft, ("vehicle", "clothes", "furniture", "house", "kitchen", "garden", "machine"))
    if "ladies" in noun.tags and not owner.feminine:  # a dress belongs to a woman here
        owner = draft.lexicon.nouns["aunt"] if tag == "kin" else draft.lexicon.nouns["lady"]
        draft.content[0] = owner.lemma
    thing = draft.owned(owner, determiner, noun)
    tense, negation = draft.choose(("present", "past")), "not" if draft.chance(0.2) else ""
    draft.describe(thing, tense, adjective, draft.degree(adjective), negation=negation)


def _quality(draft: Draft) -> None:
    """The kitchen was very clean this morning."""
    while True:
        noun = draft.noun(draft.choose(("cleanable", "food", "kin", "transport", "animal", "drawer")))
        fitting = [adjective for adjective in draft.lexicon.adjectives_of[noun.lemma] if adjective.lemma in _STATES]
        if fitting:
            break
        draft.content.pop()
    adjective = draft.record(draft.choose(fitting))
    plural = draft.countable(noun) and draft.chance(0.25)
    tense = draft.choose(("present", "past"))
    thing = draft.phrase(noun, draft.choose(POSSESSIVES) if "kin" in noun.tags else "the", plural)
    negation = "not" if draft.chance(0.2) else ""
    draft.describe(thing, tense, adjective, draft.degree(adjective), negation=negation)
    draft.both(*draft.choose(_LATELY if tense == "past" else _NOW))


def _compared(draft: Draft) -> tuple[Noun, Noun, Adjective]:
    """Draw two nouns of a kind and an adjective that fits both and has a comparative."""
    while True:
        nouns = draft.lexicon.nouns_by_tag[draft.choose(_COMPARED)]
        first, second = draft.choose(nouns), draft.choose(nouns)
        both = [
            adjective
            for adjective in draft.lexicon.adjectives_of[first.lemma]
            if adjective.comparative in _COMPARATIVES and adjective in draft.lexicon.adjectives_of[second.lemma]
        ]
        if first is not second and both:
            adjective = draft.choose(both)
            draft.content += [first.lemma, second.lemma, adjective.lemma]
            return first, second, adjective


def _side(draft: Draft, noun: Noun) -> Agreement:
    """Write one side of a comparison."""
    determiner = "the"
    if "kin" in noun.tags:
        determiner = draft.choose(POSSESSIVES)
    elif not noun.tags & {"animal", "transport"}:
        determiner = draft.choose(("the", "this"))
    return draft.phrase(noun, determiner)


def _comparative(draft: Draft) -> None:
    """The train is faster than the bus."""
    first, second, adjective = _compared(draft)
    subject = _side(draft, first)
    draft.is_("present", subject)
    word, french = adjective.comparative.split()[-1], agree(adjective, subject.feminine, False)
    if adjective.comparative.startswith("more "):
        draft.both("more", "plus")
        draft.both(word, french)
    else:
        draft.both(word, "plus " + french)
    draft.both("than", "que")
    _side(draft, second)


def _as_as(draft: Draft) -> None:
    """This skirt isn't as expensive as the dress."""
    first, second, adjective = _compared(draft)
    subject = _side(draft, first)
    draft.is_("present", subject, draft.choose(("", "not")))
    draft.both("as", "aussi")
    draft.both(adjective.lemma, agree(adjective, subject.feminine, False))
    draft.both("as", "que")
    _side(draft, second)


def _superlative(draft: Draft) -> None:
    """This is the most expensive dress in the shop."""
    tag, where = draft.choose(_SUPERLATIVES)
    adjective = None
    while adjective is None or adjective.comparative not in _COMPARATIVES:
        draft.content.clear()
        noun, adjective = _described(draft, (tag,))
    draft.content.append(where)
    draft.both("this", "ce")
    draft.both("is", "est")
    draft.add(superlative_phrase(noun, adjective))
    draft.phrase(draft.lexicon.nouns[where], "the", prepositions=("in", "de"))


def _age(draft: Draft) -> None:
    """My daughter is twelve years old, and her brother is seven years old."""
    draft.named_person("sibling", 0)
    _years_old(draft)
    draft.both(",", ",")
    draft.both(*AND)
    draft.phrase(draft.noun("sibling"), draft.possessive)
    _years_old(draft)


def _years_old(draft: Draft) -> None:
    draft.both("is", "a")
    draft.both(*draft.choose(NUMBERS))
    draft.both("years old", "ans")


def _price(draft: Draft) -> None:
    """This red coat costs fifty euros in the new shop."""
    noun = draft.noun(draft.choose(("clothes", "furniture", "thing")))
    adjective = draft.attribute(noun, 0.6)
    subject = draft.phrase(noun, "this", draft.chance(0.2), adjective)
    draft.act(draft.verb("cost"), "present", subject, "not" if draft.chance(0.15) else "")
    draft.both(*draft.choose(_PRICES))
    draft.both("euros", "euros")
    draft.phrase(draft.lexicon.nouns["shop"], "this", prepositions=("in", "dans"))


def _opening(draft: Draft) -> None:
    """The library is closed on Sundays."""
    buildings = [noun for noun in draft.lexicon.nouns_by_tag["town"] if noun.lemma not in ("station", "hospital")]
    subject = draft.phrase(draft.record(draft.choose(buildings)))
    draft.describe(subject, "present", draft.adjective("open", "closed"))
    days = draft.choose(WEEKDAYS)
    if draft.chance(0.5):
        draft.both("every day", "tous les jours")
        draft.both("except on", "sauf")
        draft.both(*days)
    else:
        draft.both("on " + days[0], days[1])


STATEMENT_TEMPLATES = (
    Template("profession", 0.5, _profession),
    Template("family_trades", 2, _family_trades),
    Template("become", 1, _become),
    Template("there_is", 2, _there_is),
    Template("there_are", 2, _there_are),
    Template("there_is_no", 1.5, _there_is_no),
    Template("owned_place", 2, _owned_place),
    Template("owned_quality", 1.5, _owned_quality),
    Template("quality", 3, _quality),
    Template("comparative", 2, _comparative),
    Template("as_as", 1.5, _as_as),
    Template("superlative", 1, _superlative),
    Template("age", 0.8, _age),
    Template("price", 1, _price),
    Template("opening", 0.7, _opening),
)
