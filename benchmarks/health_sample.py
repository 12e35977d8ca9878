"""The sample of ``health.py``: sentences as they are or disturbed, and what a translation is by its reference."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sacrebleu.metrics.chrf import CHRF

from pellucid.sample.corpus import build_corpus

POOR, DETACHED, SOUND = 30.0, 25.0, 50.0
SHARE_OF_STRANGERS = 0.1
LOOP_SIZE, LOOP_TIMES = 2, 2

Disturb = Callable[[list[str], str, Sequence[str], random.Random], list[str]]


@dataclass(frozen=True)
class Case:
    """A source with the reference of the sentence that it comes from."""

    number: int
    """Of the sentence; all cases of a sentence are on the same side of every split."""
    group: str
    source: str
    reference: str


def inserted(words: list[str], target: str, pieces: Sequence[str], chance: random.Random) -> list[str]:
    """Insert three pieces of the vocabulary, each anywhere."""
    del target
    for _ in range(3):
        words.insert(chance.randrange(len(words) + 1), chance.choice(pieces))
    return words


def dropped(words: list[str], target: str, pieces: Sequence[str], chance: random.Random) -> list[str]:
    """Keep every word with a chance of one half, and one at least."""
    del target, pieces
    return [word for word in words if chance.random() < 0.5] or [chance.choice(words)]


def shuffled(words: list[str], target: str, pieces: Sequence[str], chance: random.Random) -> list[str]:
    """Shuffle the words."""
    del target, pieces
    chance.shuffle(words)
    return words


def foreign(words: list[str], target: str, pieces: Sequence[str], chance: random.Random) -> list[str]:
    """Spell every word backwards: a language that nobody speaks."""
    del target, pieces, chance
    return [word[::-1] for word in words]


def already_translated(words: list[str], target: str, pieces: Sequence[str], chance: random.Random) -> list[str]:
    """Give the sentence in the language that the model should write."""
    del words, pieces, chance
    return target.split()


def repeated(words: list[str], target: str, pieces: Sequence[str], chance: random.Random) -> list[str]:
    """Say one of the words eight times in a row."""
    del target, pieces
    place = chance.randrange(len(words))
    return [*words[:place], *words[place : place + 1] * 8, *words[place + 1 :]]


DISTURBED: Mapping[str, Disturb] = {
    "pieces inserted": inserted,
    "words dropped": dropped,
    "words shuffled": shuffled,
    "spelt backwards": foreign,
    "target language": already_translated,
    "word repeated": repeated,
}


def cases_of(
    pairs: Sequence[tuple[str, str]], pieces: Sequence[str], *, share: int, steps: Sequence[int]
) -> list[Case]:
    """Return the cases: all pairs untouched, and every ``share``-th of each half disturbed, or for a snapshot."""
    chance = random.Random(1)
    found = [Case(number, "untouched", *pair) for number, pair in enumerate(pairs)]
    few = [case for case in found if (case.number // 4) % share == 0]
    for name, disturb in DISTURBED.items():
        found += [
            replace(case, group=name, source=" ".join(disturb(case.source.split(), case.reference, pieces, chance)))
            for case in few
        ]
    return found + [replace(case, group=f"step {step}") for step in steps for case in few]


def most_runs(ids: Sequence[int]) -> int:
    """Return how often the most frequent run of pieces comes."""
    runs = Counter(tuple(ids[place : place + LOOP_SIZE]) for place in range(len(ids) - LOOP_SIZE + 1))
    return max(runs.values(), default=1)


def kinds_of(
    text: str, case: Case, strangers: Sequence[str], *, source_ids: Sequence[int], target_ids: Sequence[int]
) -> tuple[float, frozenset[str]]:
    """Return the chrF of a translation, and what it is."""
    chrf = CHRF()
    nearness = float(chrf.sentence_score(text, [case.reference]).score)
    kinds = {"poor"} if nearness < POOR else set()
    if nearness < DETACHED:
        as_near = [chrf.sentence_score(text, [other]).score >= nearness for other in strangers]
        if sum(as_near) >= SHARE_OF_STRANGERS * len(as_near):
            kinds.add("detached")
    if most_runs(target_ids) >= most_runs(source_ids) + LOOP_TIMES:
        kinds.add("looping")
    return nearness, frozenset(kinds)


def pairs_from(source: str, target: str, *, most: int) -> list[tuple[str, str]]:
    """Read pairs that are spread over two files, or sentences of the embedded corpus."""
    if source == target == "grammar":
        return [(pair.source, pair.target) for pair in build_corpus(seed=1).test[:most]]
    sides = [Path(name).read_text(encoding="utf-8").splitlines() for name in (source, target)]
    pairs = [*zip(*sides, strict=True)]
    return pairs[:: max(1, len(pairs) // most)][:most]
