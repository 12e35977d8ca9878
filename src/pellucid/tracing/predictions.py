"""What the model predicts at every step: the best candidates, the chosen piece, the entropy.

The names are the same as in the ``probes/`` of training. Read ``edits.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

__all__ = ["NUM_TOP", "Array", "Predictions", "entropy", "log_sum_exp", "predictions_of"]

Array = np.ndarray

NUM_TOP: Final = 50


@dataclass(frozen=True, eq=False)
class Predictions:
    """One row per step. Probabilities are natural logarithms; the arrays are read-only."""

    top_ids: Array
    """[target, 50] int32, the most probable first; of two equal ones the lower id. A small vocabulary has fewer."""
    top_log_probabilities: Array
    """[target, 50]."""
    target_log_probability: Array
    """[target], for the piece that the row predicts in ``Tokens``."""
    target_rank: Array
    """[target] int32: how many pieces are more probable; the best has 0."""
    log_sum_exp: Array
    """[target], of the logits: a logit minus this number is a log-probability."""
    entropy: Array
    """[target] in nats, of the whole distribution: 0 means certain."""

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def predictions_of(logits: Array, log_probabilities: Array, target_ids: tuple[int, ...]) -> Predictions:
    """Summarise ``logits`` and ``log_probabilities`` [target, vocabulary] for the ids that were predicted."""
    order = np.stack([_best(row) for row in log_probabilities])
    rows = np.arange(len(target_ids))
    chosen = log_probabilities[rows, list(target_ids)]
    made = Predictions(
        top_ids=order.astype(np.int32),
        top_log_probabilities=np.take_along_axis(log_probabilities, order, axis=-1),
        target_log_probability=chosen,
        target_rank=(log_probabilities > chosen[:, None]).sum(-1).astype(np.int32),
        log_sum_exp=log_sum_exp(logits).astype(logits.dtype),
        entropy=entropy(log_probabilities).astype(logits.dtype),
    )
    for array in made.arrays().values():
        array.setflags(write=False)
    return made


def _best(log_probabilities: Array) -> Array:
    """Return the ids of the ``NUM_TOP`` most probable pieces [vocabulary], best first, the lower id first among equals.

    What a stable sort of the whole vocabulary returns, in a sixth of its time.
    """
    loss = -log_probabilities
    count = min(NUM_TOP, len(loss))
    last = np.partition(loss, count - 1)[count - 1]
    candidates = np.flatnonzero(~(loss > last))  # with all that equal the last one, and NaN
    order: Array = candidates[np.argsort(loss[candidates], kind="stable")][:count]
    return order


def log_sum_exp(values: Array) -> Array:
    """Return the logarithm of the summed exponentials of the last axis, in float64."""
    wide = values.astype(np.float64)
    most = wide.max(-1)
    total: Array = most + np.log(np.exp(wide - most[..., None]).sum(-1))
    return total


def entropy(log_probabilities: Array) -> Array:
    """Return the entropy of the distributions on the last axis in nats, in float64."""
    wide = log_probabilities.astype(np.float64)
    probabilities = np.exp(wide)
    terms = np.where(probabilities > 0, probabilities * wide, 0.0)
    total: Array = -terms.sum(-1)
    return total
