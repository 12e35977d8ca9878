"""Write the pronoun family: what "it" or "they" means is told by the last adjective alone.

An animal did not do something to a thing "because it was too ADJECTIVE". The lexicon keeps the adjectives of animals
and of things apart, so the adjective decides which noun "it" stands for, and the gender of that noun decides between
il and elle. Read next: `templates_statements.py`.
"""

from dataclasses import dataclass

from pellucid.sample.draft import Draft, Template
from pellucid.sample.lexicon import Adjective, Noun, Verb
from pellucid.sample.sentence import Agreement

_BECAUSE = ("because", "parce que")
_SINCE = ("since", "puisque")


@dataclass(frozen=True, slots=True)
class Scene:
    """Say what one sentence of the family is about; `of_subject` tells that the adjective means the animal."""

    verb: Verb
    subject: Noun
    thing: Noun
    adjective: Adjective
    of_subject: bool


def _draw_scene(draft: Draft, degree: str = "too", *, plural: bool = False, direct: bool = False) -> Scene:
    """Draw and note a scene.

    `degree` "too" takes the adjectives that hinder, "very" those that help; `plural` wants a thing that can be
    counted; `direct` wants a verb without preposition and an adjective that means the thing.
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


_TOO = ("too", "trop")
_VERY = ("very", "très")


def _reason(
    draft: Draft, scene: Scene, nouns: tuple[Agreement, Agreement], words: tuple[str, str], *, tense: str = "past",
    degree: tuple[str, str] = _TOO,
) -> None:  # fmt: skip
    """Write "because it was too wide." about the subject or the object noun."""
    draft.both(*words)
    about = draft.refer_back(nouns[0] if scene.of_subject else nouns[1])
    draft.is_(tense, about)
    draft.predicate(scene.adjective, about, degree)
    draft.stop()


def _object(draft: Draft, scene: Scene, plural: bool = False) -> Agreement:
    """Write the object noun phrase with the French preposition that the verb asks for."""
    plural = plural and bool(scene.thing.plural)
    return draft.phrase(scene.thing, "the", plural, prepositions=("", scene.verb.preposition))


def write_because_too(draft: Draft, scene: Scene | None = None) -> None:
    """The animal didn't cross the street because it was too tired."""
    scene = scene or _draw_scene(draft)
    subject = draft.phrase(scene.subject)
    draft.act(scene.verb, "past", subject, "not")
    _reason(draft, scene, (subject, _object(draft, scene)), _BECAUSE)


def _since_too(draft: Draft) -> None:
    """The goat didn't enter the barn since it was too dark."""
    scene = _draw_scene(draft)
    subject = draft.phrase(scene.subject)
    draft.act(scene.verb, "past", subject, "not")
    _reason(draft, scene, (subject, _object(draft, scene)), _SINCE)


def _they_too(draft: Draft) -> None:
    """The mules didn't cross the rivers because they were too deep."""
    scene = _draw_scene(draft, plural=True)
    subject = draft.phrase(scene.subject, "the", True)
    draft.act(scene.verb, "past", subject, "not")
    _reason(draft, scene, (subject, _object(draft, scene, True)), _BECAUSE)


def _because_very(draft: Draft) -> None:
    """The hen crossed the road because it was very curious."""
    scene = _draw_scene(draft, "very")
    subject = draft.phrase(scene.subject)
    draft.act(scene.verb, "past", subject)
    _reason(draft, scene, (subject, _object(draft, scene)), _BECAUSE, degree=_VERY)


def _does_not_want(draft: Draft) -> None:
    """The horse doesn't want to cross the bridge because it is too narrow."""
    scene = _draw_scene(draft)
    subject = draft.phrase(scene.subject)
    draft.act(draft.lexicon.verbs["want"], "present", subject, "not")
    draft.both("to", "")
    draft.infinitive(scene.verb, subject)
    _reason(draft, scene, (subject, _object(draft, scene)), _BECAUSE, tense="present")


def _will_not(draft: Draft) -> None:
    """The cow won't enter the cave because it is too dark."""
    scene = _draw_scene(draft)
    subject = draft.phrase(scene.subject)
    draft.act(scene.verb, "future", subject, "not")
    _reason(draft, scene, (subject, _object(draft, scene)), _BECAUSE, tense="present")


def _so_it(draft: Draft) -> None:
    """The street was too wide, so the animal didn't cross it."""
    scene = _draw_scene(draft, direct=True)
    thing = draft.phrase(scene.thing)
    draft.is_("past", thing)
    draft.predicate(scene.adjective, thing, _TOO)
    draft.stop(",")
    draft.both("so", "alors")
    subject = draft.phrase(scene.subject)
    pronoun = draft.act(scene.verb, "past", subject, "not", clitic="la" if thing.feminine else "le",
                        earlier_object=thing)  # fmt: skip
    draft.word_for("it", pronoun)
    draft.refer(pronoun, thing.mask)
    draft.stop()


PRONOUN_TEMPLATES = (
    Template("because_too", 26, write_because_too),
    Template("since_too", 5, _since_too),
    Template("they_too", 11, _they_too),
    Template("because_very", 4, _because_very),
    Template("does_not_want", 5, _does_not_want),
    Template("will_not", 4, _will_not),
    Template("so_it", 3, _so_it),
)
