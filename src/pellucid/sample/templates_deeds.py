"""Write what people do, did and will do: habits, deeds, journeys, gifts, plans.

The docstring of each template function is a sentence that it can write. Read next: `templates_statements.py`.
"""

from pellucid.sample.draft import ANYBODY, FEW, FEWER, Draft, Template
from pellucid.sample.objects import any_object, definite, habitual_object, indefinite, is_wearing, when, write_place
from pellucid.sample.phrases import NUMBERS, going_to, modal
from pellucid.sample.vocabulary import (
    AGO,
    AT_PRESENT,
    BUT,
    DEEDS,
    EVERY,
    FOUND_AGAIN,
    FUTURE_VERBS,
    HOURS,
    OFTEN,
    PAST_DAYS,
    PLAN_VERBS,
    SOON,
    TODAY,
    TRAVEL,
    YET_VERBS,
)  # fmt: skip


def _habit(draft: Draft) -> None:
    """My brother often reads a newspaper in the evening."""
    subject = draft.someone()
    verb = draft.verb(*draft.lexicon.habits)
    adverb = draft.choose(OFTEN) if draft.chance(0.3) else ("", "")
    negation = "never" if not adverb[0] and draft.chance(0.2) else ""
    draft.act(verb, "present", subject, negation, adverb)
    habitual_object(draft, verb, negation)
    draft.both(*draft.choose(EVERY[-4:] if adverb[0] or negation else EVERY))


def _no_habit(draft: Draft) -> None:
    """My brother doesn't drink coffee in the evening."""
    subject = draft.someone()
    verb = draft.verb(*draft.lexicon.habits)
    draft.act(verb, "present", subject, "not")
    habitual_object(draft, verb, "not")
    draft.both(*draft.choose(EVERY))


def _past_deed(draft: Draft) -> None:
    """The old woman bought a red dress yesterday."""
    subject = draft.someone()
    verb = draft.verb(*DEEDS)
    draft.act(verb, "past", subject)
    any_object(draft, verb)
    when(draft, verb, AGO)


def _past_not(draft: Draft) -> None:
    """My sister didn't buy a car last year."""
    subject = draft.someone()
    verb = draft.verb(*DEEDS)
    draft.act(verb, "past", subject, "not")
    any_object(draft, verb, negative=True)
    when(draft, verb, PAST_DAYS)


def _future_deed(draft: Draft) -> None:
    """We will visit the old castle tomorrow morning."""
    subject = draft.someone(pronouns=FEW)
    verb = draft.verb(*FUTURE_VERBS)
    draft.act(verb, "future", subject, "not" if draft.chance(0.2) else "")
    definite(draft, verb)
    when(draft, verb, SOON)


def _going_to(draft: Draft) -> None:
    """My parents are going to sell the house next month."""
    subject = draft.someone()
    verb = draft.verb(*PLAN_VERBS)
    draft.write_verb(draft.begin(5), going_to(verb, subject.person))
    definite(draft, verb)
    when(draft, verb, SOON)


def _progressive(draft: Draft) -> None:
    """The children are cleaning the kitchen at the moment."""
    subject = draft.someone(pronouns=FEW)
    verb = draft.verb(*draft.lexicon.verb_groups["progressive"])
    draft.act(verb, "progressive", subject, "not" if draft.chance(0.15) else "")
    definite(draft, verb)
    draft.both(*draft.choose(AT_PRESENT))


def _wearing(draft: Draft) -> None:
    """The young singer is wearing a yellow dress today."""
    subject = draft.someone()
    is_wearing(draft, subject)
    draft.both(*TODAY)


def _already(draft: Draft) -> None:
    """My daughter has already read this interesting book."""
    subject = draft.someone()
    verb = draft.verb(*YET_VERBS)
    draft.act(verb, "perfect", subject, "", ("already", "déjà"))
    definite(draft, verb, adjective_share=0.6)


def _not_yet(draft: Draft) -> None:
    """We haven't finished the difficult exercise yet."""
    subject = draft.someone()
    verb = draft.verb(*YET_VERBS)
    yet = draft.act(verb, "perfect", subject, "not", ("", "encore")) >> 1
    definite(draft, verb, adjective_share=0.5)
    draft.word_for("yet", yet)


def _never_done(draft: Draft) -> None:
    """My grandfather has never visited this museum."""
    subject = draft.someone()
    verb = draft.verb("visit", "see", "drive", "repair", "meet", "read", "watch", "photograph", "use")
    draft.act(verb, "perfect", subject, "never")
    definite(draft, verb, adjective_share=0.6)


