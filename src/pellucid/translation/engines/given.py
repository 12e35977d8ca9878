"""Score translations that are given, or look where they attend: no search, one forced pass.

Read ``../translator.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pellucid.errors import RequestError, counted
from pellucid.translation.hypothesis import ScoredPair
from pellucid.translation.units import batches_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pellucid.text.tokenizer import Tokenizer
    from pellucid.translation.alignment.heads import AlignmentHeads

__all__ = ["ForcedEngine", "score_pairs"]


@runtime_checkable
class ForcedEngine(Protocol):
    """An engine that also runs over translations that are there; its results do not depend on the others of a call.

    Source and target ids carry their end of sentence, but for the targets of ``attention``.
    """

    @property
    def name(self) -> str:
        """What messages call it."""

    def score(
        self, places: Sequence[int], source_ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, list[float]]]:
        """Yield the place of some of the pairs, in any order, and the log-probability of each target token.

        Raises:
            RequestError: there is no memory for a pair, or its log-probabilities are no numbers.
        """

    def attention(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, heads: AlignmentHeads, batch_size: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the place of each pair, in any order, and the mean weights of the heads [target, source].

        ``batch_size`` is the limit of padded tokens in one pass, where there is padding.

        Raises:
            RequestError: there is no memory for a pair.
        """


def score_pairs(
    engine: ForcedEngine,
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
        raise RequestError(
            f"{counted(len(sources), 'source')} and {counted(len(targets), 'target')}; give as many of each"
        )
    eos = tokenizer.specials.eos
    source_ids = [[*ids, eos] for ids in tokenizer.encode_source(sources)]
    target_ids = [[*ids, eos] for ids in tokenizer.encode_target(targets)]
    lengths = [max(len(source), len(target)) for source, target in zip(source_ids, target_ids, strict=True)]
    for place, length in enumerate(lengths):
        if length > longest:
            raise RequestError(
                f"pair {place + 1} has a side of {counted(length, 'token')}, and the model has "
                f"{longest} positions; score its sentences one by one"
            )
    scored: dict[int, ScoredPair] = {}
    for batch in batches_of(lengths, batch_size):
        for place, row in engine.score(batch, source_ids, target_ids):
            ids = target_ids[place]
            scored[place] = ScoredPair(tuple(ids), tuple(tokenizer.target_pieces(ids)), sum(row), tuple(row))
        progress(len(scored))
    return [scored[place] for place in range(len(sources))]
