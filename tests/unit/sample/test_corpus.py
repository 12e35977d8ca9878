"""What the embedded corpus promises: a function, disjoint splits, gold links, the same bytes everywhere."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from pellucid.errors import DataError
from pellucid.sample import SampleCorpus, SamplePair, build_corpus, split_words
from pellucid.sample.corpus import ALL_TEMPLATES, PRONOUN_FAMILY, split_of

SMALL = "from pellucid.sample import build_corpus; import hashlib; c = build_corpus(seed=11, train_size=3001, \
valid_size=29, test_size=53); print(hashlib.sha256(repr(c).encode()).hexdigest())"


@pytest.fixture(scope="module")
def corpus() -> SampleCorpus:
    return build_corpus(seed=7)


@pytest.fixture(scope="module")
def everything(corpus: SampleCorpus) -> list[SamplePair]:
    minimal = [pair for both in corpus.minimal_pairs for pair in (both.first, both.second)]
    return [*corpus.train, *corpus.valid, *corpus.test, *minimal, *corpus.walkthrough]


def test_sizes_and_promised_counts(corpus: SampleCorpus) -> None:
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (40_000, 1_000, 2_000)
    assert len(corpus.minimal_pairs) >= 200
    assert len(ALL_TEMPLATES) >= 40
    assert len({template.name for template in ALL_TEMPLATES}) == len(ALL_TEMPLATES)
    assert {pair.template for pair in corpus.train} == {template.name for template in ALL_TEMPLATES}
    words = [len(pair.source.split()) for pair in corpus.train]
    assert sum(words) / len(words) >= 9


def test_the_walkthrough_is_word_for_word_the_classic_one(corpus: SampleCorpus) -> None:
    assert [(pair.source, pair.target) for pair in corpus.walkthrough] == [
        (
            "The animal didn't cross the street because it was too tired.",
            "L'animal n'a pas traversé la rue parce qu'il était trop fatigué.",
        ),
        (
            "The animal didn't cross the street because it was too wide.",
            "L'animal n'a pas traversé la rue parce qu'elle était trop large.",
        ),
        ("I am a student.", "Je suis étudiant."),
    ]
    tired, wide, _ = corpus.walkthrough
    for pair, noun, nom, pronoun in ((tired, "animal", "animal", "il"), (wide, "street", "rue", "elle")):
        words, mots = split_words(pair.source), split_words(pair.target)
        (referent,) = pair.referents
        assert words[referent.source_pronoun] == "it"
        assert words[referent.source_antecedent] == noun
        assert mots[referent.target_pronoun] == pronoun
        assert mots[referent.target_antecedent] == nom


def test_french_is_a_function_of_english(everything: list[SamplePair]) -> None:
    french: dict[str, str] = {}
    for pair in everything:
        assert french.setdefault(pair.source, pair.target) == pair.target


def test_splits_share_no_combination_and_no_sentence(corpus: SampleCorpus) -> None:
    splits = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}
    combinations = {
        name: {(pair.template, tuple(sorted(pair.content))) for pair in pairs} for name, pairs in splits.items()
    }
    sentences = {name: {pair.source for pair in pairs} for name, pairs in splits.items()}
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        assert not combinations[first] & combinations[second]
        assert not sentences[first] & sentences[second]
    for name, pairs in splits.items():
        assert len(sentences[name]) == len(pairs)
        assert {split_of(pair.template, pair.content) for pair in pairs} == {name}


def test_a_combination_belongs_to_one_split_whatever_the_seed(corpus: SampleCorpus) -> None:
    other = build_corpus(seed=8, train_size=5_003, valid_size=101, test_size=211)
    trained = {(pair.template, tuple(sorted(pair.content))) for pair in other.train}
    assert not trained & {(pair.template, tuple(sorted(pair.content))) for pair in (*corpus.test, *corpus.valid)}


def test_every_held_out_word_is_seen_in_training(corpus: SampleCorpus, everything: list[SamplePair]) -> None:
    english = {word for pair in corpus.train for word in split_words(pair.source)}
    french = {word for pair in corpus.train for word in split_words(pair.target)}
    held_out = everything[len(corpus.train) :]
    assert not {word for pair in held_out for word in split_words(pair.source)} - english
    assert not {word for pair in held_out for word in split_words(pair.target)} - french
    lemmas = {lemma for pair in corpus.train for lemma in pair.content}
    assert not {lemma for pair in held_out for lemma in pair.content} - lemmas


def triples(pairs: list[SamplePair]) -> set[tuple[str, str, str]]:
    return {(pair.content[0], pair.content[2], pair.content[3]) for pair in pairs if pair.template in PRONOUN_FAMILY}


def test_minimal_pairs_turn_on_the_last_adjective_and_are_unseen(corpus: SampleCorpus) -> None:
    trained = triples([*corpus.train, *corpus.valid])
    for pair in corpus.minimal_pairs:
        one, other = split_words(pair.first.source), split_words(pair.second.source)
        assert [index for index, (a, b) in enumerate(zip(one, other, strict=True)) if a != b] == [len(one) - 2]
        mots = split_words(pair.first.target)
        assert {mots[r.target_pronoun] for r in pair.first.referents} != {
            split_words(pair.second.target)[r.target_pronoun] for r in pair.second.referents
        }
        assert pair.first.referents[0].source_antecedent == 1
        assert pair.second.referents[0].source_antecedent == 5 or "over" in one
        assert not trained & triples([pair.first, pair.second])


def test_the_walkthrough_triples_stay_out_of_every_split(corpus: SampleCorpus) -> None:
    for pair in (*corpus.train, *corpus.valid, *corpus.test):
        assert not ({"animal", "street"} <= set(pair.content) and {"tired", "wide"} & set(pair.content)), pair.source
        assert pair.source != "I am a student."


def test_the_pronoun_family_is_a_good_share_and_balanced(corpus: SampleCorpus) -> None:
    family = [pair for pair in corpus.train if pair.template in PRONOUN_FAMILY]
    assert 0.22 <= len(family) / len(corpus.train) <= 0.32
    pronouns = Counter(split_words(pair.target)[pair.referents[0].target_pronoun] for pair in family)
    assert pronouns["il"] + pronouns["ils"] < 1.6 * (pronouns["elle"] + pronouns["elles"])
    assert len({(pair.content[0], pair.content[2]) for pair in family}) >= 400


def test_links_are_in_range_and_every_content_word_has_one(everything: list[SamplePair]) -> None:
    without_counterpart = {"a", "an", "to"}  # the article of a trade, the infinitive's "to"
    for pair in everything:
        words, mots = split_words(pair.source), split_words(pair.target)
        assert list(pair.links) == sorted(set(pair.links))
        assert all(0 <= i < len(words) and 0 <= j < len(mots) for i, j in pair.links)
        left, right = {i for i, _ in pair.links}, {j for _, j in pair.links}
        assert {word for index, word in enumerate(words) if index not in left} <= without_counterpart, pair.source
        assert {word for index, word in enumerate(mots) if index not in right} <= {","}, pair.target


def test_the_word_split_gives_the_text_back(everything: list[SamplePair]) -> None:
    for pair in everything:
        for text in (pair.source, pair.target):
            assert "".join(split_words(text)) == text.replace(" ", "")


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    here = build_corpus(seed=11, train_size=3001, valid_size=29, test_size=53)
    again = build_corpus(seed=11, train_size=3001, valid_size=29, test_size=53)
    digest = hashlib.sha256(repr(here).encode()).hexdigest()
    assert digest == hashlib.sha256(repr(again).encode()).hexdigest()
    for hash_seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", SMALL]
        there = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert there.stdout.strip() == digest
    assert build_corpus(seed=12, train_size=211, valid_size=0, test_size=0).train != here.train[:211]


def test_impossible_sizes_are_refused_with_a_remedy() -> None:
    with pytest.raises(DataError, match=r"train_size = -1; use 0 or more"):
        build_corpus(seed=1, train_size=-1)
    with pytest.raises(DataError, match=r"still missing .*larger train_size"):
        build_corpus(seed=1, train_size=2, valid_size=0, test_size=53)


_NEVER = re.compile(
    r"(?i:\b(?:le|la|je|me|te|se|ne|de|que|puisque|lorsque|ce) (?:[aàâeéèêëiîïoôuùûyœ]|h(?:omme|ôpital|ôtel|istoire)))"
    r"|\bsi ils?\b|\bde les?\b|\bà les?\b|  |[’“”«»]|\b[Ss]'elle|\bl'(?:héros|hérisson|hibou|haie|hangar|haut)"
    r"|\b(?:le|un|ce|[ms]on|notre|votre|leur) (?:beau|nouveau|vieux) (?:[aeéioêœ]|h(?!éros|érisson|ibou))"
    r"|\b[Mm]a (?:écharpe|amie|armoire)\b"
    r"|\b[cC]e (?:homme|hôtel|hôpital|ordinateur|appareil|arbre)\b"
    r"|\bdes (?:belles|beaux|vieux|vieilles|grands|petits)\b"
)
_ENGLISH_NEVER = re.compile(r"\ba [aeio]|\ban [^aeiouh]|  |[’“”]|\b(?:he|she|it) (?:are|were) (?!not)|\bI is\b")


def test_elision_and_contraction_are_never_missed(everything: list[SamplePair]) -> None:
    partitive_genitive = re.compile(r"\b(?:près|côté) des ")
    for pair in everything:
        found = _NEVER.search(pair.target)
        assert not found or partitive_genitive.search(pair.target), pair.target
        english = _ENGLISH_NEVER.search(pair.source)
        assert not english or pair.source.startswith("If "), pair.source


def test_punctuation_follows_one_rule(everything: list[SamplePair]) -> None:
    for pair in everything:
        assert pair.source[-1] == pair.target[-1]
        assert pair.source[-1] in ".?"
        assert pair.target.endswith(" ?") or not pair.target.endswith("?")
        assert not re.search(r" [.,]", pair.source + pair.target)
        assert " ?" not in pair.source
        assert pair.source[0].isupper()
        assert pair.target[0].isupper()


@pytest.mark.slow
def test_the_grammar_writes_two_hundred_thousand_distinct_pairs() -> None:
    corpus = build_corpus(seed=5, train_size=200_000, valid_size=0, test_size=0)
    french = {pair.source: pair.target for pair in corpus.train}
    assert len(french) == 200_000
    assert all(french[pair.source] == pair.target for pair in corpus.train)
