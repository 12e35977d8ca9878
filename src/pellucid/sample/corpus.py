"""Build the embedded corpus: draw sentences, keep them apart, and make the minimal pairs.

What decides the split is a stable hash of the combination of template and content words, never the draw, so a
combination belongs to one split under every seed. Read next: `templates_pronoun.py`.
"""

import random
from bisect import bisect
from collections.abc import Container
from dataclasses import dataclass
from itertools import accumulate
from zlib import crc32

from pellucid.errors import DataError
from pellucid.sample.draft import Draft, Template
from pellucid.sample.lexicon import FamilyFrame, Lexicon, load_lexicon
from pellucid.sample.records import MinimalPair, SampleCorpus, SamplePair
from pellucid.sample.templates_clauses import CLAUSE_TEMPLATES
from pellucid.sample.templates_deeds import DEED_TEMPLATES
from pellucid.sample.templates_pronoun import PRONOUN_TEMPLATES, Scene, write_because_too
from pellucid.sample.templates_questions import QUESTION_TEMPLATES
from pellucid.sample.templates_statements import STATEMENT_TEMPLATES, write_profession
from pellucid.sample.words import split_words

ALL_TEMPLATES: tuple[Template, ...] = (
    PRONOUN_TEMPLATES + DEED_TEMPLATES + STATEMENT_TEMPLATES + CLAUSE_TEMPLATES + QUESTION_TEMPLATES
)
PRONOUN_FAMILY = frozenset(template.name for template in PRONOUN_TEMPLATES)

_BUCKETS = 100
_TEST_BUCKETS = 8
_VALID_BUCKETS = 4
_MINIMAL_PAIRS = 400
_ATTEMPTS_PER_PAIR = 60
_WALKTHROUGH = (("animal", "street", "tired"), ("animal", "street", "wide"))


