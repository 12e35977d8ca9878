"""Word dropout, R-Drop and SimCut for packed steps: what the passes see, and two passes as one batch.

The two passes are the halves of a batch, token by token, each with its own tokens left over. Read ``network.py`` next.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pellucid.config import ModelConfig, TrainingConfig, WordDropout
from pellucid.training.packed.batch import PackedBatch, Side
from pellucid.training.regularisers import pair_weights, without_words

__all__ = ["regularised"]


def regularised(batch: PackedBatch, *, config: TrainingConfig, model: ModelConfig, start_id: int) -> PackedBatch:
    """Return the batch that is computed: without random words, and twice where two passes shall agree.

    Raises:
        ConfigError: tokens shall become the zero vector, and the model has none.
    """

    def shown(batch: PackedBatch, source_rate: float, target_rate: float, form: WordDropout) -> PackedBatch:
        source, target = (
            replace(side, ids=without_words(side.ids, rate, form=form, config=model, start_id=start_id))
            for side, rate in ((batch.source, source_rate), (batch.target, target_rate))
        )
        return replace(batch, source=source, target=target)

    first = shown(batch, config.source_word_dropout, config.target_word_dropout, config.word_dropout)
    if (weights := pair_weights(config)) is None:
        return first
    cut = config.simcut_cutoff if config.simcut else 0.0
    second = shown(first, cut, cut, WordDropout.ZERO)
    return PackedBatch(
        source=_joined(first.source, second.source),
        target=_joined(first.target, second.target),
        target_ids=torch.cat([first.target_ids, second.target_ids]),
        target_weights=torch.cat([first.target_weights, second.target_weights]),
        pair=weights,
    )


def _joined(first: Side, second: Side) -> Side:
    """Return two sides with rows of the same lengths as one."""
    return Side(
        torch.cat([first.ids, second.ids]),
        torch.cat([first.positions, second.positions]),
        torch.cat([first.bounds, second.bounds[1:] + len(first.ids)]),
        first.block,
    )
