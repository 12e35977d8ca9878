"""Records of the embedded corpus: a sentence pair with its gold links, and the splits.

Read next: `corpus.py`, which fills these records; `sentence.py`, which writes one pair.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Referent:
    """Say which noun a pronoun stands for, in word indices of `split_words`, on both sides."""

    source_pronoun: int
    source_antecedent: int
    target_pronoun: int
    target_antecedent: int


@dataclass(frozen=True)
class SamplePair:
    """Hold one English sentence, its French, and what is known about both.

    `template` names the sentence pattern, `content` the English dictionary forms of the nouns, verbs and
    adjectives in it, in the order in which the pattern draws them. `links` are (source word, target word) pairs,
    sorted, counted in `split_words`.
    """

    source: str
    target: str
    template: str
    content: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    referents: tuple[Referent, ...]


@dataclass(frozen=True)
class MinimalPair:
    """Hold two sentences that differ in the last adjective only, and so in what "it" means.

    In `first` the pronoun is the subject noun, in `second` the object noun; their genders differ.
    """

    first: SamplePair
    second: SamplePair


@dataclass(frozen=True)
class SampleCorpus:
    """Hold the splits of one corpus; see `build_corpus` for what keeps them apart."""

    train: tuple[SamplePair, ...]
    valid: tuple[SamplePair, ...]
    test: tuple[SamplePair, ...]
    minimal_pairs: tuple[MinimalPair, ...]
    walkthrough: tuple[SamplePair, ...]