def split_of(template: str, content: tuple[str, ...]) -> str:
    """Return the split that a combination belongs to: train, valid, test or walkthrough.

    The pronoun family is split by its two nouns alone, so no (noun, noun, adjective) triple of valid, test or the
    minimal pairs is ever trained on, whatever the sentence around it.
    """
    words = set(content)
    if any(words.issuperset(triple) for triple in _WALKTHROUGH) or (template, content) == ("profession", ("student",)):
        return "walkthrough"
    if template in PRONOUN_FAMILY:
        key = "family " + " ".join(sorted((content[0], content[2])))
    else:
        key = f"{template} {' '.join(sorted(content))}"
    bucket = crc32(key.encode("utf-8")) % _BUCKETS
    if bucket < _TEST_BUCKETS:
        return "test"
    return "valid" if bucket < _TEST_BUCKETS + _VALID_BUCKETS else "train"


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Hold a finished pair with its split and the words of both sides as `split_words` finds them."""

    split: str
    pair: SamplePair
    source_words: list[str]
    target_words: list[str]


def _finish(draft: Draft, template: str, source: str) -> SamplePair:
    return SamplePair(source, draft.target(), template, tuple(draft.content), draft.links(), draft.referents())


class _Vocabulary:
    """Hold the words that the training pairs show, each side apart."""

    def __init__(self) -> None:
        self._source: set[str] = set()
        self._target: set[str] = set()

    def learn(self, drawn: _Drawn) -> None:
        self._source.update(drawn.source_words)
        self._target.update(drawn.target_words)

    def knows(self, source_words: list[str], target_words: list[str]) -> bool:
        return self._source.issuperset(source_words) and self._target.issuperset(target_words)


class _Drawer:
    """Draw new sentences without end, each English sentence once."""

    def __init__(self, lexicon: Lexicon, seed: int) -> None:
        self._lexicon = lexicon
        self._random = random.Random(seed)
        self._bounds = list(accumulate(template.weight for template in ALL_TEMPLATES))
        self._seen: set[str] = set()

    def draw(self, wanted: Container[str]) -> _Drawn | None:
        """Return a new pair, or None if the draw is a repetition or belongs to a split that nobody waits for."""
        index = bisect(self._bounds, self._random.random() * self._bounds[-1])
        template = ALL_TEMPLATES[index]
        draft = Draft(self._lexicon, self._random)
        template.write(draft)
        split = split_of(template.name, tuple(draft.content))
        if split not in wanted:
            return None
        source = draft.source()
        if source in self._seen:
            return None
        self._seen.add(source)
        return _Drawn(split, _finish(draft, template.name, source), draft.english, draft.french)


def build_corpus(
    *, seed: int, train_size: int = 40_000, valid_size: int = 1_000, test_size: int = 2_000
) -> SampleCorpus:
    """Write the corpus of a seed; the same seed and sizes give the same corpus on every machine.

    No (template, content words) combination is in two of train, valid and test; every word of valid and test, on both
    sides, is in train (which a train set of less than some 20,000 pairs cannot always promise: then it is an error).

    Raises:
        DataError: a size is negative, or the grammar cannot fill the sizes asked for.
    """
    sizes = {"train": train_size, "valid": valid_size, "test": test_size}
    for split, size in sizes.items():
        if size < 0:
            raise DataError(f"build_corpus: {split}_size = {size}; use 0 or more")
    lexicon = load_lexicon()
    known = _Vocabulary()
    found = _draw_splits(_Drawer(lexicon, seed), sizes, known)
    return SampleCorpus(
        train=tuple(found["train"]),
        valid=tuple(found["valid"]),
        test=tuple(found["test"]),
        minimal_pairs=_minimal_pairs(lexicon, random.Random(seed), known) if train_size else (),
        walkthrough=_walkthrough(lexicon),
    )


def _draw_splits(drawer: _Drawer, sizes: dict[str, int], known: _Vocabulary) -> dict[str, list[SamplePair]]:
    """Draw until each split has its size; valid and test take only pairs whose every word is in train."""
    missing = dict(sizes)
    held_out: list[_Drawn] = []
    found: dict[str, list[SamplePair]] = {split: [] for split in sizes}
    attempts = _ATTEMPTS_PER_PAIR * (sum(sizes.values()) + 200)
    wanted = {split for split, size in sizes.items() if size}
    while wanted:
        attempts -= 1
        if attempts < 0:
            raise DataError(
                f"build_corpus: the grammar cannot write {sizes} new pairs for this seed; still missing {missing}. "
                "Ask for fewer pairs, or for a larger train_size (20,000 or more shows every word)"
            )
        drawn = drawer.draw(wanted)
        if drawn is None:
            continue
        if drawn.split == "train":
            found["train"].append(drawn.pair)
            known.learn(drawn)
            missing["train"] -= 1
        else:
            held_out.append(drawn)
        if not missing["train"]:  # only now is the vocabulary of train complete
            for drawn in held_out:
                if missing[drawn.split] and (not sizes["train"] or known.knows(drawn.source_words, drawn.target_words)):
                    found[drawn.split].append(drawn.pair)
                    missing[drawn.split] -= 1
            held_out.clear()
            wanted = {split for split, size in missing.items() if size}
    return found


def _write_scene(lexicon: Lexicon, frame: FamilyFrame, words: tuple[str, str, str]) -> SamplePair:
    """Write "The NOUN didn't VERB the NOUN because it was too ADJECTIVE." with the given words."""
    draft = Draft(lexicon, random.Random(0))
    subject, thing, adjective = words
    described = lexicon.adjectives[adjective]
    scene = Scene(frame.verb, lexicon.nouns[subject], lexicon.nouns[thing], described, described in frame.subject_too)
    draft.content += [subject, frame.verb.lemma, thing, adjective]
    write_because_too(draft, scene)
    return _finish(draft, "because_too", draft.source())


def _minimal_pairs(lexicon: Lexicon, generator: random.Random, known: _Vocabulary) -> tuple[MinimalPair, ...]:
    """Return pairs of held-out noun pairs: one adjective means the subject, the other the object."""
    choices = [
        (frame, subject.lemma, thing.lemma, first.lemma, second.lemma)
        for frame in lexicon.family
        for subject in frame.subjects
        for thing, adjectives in frame.object_too
        if subject.feminine != thing.feminine
        and split_of("because_too", (subject.lemma, frame.verb.lemma, thing.lemma)) == "test"
        for first in frame.subject_too
        for second in adjectives
    ]
    generator.shuffle(choices)
    pairs: list[MinimalPair] = []
    for frame, subject, thing, first, second in choices:
        if len(pairs) == _MINIMAL_PAIRS:
            break
        pair = MinimalPair(
            _write_scene(lexicon, frame, (subject, thing, first)),
            _write_scene(lexicon, frame, (subject, thing, second)),
        )
        if "walkthrough" in (split_of(member.template, member.content) for member in (pair.first, pair.second)):
            continue
        if all(known.knows(split_words(one.source), split_words(one.target)) for one in (pair.first, pair.second)):
            pairs.append(pair)
    return tuple(pairs)


def _walkthrough(lexicon: Lexicon) -> tuple[SamplePair, ...]:
    """Return the three sentences in which this model is explained everywhere."""
    frame = next(frame for frame in lexicon.family if frame.verb.lemma == "cross")
    student = Draft(lexicon, random.Random(0))
    student.content.append("student")
    write_profession(student, "I", lexicon.nouns["student"])
    return (
        *(_write_scene(lexicon, frame, triple) for triple in _WALKTHROUGH),
        _finish(student, "profession", student.source()),
    )
