"""Score given translations: how probable the model finds each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pellucid.config import CorpusConfig, InvalidUtf8
from pellucid.errors import counted
from pellucid.jobs.options.translation import ModelOptions
from pellucid.text.corpus import read_pairs
from pellucid.translation.hypothesis import ScoredPair

__all__ = ["ScoreOutcome", "score_files"]


@dataclass(frozen=True)
class ScoreOutcome:
    """The scores of the pairs of a file, in order."""

    pairs: tuple[ScoredPair, ...]

    def to_text(self) -> str:
        """Return the line for the screen; the perplexity is infinite where it overflows."""
        tokens = sum(len(pair.ids) for pair in self.pairs)
        mean = -sum(pair.log_probability for pair in self.pairs) / max(tokens, 1)
        perplexity = math.exp(mean) if mean < 700 else math.inf
        return f"{counted(len(self.pairs), 'pair')}, {counted(tokens, 'target token')}, perplexity {perplexity:.4f}"


def score_files(
    model: Path,
    src: Path,
    tgt: Path,
    *,
    options: ModelOptions,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] = lambda done: None,
) -> ScoreOutcome:
    """Score the lines of two parallel files; ``say`` is called with the engine that does it.

    Raises:
        ConfigError: the engine or the precision is unknown, or they do not go together.
        EngineUnavailableError: the engine that is asked for is not available here.
        BundleError: the model cannot be used.
        DataError: the files cannot be read or are not parallel.
    """
    pairs = list(read_pairs(CorpusConfig(src=src, tgt=tgt), index=0, invalid_utf8=InvalidUtf8.STRICT))
    translator = options.open(model, say=say)
    return ScoreOutcome(
        tuple(translator.score([p.source for p in pairs], [p.target for p in pairs], progress=progress))
    )
