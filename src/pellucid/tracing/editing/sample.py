"""A stated sample of sentence pairs, over which a model's values are averaged. Read ``choices.py`` next.

The mean over a sample is what a head usually says, whatever the sentence. The sample is a part of the edit: its
sentences are stored with the trace, and their hash stands in the text of the edit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from pellucid.errors import RequestError, counted
from pellucid.sample.corpus import build_corpus

__all__ = ["Sample", "embedded_sample"]

_EMBEDDED_PAIRS: Final = 40


@dataclass(frozen=True)
class Sample:
    """Sentence pairs (source, target); the decoder is fed the targets.

    Raises:
        RequestError: there are no pairs.
    """

    pairs: tuple[tuple[str, str], ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.pairs:
            raise RequestError("a sample has no sentence pairs; give at least one")

    @staticmethod
    def of(pairs: Iterable[Iterable[str]]) -> Sample:
        """Return the sample of pairs of texts.

        Raises:
            RequestError: something is not a pair of texts.
        """
        made = tuple(tuple(pair) for pair in pairs)
        for number, pair in enumerate(made):
            if len(pair) != 2 or not all(isinstance(text, str) and text.strip() for text in pair):
                raise RequestError(f"pair {number} of the sample is {pair!r}; give two texts, source and target")
        return Sample(made)  # type: ignore[arg-type]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the pairs as JSON."""
        return hashlib.sha256(json.dumps(self.pairs, ensure_ascii=False).encode("utf-8")).hexdigest()

    def __repr__(self) -> str:
        return f"<Sample {self.sha256[:12]}: {counted(len(self.pairs), 'pair')}>"


def embedded_sample() -> Sample:
    """Return the first pairs of the validation split of the embedded corpus."""
    corpus = build_corpus(seed=1, train_size=0, valid_size=_EMBEDDED_PAIRS, test_size=0)
    return Sample(tuple((pair.source, pair.target) for pair in corpus.valid))