def _several(draft: Draft) -> None:
    """My uncle bought three red shirts last week."""
    subject = draft.someone()
    verb = draft.verb("buy", "sell", "see", "read", "write", "receive", "photograph", "plant", "draw", "paint", "find")
    draft.act(verb, "past", subject)
    noun = draft.several(verb)
    adjective = draft.attribute(noun, 0.6)
    draft.phrase(noun, "none", True, adjective, draft.choose(NUMBERS)[0])
    when(draft, verb, AGO)


def _giving(draft: Draft) -> None:
    """My aunt gave a beautiful ring to the actress yesterday."""
    tense = draft.choose(("past", "past", "past", "future"))
    subject = draft.someone(pronouns=FEWER if tense == "future" else ANYBODY)
    verb = draft.verb(*draft.lexicon.verb_groups["giving"])
    draft.act(verb, tense, subject)
    indefinite(draft, draft.object_of(verb))
    receiver = draft.noun(draft.choose(("someone", "sibling")))
    determiner = draft.possessive if "kin" in receiver.tags else "the"
    draft.phrase(receiver, determiner, draft.chance(0.2), prepositions=("to", "à"))
    when(draft, verb, AGO if tense == "past" else SOON)


def _journey(draft: Draft) -> None:
    """The girls went to the library by bus yesterday morning."""
    tense = draft.choose(("past", "past", "future"))
    subject = draft.someone(0.3, FEWER if tense == "future" else ANYBODY)
    verb = draft.verb("go", "return", "come")
    draft.act(verb, tense, subject)
    draft.phrase(draft.noun("goal"), "the", prepositions=("to", "à"))
    draft.both(*draft.choose(TRAVEL))
    when(draft, verb, AGO if tense == "past" else SOON)


def _arrival(draft: Draft) -> None:
    """My cousins arrived at the hotel two days ago."""
    subject = draft.someone(0.3)
    verb = draft.verb("arrive", "stay")
    draft.act(verb, "past", subject, "not" if draft.chance(0.15) else "")
    draft.phrase(draft.noun("town"), "the", prepositions=("at", "à"))
    when(draft, verb, PAST_DAYS)


def _wake(draft: Draft) -> None:
    """My daughters got up at seven o'clock this morning."""
    subject = draft.someone(0.3, FEW)
    verb = draft.verb("get up", "wake up")
    tense = draft.choose(("present", "past"))
    draft.act(verb, tense, subject, "not" if draft.chance(0.2) else "")
    draft.both("at", "à")
    draft.both(*draft.choose(HOURS))
    times = EVERY[:6] if tense == "present" else PAST_DAYS[:4]
    draft.both(*draft.choose([time for time in times if "evening" not in time[0] and "week" not in time[0]]))


def _playing(draft: Draft) -> None:
    """The children are playing in the garden with their dog."""
    subject = draft.named_person(draft.choose(("someone", "kin")), 0.4)
    verb = draft.verb("play", "walk", "run", "sing", "dance", "rest", "laugh", "cry", "sleep")
    draft.act(verb, draft.choose(("progressive", "past_progressive")), subject)
    write_place(draft, verb)
    draft.phrase(draft.noun("pet"), draft.possessive, prepositions=("with", "avec"))


def _its(draft: Draft) -> None:
    """The young bear is playing with its big ball in the garden."""
    animal = draft.noun("animal")
    subject = draft.phrase(animal, "the", False, draft.attribute(animal, 0.4))
    tense = draft.choose(("progressive", "past_progressive"))
    if draft.chance(0.5):
        verb = draft.verb("play")
        toy, preposition = draft.lexicon.nouns[draft.choose(("ball", "doll", "bone", "branch"))], ("with", "avec")
    else:
        verb = draft.verb("sleep", "rest")
        toy, preposition = draft.lexicon.nouns[draft.choose(("basket", "cage", "box", "shed"))], ("in", "dans")
    draft.act(verb, tense, subject)
    draft.record(toy)
    fitting = [adjective for adjective in draft.lexicon.attributes_of[toy.lemma] if adjective.lemma in _TOYS]
    adjective = draft.record(draft.choose(fitting)) if fitting and draft.chance(0.5) else None
    draft.phrase(toy, "its", False, adjective, prepositions=preposition)
    if verb.lemma == "play":
        write_place(draft, verb)
    elif tense == "progressive":
        draft.both(*draft.choose(AT_PRESENT))
    else:
        draft.both(*draft.choose(PAST_DAYS[:3]))


_TOYS = frozenset({"big", "small", "old", "new", "red", "blue", "yellow", "green", "pretty"})


