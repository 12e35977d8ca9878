"""Write sentences with two clauses: relatives, reasons, conditions, reported thoughts, times.

The docstring of each template function is a sentence that it can write. Read next: `templates_questions.py`.
"""

from pellucid.sample.draft import FEW, FEWER, POSSESSIVES, Draft, Template
from pellucid.sample.lexicon import Adjective, FamilyFrame, Noun
from pellucid.sample.morphology_french import conjugate
from pellucid.sample.objects import any_object, definite, habitual_object, is_wearing, when, write_place
from pellucid.sample.sentence import Agreement
from pellucid.sample.vocabulary import AGO, AND, BECAUSE, PAST_DAYS, SOON, TOO, VERY

_WOMEN = ("mother", "sister", "daughter", "aunt", "grandmother")
_MEN = ("father", "brother", "son", "uncle", "grandfather", "cousin", "neighbour", "friend", "colleague")
_TOO_PERSON = ("tired", "lazy", "sick", "busy", "impatient", "nervous")
_SAID = ("tired", "happy", "sad", "sick", "worried", "busy", "surprised", "proud", "nervous", "scared")
_REASONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("buy", "clothes", ("expensive",)), ("buy", "furniture", ("expensive", "heavy")),
    ("buy", "machine", ("expensive",)),
    ("read", "readable", ("long", "boring")), ("finish", "task", ("long", "boring", "difficult")),
    ("watch", "show", ("long", "boring")), ("answer", "question", ("difficult", "long")),
    ("understand", "matter", ("difficult", "long")), ("take", "transport", ("slow", "full")),
)  # fmt: skip
_RELATIVE_VERBS = ("buy", "choose", "read", "find", "lose", "see", "visit", "take", "receive", "borrow", "watch",
                   "write", "prepare", "order", "sell", "repair", "bring")  # fmt: skip


def _person_because(draft: Draft) -> None:
    """The girl didn't carry the suitcase because it was too heavy."""
    subject = draft.named_person(draft.choose(("someone", "kin")), 0.2)
    if draft.chance(0.6):
        frame: FamilyFrame = draft.choose(draft.lexicon.family)
        verb, (noun, about) = frame.verb, draft.choose(frame.object_too)
        moods = frame.subject_too
    else:
        lemma, tag, names = draft.choose(_REASONS)
        verb, noun = draft.lexicon.verbs[lemma], draft.choose(draft.lexicon.nouns_by_tag[tag])
        about = tuple(draft.lexicon.adjectives[name] for name in names)
        moods = tuple(draft.lexicon.adjectives[name] for name in _TOO_PERSON)
    draft.content += [verb.lemma, noun.lemma]
    draft.act(verb, "past", subject, "not")
    thing = draft.phrase(noun, "the", prepositions=("", verb.preposition))
    draft.both(*BECAUSE)
    if draft.chance(0.5):
        adjective = draft.record(draft.choose(moods))
        referent = draft.again(subject)
    else:
        adjective = draft.record(draft.choose(about))
        referent = draft.refer_back(thing)
    draft.describe(referent, "past", adjective, TOO)


def _two_because(draft: Draft) -> None:
    """The boy and the girl didn't enter the cave because they were too scared."""
    first, second = draft.noun("someone"), draft.noun("someone")
    feminine = first.feminine and second.feminine
    draft.phrase(first)
    draft.both(*AND)
    draft.phrase(second)
    both = Agreement(5, feminine, True)
    frame: FamilyFrame = draft.choose(draft.lexicon.family)
    noun, _ = draft.choose(frame.object_too)
    draft.content += [frame.verb.lemma, noun.lemma]
    draft.act(frame.verb, "past", both, "not")
    draft.phrase(noun, "the", prepositions=("", frame.verb.preposition))
    draft.both(*BECAUSE)
    draft.both("they", "elles" if feminine else "ils")
    draft.describe(both, "past", draft.record(draft.choose(frame.subject_too)), TOO)


def _relative_subject(draft: Draft) -> None:
    """The woman who is washing the car is my aunt."""
    head = draft.lexicon.nouns[draft.choose(("woman", "man", "lady", "woman", "man"))]
    subject = draft.phrase(head, "the", False, draft.attribute(head, 0.2))
    draft.possessive = "her" if head.feminine else "his"
    draft.both("who", "qui")
    if draft.chance(0.3):
        is_wearing(draft, subject)
    else:
        verb = draft.verb(*draft.lexicon.verb_groups["progressive"])
        draft.act(verb, "progressive", subject)
        definite(draft, verb)
    draft.is_("present", subject)
    draft.record(head)
    draft.phrase(draft.named_noun(*(_WOMEN if head.feminine else _MEN)), draft.choose(POSSESSIVES))


