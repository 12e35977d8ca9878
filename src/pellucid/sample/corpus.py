"""Build the embedded corpus: draw sentences, split them, and write the minimal pairs.

A stable hash of the template and the content words decides the split. It does not depend on the draw, so a
combination belongs to the same split under every seed. Read next: `templates_pronoun.py`.
"""

import random
from bisect import bisect
from collections.abc import Container, Iterable, Iterator
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

    For the pronoun family only the two nouns count, so no (noun, noun, adjective) triple of valid, test or the
    minimal pairs is in train, in any sentence.
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
    """A new pair with its split and the words of both sides."""

    split: str
    pair: SamplePair
    words: set[tuple[str, str]]


def _words(source: Iterable[str], target: Iterable[str]) -> set[tuple[str, str]]:
    """Return the words of a pair, each with its side."""
    return {("source", word) for word in source} | {("target", word) for word in target}


def _finish(draft: Draft, template: str, mark: str = ".") -> SamplePair:
    draft.both(mark, mark)
    return SamplePair(
        draft.source(), draft.target(), template, tuple(draft.content), draft.links(), draft.referents()
    )  # fmt: skip


def _draws(lexicon: Lexicon, seed: int, wanted: Container[str]) -> Iterator[_Drawn | None]:
    """Draw sentences without end; None stands for a repeated sentence, or one of a split that is not in `wanted`."""
    generator = random.Random(seed)
    bounds = list(accumulate(template.weight for template in ALL_TEMPLATES))
    seen: set[str] = set()
    while True:
        template = ALL_TEMPLATES[bisect(bounds, generator.random() * bounds[-1])]
        draft = Draft(lexicon, generator)
        template.write(draft)
        split = split_of(template.name, tuple(draft.content))
        drawn = None
        if split in wanted:
            pair = _finish(draft, template.name, template.mark)
            if pair.source not in seen:
                seen.add(pair.source)
                drawn = _Drawn(split, pair, _words(draft.english, draft.french))
        yield drawn


def build_corpus(
    *, seed: int, train_size: int = 40_000, valid_size: int = 1_000, test_size: int = 2_000
) -> SampleCorpus:
    """Return the corpus of a seed; the same seed and sizes give the same corpus on every machine.

    No (template, content words) combination is in two of train, valid and test. Every word of valid and test, on both
    sides, is in train; with fewer than 20,000 training pairs this can be impossible, and the function fails.

    Raises:
        DataError: a size is negative, or the grammar cannot write so many pairs.
    """
    sizes = {"train": train_size, "valid": valid_size, "test": test_size}
    for split, size in sizes.items():
        if size < 0:
            raise DataError(f"build_corpus: {split}_size = {size}; use 0 or more")
    lexicon = load_lexicon()
    known: set[tuple[str, str]] = set()
    found = _draw_splits(lexicon, seed, sizes, known)
    return SampleCorpus(
        train=tuple(found["train"]),
        valid=tuple(found["valid"]),
        test=tuple(found["test"]),
        minimal_pairs=_minimal_pairs(lexicon, random.Random(seed), known) if train_size else (),
        walkthrough=_walkthrough(lexicon),
    )


def _draw_splits(
    lexicon: Lexicon, seed: int, sizes: dict[str, int], known: set[tuple[str, str]]
) -> dict[str, list[SamplePair]]:
    """Draw until each split has its size; valid and test accept only pairs whose words are all in train.

    The words of train are added to `known`.
    """
    missing = dict(sizes)
    held_out: list[_Drawn] = []
    found: dict[str, list[SamplePair]] = {split: [] for split in sizes}
    attempts = _ATTEMPTS_PER_PAIR * (sum(sizes.values()) + 200)
    wanted = {split for split, size in sizes.items() if size}
    draws = _draws(lexicon, seed, wanted)
    while wanted:
        attempts -= 1
        if attempts < 0:
            raise DataError(
                f"build_corpus: the grammar cannot write {sizes} new pairs for this seed; still missing {missing}. "
                "Request fewer pairs, or a larger train_size (20,000 pairs contain every word)"
            )
        drawn = next(draws)
        if drawn is None:
            continue
        if drawn.split == "train":
            found["train"].append(drawn.pair)
            known |= drawn.words
            missing["train"] -= 1
        else:
            held_out.append(drawn)
        if not missing["train"]:  # only now is the vocabulary of train complete
            for drawn in held_out:
                if missing[drawn.split] and (not sizes["train"] or drawn.words <= known):
                    found[drawn.split].append(drawn.pair)
                    missing[drawn.split] -= 1
            held_out.clear()
            wanted &= {split for split, size in missing.items() if size}
    return found


def _write_scene(lexicon: Lexicon, frame: FamilyFrame, words: tuple[str, str, str]) -> SamplePair:
    """Write "The NOUN didn't VERB the NOUN because it was too ADJECTIVE." with the given words."""
    draft = Draft(lexicon, random.Random(0))
    subject, thing, adjective = words
    described = lexicon.adjectives[adjective]
    scene = Scene(frame.verb, lexicon.nouns[subject], lexicon.nouns[thing], described, described in frame.subject_too)
    draft.content += [subject, frame.verb.lemma, thing, adjective]
    write_because_too(draft, scene)
    return _finish(draft, "because_too")


def _minimal_pairs(lexicon: Lexicon, generator: random.Random, known: set[tuple[str, str]]) -> tuple[MinimalPair, ...]:
    """Return pairs with noun pairs of the test split: one adjective means the subject, the other the object."""
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
        both = [_write_scene(lexicon, frame, (subject, thing, adjective)) for adjective in (first, second)]
        if all(
            split_of(pair.template, pair.content) != "walkthrough"
            and known.issuperset(_words(split_words(pair.source), split_words(pair.target)))
            for pair in both
        ):
            pairs.append(MinimalPair(*both))
    return tuple(pairs)


def _walkthrough(lexicon: Lexicon) -> tuple[SamplePair, ...]:
    """Return the three sentences with which the Transformer is often explained."""
    frame = next(frame for frame in lexicon.family if frame.verb.lemma == "cross")
    student = Draft(lexicon, random.Random(0))
    student.content.append("student")
    write_profession(student, "I", lexicon.nouns["student"])
    return (
        *(_write_scene(lexicon, frame, triple) for triple in _WALKTHROUGH),
        _finish(student, "profession"),
    )
