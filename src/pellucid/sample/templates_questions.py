"""Write questions and polite requests.

Every French question uses "est-ce que", which keeps the word order of a statement. The docstring of each template
function is a sentence that it can write. Read next: `corpus.py`.
"""

from pellucid.sample.draft import POSSESSIVE_OF, Draft, Template
from pellucid.sample.lexicon import Verb
from pellucid.sample.objects import any_object, definite, habitual_object, when, write_place
from pellucid.sample.phrases import PRONOUNS, VerbGroup, modal, noun_phrase, request, to_be, verb_group
from pellucid.sample.sentence import Agreement, Fragment, pair
from pellucid.sample.vocabulary import AT_PRESENT, DEEDS, EVERY, FUTURE_VERBS, PAST_DAYS, PLAN_VERBS, SOON, TODAY

_PLEASE = ("please", "si il vous plaît")
_YOURS = ("your", "your", "his", "her", "our", "their")


def _asked(draft: Draft) -> tuple[Fragment, Agreement]:
    """Draw the subject of a question: you, he, she, they, a relative, another person."""
    if draft.chance(0.45):
        name = draft.choose(("you", "you", "you", "he", "she", "they"))
        english, french, agreement = PRONOUNS[name]
        draft.possessive = POSSESSIVE_OF[name]
        return pair(english, french), agreement
    noun = draft.noun(draft.choose(("kin", "someone")))
    plural = draft.chance(0.2) and draft.countable(noun)
    determiner = draft.choose(_YOURS) if "kin" in noun.tags else "the"
    draft.possessive = "their" if plural else "her" if noun.feminine else "his"
    return noun_phrase(noun, determiner, plural), Agreement(5 if plural else 2, noun.feminine, plural)


def _invert(draft: Draft, group: VerbGroup, subject: Fragment) -> None:
    """Write auxiliary, subject, verb in English; est-ce que, subject, verb in French."""
    shift = draft.begin(group.rest.width)
    draft.write_at(shift, group.auxiliary)
    helper = group.auxiliary.english[-1][1] << shift
    for word in ("est-ce", "que"):
        draft.french_word(word, helper)
    draft.add(subject)
    draft.write_verb(shift, group.rest)


def _question(
    draft: Draft, verb: Verb, tense: str, *, negation: str = "", earlier_object: Agreement | None = None,
    adverb: tuple[str, str] = ("", ""),
) -> Agreement:  # fmt: skip
    """Draw a subject and write the inverted verb group around it."""
    subject, agreement = _asked(draft)
    group = verb_group(verb, tense, agreement, negation, adverb, "", earlier_object, True)
    _invert(draft, group, subject)
    return agreement


def _did(draft: Draft) -> None:
    """Did your father sell the old car last month?"""
    verb = draft.verb(*DEEDS)
    _question(draft, verb, "past")
    any_object(draft, verb)
    when(draft, verb, PAST_DAYS)


def _does(draft: Draft) -> None:
    """Does your sister read the newspaper every morning?"""
    verb = draft.verb(*draft.lexicon.habits)
    _question(draft, verb, "present")
    habitual_object(draft, verb)
    draft.both(*draft.choose(EVERY))


def _will(draft: Draft) -> None:
    """When will your brother visit the museum?"""
    word = draft.choose((("when", "quand"), ("why", "pourquoi"), ("where", "où"), ("", "")))
    verb = draft.verb(*(("buy", "sell", "meet", "choose") if word[0] == "where" else FUTURE_VERBS))
    draft.both(*word)
    _question(draft, verb, "future")
    definite(draft, verb)
    if word[0] != "when":
        when(draft, verb, SOON)


def _where_did(draft: Draft) -> None:
    """Where did you buy this beautiful coat last week?"""
    draft.both("where", "où")
    verb = draft.verb("buy", "find", "lose", "meet", "hide", "park", "see", "plant", "sell", "choose", "photograph")
    _question(draft, verb, "past")
    definite(draft, verb)
    when(draft, verb, PAST_DAYS)


def _why_did(draft: Draft) -> None:
    """Why didn't you call your mother yesterday?"""
    draft.both("why", "pourquoi")
    verb = draft.verb(*DEEDS)
    _question(draft, verb, "past", negation="not" if draft.chance(0.5) else "")
    definite(draft, verb)
    when(draft, verb, PAST_DAYS)


def _how_many(draft: Draft) -> None:
    """How many apples did the children eat this morning?"""
    verb = draft.verb(
        "eat", "buy", "sell", "read", "write", "see", "receive", "send", "photograph", "plant", "find", "draw"
    )
    noun = draft.several(verb)
    draft.both("how many", "combien de")
    draft.both(noun.plural, noun.french_plural)
    _question(draft, verb, "past", earlier_object=Agreement(5, noun.feminine, True))
    when(draft, verb, PAST_DAYS)