def _lives(draft: Draft) -> None:
    """The musician who lives in this village has a big garden."""
    subject = draft.named_person("someone", 0)
    draft.both("who", "qui")
    draft.act(draft.verb("live"), "present", subject)
    draft.phrase(draft.noun(draft.choose(("settlement", "house"))), "this", prepositions=("in", "dans"))
    draft.act(draft.verb("have"), "present", subject)
    owned = draft.noun(draft.choose(("pet", "vehicle", "machine", "garden")))
    draft.phrase(owned, "a", False, draft.attribute(owned, 0.8))


def _describable(draft: Draft, *lemmas: str) -> tuple[Noun, Adjective, str]:
    """Draw a verb, an object of it and an adjective for the object."""
    while True:
        verb = draft.lexicon.verbs[draft.choose(lemmas)]
        noun = draft.choose(draft.lexicon.objects_of[verb.lemma])
        choices = draft.lexicon.adjectives_of[noun.lemma]
        if choices and not noun.tags & {"person", "animal"}:
            adjective = draft.choose(choices)
            draft.content += [verb.lemma, noun.lemma, adjective.lemma]
            return noun, adjective, verb.lemma


def _relative_object(draft: Draft) -> None:
    """The dress that my sister bought yesterday is very beautiful."""
    noun, adjective, lemma = _describable(draft, *_RELATIVE_VERBS)
    plural = draft.countable(noun) and draft.chance(0.25)
    thing = draft.phrase(noun, "the", plural)
    draft.both("that", "que")
    subject = draft.someone()
    verb = draft.lexicon.verbs[lemma]
    draft.act(verb, "past", subject, earlier_object=thing)
    when(draft, verb, AGO)
    draft.describe(thing, "present", adjective, draft.degree(adjective))


def _think(draft: Draft) -> None:
    """The teacher thinks that this lesson is too difficult."""
    subject = draft.someone(pronouns=FEW)
    draft.act(draft.verb("think", "say", "know"), "present", subject)
    draft.both("that", "que")
    noun, adjective, _ = _describable(draft, "love", "buy", "understand", "read", "visit", "clean", "prepare")
    plural = draft.countable(noun) and draft.chance(0.25)
    thing = draft.phrase(noun, draft.choose(("the", "this")), plural)
    draft.describe(thing, "present", adjective, draft.degree(adjective))


def _said(draft: Draft) -> None:
    """My sister said yesterday that she was tired."""
    subject = draft.named_person(draft.choose(("kin", "someone")), 0.3)
    draft.act(draft.verb("say"), "past", subject)
    draft.both(*draft.choose(PAST_DAYS))
    draft.both("that", "que")
    who = draft.again(subject)
    negation = "not" if draft.chance(0.2) else ""
    adjective = draft.adjective(*_SAID)
    draft.describe(who, "past", adjective, VERY if draft.chance(0.6) else ("", ""), negation=negation)


def _hope(draft: Draft) -> None:
    """I hope that my brother will win the match next Saturday."""
    subject = draft.someone(0.1, FEW)
    draft.act(draft.verb("hope"), "present", subject)
    draft.both("that", "que")
    other = draft.phrase(draft.noun("kin"), draft.possessive)
    draft.possessive = "her" if other.feminine else "his"
    verb = draft.verb("win", "find", "finish", "sell", "visit", "repair", "bring", "call")
    draft.act(verb, "future", other)
    definite(draft, verb, adjective_share=0.15)
    when(draft, verb, SOON)


def _when_young(draft: Draft) -> None:
    """When my grandmother was young, she lived in this village."""
    draft.both("when", "quand")
    subject = draft.named_person("kin", 0.15) if draft.chance(0.7) else draft.pronoun(draft.choose(FEWER))
    draft.describe(subject, "past", draft.lexicon.adjectives[draft.choose(("young", "young", "rich", "famous"))])
    draft.both(",", ",")
    who = draft.again(subject)
    if draft.chance(0.4):
        draft.act(draft.verb("live"), "past_state", who)
        draft.phrase(
            draft.noun(draft.choose(("settlement", "house", "hotel", "castle"))), "this", prepositions=("in", "dans")
        )
    elif draft.chance(0.5):
        draft.act(draft.verb("work"), "past_state", who)
        draft.phrase(draft.noun("workplace"), "the", prepositions=("at", "à"))
    else:
        verb = draft.verb("eat", "drink", "read", "write", "watch", "feed", "prepare")
        draft.act(verb, "past_state", who, "", ("often", "souvent"))
        habitual_object(draft, verb)


