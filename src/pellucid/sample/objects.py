"""Write what follows a verb: its object, the place, the time.

Read next: `templates_deeds.py`, which uses all of these functions.
"""

from pellucid.sample.draft import Draft
from pellucid.sample.lexicon import Noun, Verb
from pellucid.sample.sentence import Agreement
from pellucid.sample.vocabulary import MOMENTARY, OWN, PLACES, PLAYGROUNDS, Phrase

_ONE = frozenset({"transport", "settlement", "town", "home", "mother", "father", "pet", "way"})


def definite(draft: Draft, verb: Verb, *, adjective_share: float = 0.3) -> None:
    """Draw and write a definite object: the, this, a possessive; sometimes plural, sometimes with an adjective."""
    _definite(draft, verb, draft.object_of(verb), adjective_share)


def _definite(draft: Draft, verb: Verb, noun: Noun, adjective_share: float) -> None:
    plural = bool(noun.plural) and not noun.tags & _ONE and draft.chance(0.15)
    adjective = draft.attribute(noun, adjective_share)
    determiner = "the"
    if "kin" in noun.tags:
        determiner = draft.possessive
    elif verb.lemma in OWN and noun.tags & {"pet", "clothes", "small", "thing", "vehicle", "furniture", "home"}:
        determiner = draft.possessive if draft.chance(0.6) else "the"
    elif not noun.tags & {"person", "mass", "food", "animal"} and draft.chance(0.35):
        determiner = "this"
    draft.phrase(noun, determiner, plural, adjective, prepositions=("", verb.preposition))


def indefinite(draft: Draft, noun: Noun, *, negative: bool = False) -> None:
    """Write an indefinite object: a car, some flowers, some bread; after a negation: a car -> de voiture."""
    adjective = draft.attribute(noun, 0.4)
    if not noun.plural or (draft.countable(noun) and draft.chance(0.2)):
        draft.phrase(noun, "any" if negative else "some", bool(noun.plural), adjective)
    else:
        draft.phrase(noun, "not a" if negative else "a", False, adjective)


def when(draft: Draft, verb: Verb, times: tuple[Phrase, ...]) -> None:
    """Draw and write a time: a day for an action that takes a moment, a month or a season for building."""
    if verb.lemma == "build":
        times = times[6:]
    draft.both(*draft.choose(times[:5] if verb.lemma in MOMENTARY else times))


def write_place(draft: Draft, verb: Verb) -> None:
    """Draw and write a place where people do this: "in the garden"."""
    place = draft.named_noun(*PLAYGROUNDS[verb.lemma])
    draft.phrase(place, "the", prepositions=PLACES[place.lemma])


def any_object(draft: Draft, verb: Verb, *, indefinite_share: float = 0.6, negative: bool = False) -> None:
    """Draw and write an object, often an indefinite one if the verb introduces something new."""
    noun = draft.object_of(verb)
    new = verb.lemma in ("buy", "see", "receive", "write", "paint", "draw", "read", "order", "build")
    if new and "kin" not in noun.tags and not (negative and "built" in noun.tags) and draft.chance(indefinite_share):
        indefinite(draft, noun, negative=negative)
    else:
        _definite(draft, verb, noun, 0.3)


def is_wearing(draft: Draft, wearer: Agreement) -> None:
    """Write "is wearing a yellow dress" after the subject."""
    draft.act(draft.verb("wear"), "progressive", wearer)
    clothes = draft.clothes(wearer)
    draft.phrase(clothes, "a", False, draft.attribute(clothes, 0.9))


def habitual_object(draft: Draft, verb: Verb, negation: str = "") -> None:
    """Draw and write an object of a verb of `Lexicon.habits`."""
    determiners, objects = draft.lexicon.habits[verb.lemma]
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
