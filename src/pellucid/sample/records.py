"""Define the records of the embedded corpus: a sentence pair with its gold links, and the splits.

Read next: `corpus.py`, which fills these records; `sentence.py`, which writes one pair.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Referent:
    """A pronoun and the noun that it refers to, as word indices of `split_words`, on both sides."""

    source_pronoun: int
    source_antecedent: int
    target_pronoun: int
    target_antecedent: int


@dataclass(frozen=True)
class SamplePair:
    """An English sentence, its French translation, and the analysis of both.

    `template` names the sentence pattern. `content` lists the English dictionary forms of its nouns, verbs and
    adjectives, in the order in which the pattern draws them. `links` are sorted (source word, target word) indices of
    `split_words`.
    """

    source: str
    target: str
    template: str
    content: tuple[str, ...]
    links: tuple[tuple[int, int], ...]
    referents: tuple[Referent, ...]


@dataclass(frozen=True)
class MinimalPair:
    """Two sentences that differ only in the last adjective, and therefore in what "it" means.

    In `first` the pronoun refers to the subject, in `second` to the object; their genders differ.
    """

    first: SamplePair
    second: SamplePair


@dataclass(frozen=True)
class SampleCorpus:
    """The splits of one corpus; `build_corpus` says how they differ."""

    train: tuple[SamplePair, ...]
    valid: tuple[SamplePair, ...]
    test: tuple[SamplePair, ...]
    minimal_pairs: tuple[MinimalPair, ...]
    walkthrough: tuple[SamplePair, ...]