def _if_will(draft: Draft) -> None:
    """If my sister sells her car, she will buy a new bicycle."""
    draft.both("if", "si")
    subject = draft.someone(0.15, FEW)
    verb = draft.verb("sell", "finish", "find", "win", "lose")
    draft.act(verb, "present", subject, "not" if draft.chance(0.2) else "")
    definite(draft, verb, adjective_share=0.1)
    draft.both(",", ",")
    who = draft.again(subject)
    second = draft.verb("buy", "visit", "invite", "call", "help", "choose")
    draft.act(second, "future", who)
    any_object(draft, second, indefinite_share=0.8)


def _if_would(draft: Draft) -> None:
    """If I were rich, I would buy a castle."""
    draft.both("if", "si")
    subject = draft.pronoun(draft.choose(FEW))
    adjective = draft.adjective("rich", "famous", "young", "brave", "patient")
    draft.both("were", conjugate("être", "imperfect", subject.person))
    draft.predicate(adjective, subject, VERY if draft.chance(0.2) else ("", ""))
    draft.both(",", ",")
    who = draft.again(subject)
    verb = draft.verb("buy", "visit", "invite", "help", "choose")
    draft.act(verb, "conditional", who)
    any_object(draft, verb, indefinite_share=0.8)


def _when_rang(draft: Draft) -> None:
    """My father was reading a newspaper when the phone rang."""
    subject = draft.someone(pronouns=FEWER)
    verb = draft.verb(*draft.lexicon.verb_groups["progressive"])
    draft.act(verb, "past_progressive", subject)
    definite(draft, verb, adjective_share=0.2)
    draft.both("when", "quand")
    if draft.chance(0.3):
        draft.act(draft.verb("ring"), "past", draft.phrase(draft.lexicon.nouns["phone"]))
    else:
        guest = draft.phrase(draft.noun("someone"), "the", draft.chance(0.2))
        draft.act(draft.verb("arrive"), "past", guest)


def _while(draft: Draft) -> None:
    """My mother was preparing the soup while my father was washing the car."""
    for last in (False, True):
        subject = draft.named_person(draft.choose(("kin", "someone")), 0.2)
        verb = draft.verb(*draft.lexicon.verb_groups["progressive"])
        draft.act(verb, "past_progressive", subject)
        definite(draft, verb, adjective_share=0.1)
        if not last:
            draft.both("while", "pendant que")


def _had_left(draft: Draft) -> None:
    """The train had already left when we arrived at the station."""
    subject = draft.phrase(draft.noun("transport"))
    draft.act(draft.verb("leave*"), "pluperfect", subject, "", ("already", "déjà"))
    draft.both("when", "quand")
    traveller = draft.someone(0.3)
    draft.act(draft.verb("arrive"), "past", traveller)
    draft.phrase(draft.noun("town"), "the", prepositions=("at", "à"))


def _where_are(draft: Draft) -> None:
    """I don't know where my old keys are."""
    subject = draft.someone(pronouns=FEW)
    draft.act(draft.verb("know"), "present", subject, "not")
    draft.both("where", "où")
    tag = draft.choose(("small", "thing", "clothes"))
    noun = draft.clothes(subject) if tag == "clothes" else draft.noun(tag)
    plural = draft.chance(0.4)
    verb = draft.both("", "sont" if plural else "est")
    adjective = draft.attribute(noun, 0.5)
    draft.phrase(noun, draft.possessive, plural, adjective)
    draft.word_for("are" if plural else "is", verb)


def _why_crying(draft: Draft) -> None:
    """My mother doesn't know why the children are laughing in the garden."""
    subject = draft.someone(pronouns=FEW)
    draft.act(draft.verb("know"), "present", subject, "not")
    draft.both("why", "pourquoi")
    other = draft.named_person("someone", 0.3)
    verb = draft.verb("laugh", "cry", "sing", "dance", "sleep")
    draft.act(verb, "progressive", other)
    write_place(draft, verb)


CLAUSE_TEMPLATES = (
    Template("person_because", 5, _person_because),
    Template("two_because", 2, _two_because),
    Template("relative_subject", 2, _relative_subject),
    Template("lives", 1.5, _lives),
    Template("relative_object", 3, _relative_object),
    Template("think", 2.5, _think),
    Template("said", 1.5, _said),
    Template("hope", 1.5, _hope),
    Template("when_young", 1.5, _when_young),
    Template("if_will", 2, _if_will),
    Template("if_would", 1.5, _if_would),
    Template("when_rang", 2, _when_rang),
    Template("while", 2, _while),
    Template("had_left", 1, _had_left),
    Template("where_are", 1, _where_are),
    Template("why_crying", 1, _why_crying),
)
