"""Write the pronoun family: only the last adjective decides what "it" or "they" means.

An animal did not do something to a thing "because it was too ADJECTIVE". In the lexicon, no adjective fits both the
animals and the things of this family. So the adjective decides which noun "it" means, and the gender of that noun
decides between il and elle. Read next: `templates_statements.py`.
"""

from dataclasses import dataclass

from pellucid.sample.draft import Draft, Template
from pellucid.sample.lexicon import Adjective, Noun, Verb
from pellucid.sample.sentence import Agreement
from pellucid.sample.vocabulary import BECAUSE, TOO, VERY, Phrase


@dataclass(frozen=True, slots=True)
class Scene:
    """The words of one sentence of the family; `of_subject` is True if the adjective describes the subject."""

    verb: Verb
    subject: Noun
    thing: Noun
    adjective: Adjective
    of_subject: bool


def _draw_scene(draft: Draft, degree: str = "too", *, plural: bool = False, direct: bool = False) -> Scene:
    """Draw and record a scene.

    `degree` "too" draws an adjective that hinders the animal, "very" one that helps it. `plural` requires a thing that
    can be counted. `direct` requires a verb without a preposition and an adjective that describes the thing.
    """
    while True:
        frame = draft.choose(draft.lexicon.family)
        things = frame.object_too if degree == "too" else frame.object_very
        if not things or (direct and frame.verb.preposition):
            continue
        thing, thing_adjectives = draft.choose(things)
        if plural and not thing.plural:
            continue
        subject = draft.choose(frame.subjects)
        of_subject = not direct and draft.chance(0.5)
        animal_adjectives = frame.subject_too if degree == "too" else frame.subject_very
        adjective = draft.choose(animal_adjectives if of_subject else thing_adjectives)
        draft.content += [subject.lemma, frame.verb.lemma, thing.lemma, adjective.lemma]
        return Scene(frame.verb, subject, thing, adjective, of_subject)


def _because(
    draft: Draft, scene: Scene, subject: Agreement, word: Phrase = BECAUSE, tense: str = "past", degree: Phrase = TOO
) -> None:
    """Write the object of the verb and "because it was too wide", about the subject or the object."""
    thing = draft.phrase(scene.thing, "the", subject.plural, prepositions=("", scene.verb.preposition))
    draft.both(*word)
    draft.describe(draft.refer_back(subject if scene.of_subject else thing), tense, scene.adjective, degree)


def _did_not(draft: Draft, scene: Scene, word: Phrase = BECAUSE, *, plural: bool = False) -> None:
    subject = draft.phrase(scene.subject, "the", plural)
    draft.act(scene.verb, "past", subject, "not")
    _because(draft, scene, subject, word)


def write_because_too(draft: Draft, scene: Scene | None = None) -> None:
    """The animal didn't cross the street because it was too tired."""
    _did_not(draft, scene or _draw_scene(draft))


def _since_too(draft: Draft) -> None:
    """The goat didn't enter the barn since it was too dark."""
    _did_not(draft, _draw_scene(draft), ("since", "puisque"))


def _they_too(draft: Draft) -> None:
    """The mules didn't cross the rivers because they were too deep."""
    _did_not(draft, _draw_scene(draft, plural=True), plural=True)


def _because_very(draft: Draft) -> None:
    """The hen crossed the road because it was very curious."""
    scene = _draw_scene(draft, "very")
    subject = draft.phrase(scene.subject)
    draft.act(scene.verb, "past", subject)
    _because(draft, scene, subject, degree=VERY)


def _does_not_want(draft: Draft) -> None:
    """The horse doesn't want to cross the bridge because it is too narrow."""
    scene = _draw_scene(draft)
    subject = draft.phrase(scene.subject)
    draft.act(draft.lexicon.verbs["want"], "present", subject, "not")
    draft.both("to", "")
    draft.infinitive(scene.verb, subject)
    _because(draft, scene, subject, tense="present")


def _will_not(draft: Draft) -> None:
    """The cow won't enter the cave because it is too dark."""
    scene = _draw_scene(draft)
    subject = draft.phrase(scene.subject)
    draft.act(scene.verb, "future", subject, "not")
    _because(draft, scene, subject, tense="present")


def _so_it(draft: Draft) -> None:
    """The street was too wide, so the animal didn't cross it."""
    scene = _draw_scene(draft, direct=True)
    thing = draft.phrase(scene.thing)
    draft.describe(thing, "past", scene.adjective, TOO)
    draft.both(",", ",")
    draft.both("so", "alors")
    subject = draft.phrase(scene.subject)
    pronoun = draft.act(scene.verb, "past", subject, "not", clitic="la" if thing.feminine else "le",
                        earlier_object=thing)  # fmt: skip
    draft.word_for("it", pronoun)
    draft.refer(pronoun, thing.mask)


PRONOUN_TEMPLATES = (
    Template("because_too", 26, write_because_too),
    Template("since_too", 5, _since_too),
    Template("they_too", 11, _they_too),
    Template("because_very", 4, _because_very),
    Template("does_not_want", 5, _does_not_want),
    Template("will_not", 4, _will_not),
    Template("so_it", 3, _so_it),
)
