"""Word dropout, R-Drop and SimCut for packed and static batches: what a pass sees, and two passes as one batch.

``../regularisers.py`` does the same for plain steps. Read ``network.py`` next.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pellucid.config import ModelConfig, TrainingConfig, WordDropout
from pellucid.training.regularisers import pair_weights, without_words

if TYPE_CHECKING:
    from pellucid.training.gpu.corpus import StaticBatch
    from pellucid.training.packed.batch import PackedBatch

__all__ = ["regularised"]

Batch = TypeVar("Batch", "StaticBatch", "PackedBatch")


def regularised(batch: Batch, *, config: TrainingConfig, model: ModelConfig, start_id: int) -> Batch:
    """Return the batch that is computed: without random words, and twice where two passes shall agree.

    Raises:
        ConfigError: tokens shall become the zero vector, and the model has none.
    """
    drop = partial(without_words, config=model, start_id=start_id)
    first = batch.with_ids(
        drop(batch.ids()[0], config.source_word_dropout, form=config.word_dropout),
        drop(batch.ids()[1], config.target_word_dropout, form=config.word_dropout),
    )
    if (weights := pair_weights(config)) is None:
        return first
    cut = config.simcut_cutoff if config.simcut else 0.0
    second = first.with_ids(*(drop(ids, cut, form=WordDropout.ZERO) for ids in first.ids()))
    return first.joined(second, weights)
