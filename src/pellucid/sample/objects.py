"""Write what stands behind a verb: its object, the place, the time.

Read next: `templates_deeds.py`, which uses all of it.
"""

from pellucid.sample.draft import Draft
from pellucid.sample.lexicon import Noun, Verb
from pellucid.sample.sentence import Agreement
from pellucid.sample.vocabulary import MOMENTARY, OWN, PLACES, PLAYGROUNDS, Phrase


def definite(draft: Draft, noun: Noun, verb: Verb, *, adjective_share: float = 0.3) -> Agreement:
    """Write a definite object: the, this, a possessive; sometimes plural, sometimes with an adjective."""
    many = bool(noun.plural) and not noun.tags & {
        "transport",
        "settlement",
        "town",
        "home",
        "mother",
        "father",
        "pet",
        "way",
    }
    plural = many and draft.chance(0.15)
    adjective = draft.adjective_of(noun) if draft.chance(adjective_share) else None
    determiner = "the"
    if "kin" in noun.tags:
        determiner = draft.possessive
    elif verb.lemma in OWN and noun.tags & {"pet", "clothes", "small", "thing", "vehicle", "furniture", "home"}:
        determiner = draft.possessive if draft.chance(0.6) else "the"
    elif not noun.tags & {"person", "mass", "food", "animal"} and draft.chance(0.35):
        determiner = "this"
    return draft.phrase(noun, determiner, plural, adjective, prepositions=("", verb.preposition))


def indefinite(draft: Draft, noun: Noun, *, negative: bool = False, adjective_share: float = 0.4) -> Agreement:
    """Write an indefinite object: a car, some flowers, some bread; behind a negation: a car -> de voiture."""
    adjective = draft.adjective_of(noun) if draft.chance(adjective_share) else None
    if not noun.plural or (draft.countable(noun) and draft.chance(0.2)):
        return draft.phrase(noun, "any" if negative else "some", bool(noun.plural), adjective)
    return draft.phrase(noun, "not a" if negative else "a", False, adjective)


def when(draft: Draft, verb: Verb, times: tuple[Phrase, ...]) -> None:
    """Write a time; what takes a moment is told by the day, not by the month, and building takes longer."""
    if verb.lemma == "build":
        times = times[6:]
    draft.both(*draft.choose(times[:5] if verb.lemma in MOMENTARY else times))


def write_place(draft: Draft, verb: Verb) -> None:
    """Draw and write a place where one does this: "in the garden"."""
    place = draft.lexicon.nouns[draft.choose(PLAYGROUNDS[verb.lemma])]
    draft.content.append(place.lemma)
    draft.phrase(place, "the", prepositions=PLACES[place.lemma])


def draw_object(draft: Draft, verb: Verb, *, indefinite_share: float = 0.6, negative: bool = False) -> Agreement:
    """Draw and write an object; the verbs that bring something new often take an indefinite one."""
    noun = draft.object_of(verb)
    new = verb.lemma in ("buy", "see", "receive", "write", "paint", "draw", "read", "order", "build")
    if new and "kin" not in noun.tags and not (negative and "built" in noun.tags) and draft.chance(indefinite_share):
        return indefinite(draft, noun, negative=negative)
    return definite(draft, noun, verb)


def write_habit(draft: Draft, verb: Verb, negation: str) -> None:
    """Write the object of a habitual verb already written."""
    _, determiners, objects = next(habit for habit in draft.lexicon.habits if habit[0] is verb)
    noun = draft.new(objects)
    determiner = draft.choose(determiners)
    if "person" in noun.tags:
        determiner = "my" if "kin" in noun.tags else "the"
    if determiner == "my":
        determiner = draft.possessive
    elif determiner == "some":
        determiner = "bare" if not noun.plural else "a"
    if negation:
        determiner = {"bare": "bare any", "a": "not a"}.get(determiner, determiner)
    draft.phrase(noun, determiner, prepositions=("", verb.preposition))