def _working(draft: Draft) -> None:
    """My aunt has worked at the hospital for ten years."""
    subject = draft.someone()
    if draft.chance(0.5):
        draft.act(draft.verb("work"), "still_going_on", subject)
        draft.phrase(draft.noun("workplace"), "the", prepositions=("at", "à"))
    else:
        draft.act(draft.verb("live"), "still_going_on", subject)
        draft.phrase(draft.noun(draft.choose(("settlement", "house"))), "this", prepositions=("in", "dans"))
    draft.both("for", "depuis")
    draft.both(*draft.choose(NUMBERS))
    draft.both(*draft.choose((("years", "ans"), ("months", "mois"))))


def _modal(draft: Draft) -> None:
    """The students must finish this exercise before Monday."""
    name = draft.choose(("must", "must", "can", "can", "could"))
    subject = draft.someone(pronouns=FEWER if name == "could" else FEW)
    negation = "not" if name == "could" or (name == "can" and draft.chance(0.6)) else ""
    draft.add(modal(name, subject.person, negation).whole)
    verb = draft.verb(*PLAN_VERBS)
    draft.infinitive(verb, subject)
    definite(draft, verb)
    if name == "could":
        draft.both(*draft.choose(PAST_DAYS))
    else:
        draft.both(*draft.choose((*SOON[:6], TODAY, ("before Monday", "avant lundi"))))


def _want(draft: Draft) -> None:
    """My sister doesn't want to sell her old car this week."""
    subject = draft.someone()
    draft.act(draft.verb("want"), "present", subject, "not" if draft.chance(0.4) else "")
    draft.both("to", "")
    verb = draft.verb(*PLAN_VERBS)
    draft.infinitive(verb, subject)
    definite(draft, verb)
    draft.both(*draft.choose((TODAY, ("this week", "cette semaine"), *SOON[:4])))


def _taste(draft: Draft) -> None:
    """My sister loves cheese, but she hates fish."""
    subject = draft.someone(pronouns=FEW)
    verbs = draft.lexicon.verb_groups["taste"]
    tag = draft.choose(("food", "food", "sound", "show", "readable", "drink"))
    first, second = draft.noun(tag), draft.noun(tag)
    for verb, noun in ((draft.verb(*verbs[:2]), first), (draft.verb(*verbs[2:]), second)):
        if noun is second:
            draft.both(",", ",")
            draft.both(*BUT)
            subject = draft.again(subject)
        draft.act(verb, "present", subject)
        draft.phrase(noun, "generic", bool(noun.plural))


def _found_again(draft: Draft) -> None:
    """My sister lost her keys yesterday, but she found them this morning."""
    subject = draft.someone()
    first, second, tags, link = draft.choose(FOUND_AGAIN)
    verb = draft.verb(first)
    draft.act(verb, "past", subject)
    noun = draft.noun(draft.choose(tags))
    own = first in ("lose", "break") or "kin" in noun.tags
    plural = bool(noun.plural) and draft.chance(0.3)
    determiner = draft.possessive if own else "the"
    thing = draft.phrase(noun, determiner, plural, draft.attribute(noun, 0.2))
    draft.both(*draft.choose((AGO[0], AGO[6])))
    if link is BUT:
        draft.both(",", ",")
    draft.both(*link)
    subject = draft.again(subject)
    clitic = "les" if plural else "la" if noun.feminine else "le"
    pronoun = draft.act(draft.verb(second), "past", subject, clitic=clitic, earlier_object=thing)
    singular = ("her" if noun.feminine else "him") if "person" in noun.tags else "it"
    draft.word_for("them" if plural else singular, pronoun)
    draft.refer(pronoun, thing.mask)
    draft.both(*draft.choose((PAST_DAYS[2], TODAY)))


DEED_TEMPLATES = (
    Template("habit", 5, _habit),
    Template("no_habit", 3, _no_habit),
    Template("past_deed", 7, _past_deed),
    Template("past_not", 4, _past_not),
    Template("future_deed", 4, _future_deed),
    Template("going_to", 2, _going_to),
    Template("progressive", 3, _progressive),
    Template("wearing", 1.5, _wearing),
    Template("already", 1.5, _already),
    Template("not_yet", 1.5, _not_yet),
    Template("never_done", 1.5, _never_done),
    Template("several", 2, _several),
    Template("giving", 3, _giving),
    Template("journey", 2.5, _journey),
    Template("arrival", 1.5, _arrival),
    Template("wake", 1.2, _wake),
    Template("playing", 2, _playing),
    Template("its", 1.5, _its),
    Template("working", 1.5, _working),
    Template("modal", 2.5, _modal),
    Template("want", 2, _want),
    Template("taste", 2, _taste),
    Template("found_again", 3, _found_again),
)
