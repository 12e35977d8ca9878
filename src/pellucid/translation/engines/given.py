"""Score translations that are given: no search, one forced pass. Read ``../translator.py`` next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pellucid.errors import RequestError
from pellucid.translation.hypothesis import ScoredPair
from pellucid.translation.units import batches_of

if TYPE_CHECKING:
    from pellucid.text.tokenizer import Tokenizer

__all__ = ["ScoringEngine", "score_pairs"]


class ScoringEngine(Protocol):
    """An engine that scores given targets."""

    def score(
        self, places: Sequence[int], source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, list[float]]]:
        """Yield the place of each pair, and the log-probability of each of its target tokens."""


def score_pairs(
    engine: ScoringEngine,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    tokenizer: Tokenizer,
    longest: int,
    batch_size: int,
    progress: Callable[[int], None],
) -> list[ScoredPair]:
    """Score pairs of texts, in order; the end of sentence is scored too.

    Args:
        engine: of the model.
        sources: as many as targets.
        targets: of the sources.
        tokenizer: of the model.
        longest: most positions of the model.
        batch_size: limit of padded tokens in one pass.
        progress: told how many pairs are done.

    Raises:
        RequestError: the numbers of texts differ; or a text cannot be tokenised, is too long for the model or for the
            memory, or has log-probabilities that are no numbers.
    """
    if len(sources) != len(targets):
        raise RequestError(f"{len(sources)} sources and {len(targets)} targets; give as many of each")
    eos = tokenizer.specials.eos
    source_ids = [[*ids, eos] for ids in tokenizer.encode_source(sources)]
    target_ids = [[*ids, eos] for ids in tokenizer.encode_target(targets)]
    lengths = [max(len(source), len(target)) for source, target in zip(source_ids, target_ids, strict=True)]
    for place, length in enumerate(lengths):
        if length > longest:
            raise RequestError(
                f"pair {place + 1} has a side of {length} tokens, and the model has "
                f"{longest} positions; score its sentences one by one"
            )
    scored: dict[int, ScoredPair] = {}
    for batch in batches_of(lengths, batch_size):
        for place, row in engine.score(batch, source_ids, target_ids):
            ids = target_ids[place]
            scored[place] = ScoredPair(tuple(ids), tuple(tokenizer.target_pieces(ids)), sum(row), tuple(row))
        progress(len(scored))
    return [scored[place] for place in range(len(sources))]
