"""Score given translations: how probable the model finds each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.jobs.models import EngineName, open_translator
from pellucid.text.corpus import read_pairs

__all__ = ["PairScore", "ScoreOutcome", "score_files"]


@dataclass(frozen=True)
class PairScore:
    """One pair: natural log-probability of the translation, end of sentence included, and its tokens."""

    log_probability: float
    num_tokens: int


@dataclass(frozen=True)
class ScoreOutcome:
    """The scores of a file, in order."""

    rows: tuple[PairScore, ...]

    @property
    def perplexity(self) -> float:
        """Exponential of the mean negative log-probability of a token; infinite where that overflows."""
        tokens = sum(row.num_tokens for row in self.rows)
        mean = -sum(row.log_probability for row in self.rows) / max(tokens, 1)
        return math.exp(mean) if mean < 700 else math.inf

    def to_text(self) -> str:
        """Return the line for the screen."""
        tokens = sum(row.num_tokens for row in self.rows)
        return f"{len(self.rows):,} pairs, {tokens:,} target tokens, perplexity {self.perplexity:.4f}"


def score_files(
    model: Path,
    src: Path,
    tgt: Path,
    *,
    device: str = "auto",
    threads: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> ScoreOutcome:
    """Score the lines of two parallel files.

    Raises:
        BundleError: the model cannot be used.
        DataError: the files cannot be read or are not parallel.
    """
    pairs = list(read_pairs(CorpusConfig(src=src, tgt=tgt), index=0, invalid_utf8=InvalidUtf8.STRICT))
    # The native engine searches and does not score; scores are the exact model's.
    translator = open_translator(model, device=device, threads=threads, engine=EngineName.TORCH)
    scored = translator.score([p.source for p in pairs], [p.target for p in pairs], progress=progress)
    return ScoreOutcome(tuple(PairScore(s.log_probability, len(s.token_log_probabilities)) for s in scored))