def _which(draft: Draft) -> None:
    """Which film did your parents watch yesterday evening?"""
    verb = draft.verb(
        "watch", "read", "visit", "choose", "buy", "open", "clean", "take", "listen to", "repair", "finish"
    )
    noun = draft.object_of(verb)
    plural = draft.countable(noun) and draft.chance(0.25)
    which = ("quelles" if plural else "quelle") if noun.feminine else ("quels" if plural else "quel")
    draft.both("which", which)
    draft.both(noun.plural if plural else noun.lemma, noun.french_plural if plural else noun.french)
    _question(draft, verb, "past", earlier_object=Agreement(2, noun.feminine, plural))
    when(draft, verb, PAST_DAYS)


def _ever(draft: Draft) -> None:
    """Have you ever visited this beautiful castle?"""
    verb = draft.verb("visit", "see", "drive", "read", "watch", "meet", "repair", "photograph", "lose", "listen to")
    _question(draft, verb, "perfect", adverb=("ever", "déjà"))
    definite(draft, verb, adjective_share=0.6)


def _doing(draft: Draft) -> None:
    """Are the children playing in the garden now?"""
    verb = draft.verb("play", "sing", "dance", "sleep", "cry", "work")
    _question(draft, verb, "progressive")
    write_place(draft, verb)
    draft.both(*draft.choose(AT_PRESENT[::-1]))


def _is_it(draft: Draft) -> None:
    """Is your brother's new house very expensive?"""
    noun = draft.noun(draft.choose(("vehicle", "clothes", "furniture", "town", "show", "matter", "readable", "food")))
    adjective = draft.quality(noun) or draft.record(draft.lexicon.adjectives["interesting"])
    owned = bool(noun.tags & {"vehicle", "clothes", "furniture"})
    subject = noun_phrase(noun, draft.choose(_YOURS) if owned else draft.choose(("the", "this")))
    _invert(draft, to_be(draft.choose(("present", "past")), 2), subject)
    draft.predicate(adjective, Agreement(2, noun.feminine, False), draft.degree(adjective))


def _can_you(draft: Draft) -> None:
    """Can you close the window, please?"""
    subject, agreement = _asked(draft)
    _invert(draft, modal("can", agreement.person), subject)
    verb = draft.verb(*PLAN_VERBS)
    draft.infinitive(verb, agreement)
    definite(draft, verb)
    if agreement.person == 4:
        draft.both(",", ",")
        draft.both(*_PLEASE)
    else:
        when(draft, verb, SOON)


def _who(draft: Draft) -> None:
    """Who forgot the black umbrella in the kitchen?"""
    draft.both("who", "qui")
    verb = draft.verb(
        "forget", "find", "hide", "break", "lose", "see", "open", "close", "clean", "wash", "paint", "repair"
    )
    draft.act(verb, "past", Agreement(2, False, False))
    definite(draft, verb, adjective_share=0.5)
    when(draft, verb, PAST_DAYS)


def _request(draft: Draft) -> None:
    """Please close the door before lunch."""
    verb = draft.verb(*draft.lexicon.verb_groups["request"])
    draft.possessive = "your"
    please = draft.both("please", "")
    draft.write_verb(draft.begin(4), request(verb))
    definite(draft, verb)
    draft.both(*draft.choose((*SOON[:3], ("before lunch", "avant le déjeuner"))))
    draft.both("", ",")
    for word in _PLEASE[1].split():
        draft.french_word(word, please)


def _do_not(draft: Draft) -> None:
    """Don't forget your black umbrella tomorrow morning."""
    draft.possessive = "your"
    verb = draft.verb(
        "forget", "open", "close", "lose", "sell", "follow", "wait for", "call", "break", "throw", "catch"
    )
    draft.write_verb(draft.begin(4), request(verb, "not"))
    definite(draft, verb, adjective_share=0.5)
    draft.both(*draft.choose((*SOON[:3], TODAY)))


QUESTION_TEMPLATES = (
    Template("did", 3, _did, "?"),
    Template("does", 2, _does, "?"),
    Template("will", 2, _will, "?"),
    Template("where_did", 1.5, _where_did, "?"),
    Template("why_did", 2, _why_did, "?"),
    Template("how_many", 2, _how_many, "?"),
    Template("which", 2, _which, "?"),
    Template("ever", 1.5, _ever, "?"),
    Template("doing", 1.5, _doing, "?"),
    Template("is_it", 1.5, _is_it, "?"),
    Template("can_you", 2, _can_you, "?"),
    Template("who", 1.5, _who, "?"),
    Template("request", 1.5, _request),
    Template("do_not", 1.2, _do_not),
)
