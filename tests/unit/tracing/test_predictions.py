"""The most probable pieces are those of a stable sort of the whole vocabulary, found without one."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.tracing.predictions import NUM_TOP, predictions_of


@pytest.mark.parametrize("vocabulary", [1, NUM_TOP - 1, NUM_TOP, 211])
@pytest.mark.parametrize("kinds", [1, 3, 997])
def test_the_best_pieces_are_those_of_a_stable_sort(vocabulary: int, kinds: int) -> None:
    """Also among many that are equally probable, impossible or no numbers at all."""
    random = np.random.default_rng(vocabulary * kinds)
    rows = -random.integers(0, kinds, (7, vocabulary)).astype(np.float32)
    rows[5, random.integers(vocabulary)] = -np.inf
    rows[6, random.integers(vocabulary)] = np.nan
    with np.errstate(all="ignore"):
        made = predictions_of(rows, rows, (0,) * 7)
    wanted = np.argsort(-rows, axis=-1, kind="stable")[:, :NUM_TOP]
    np.testing.assert_array_equal(made.top_ids, wanted)
    np.testing.assert_array_equal(made.top_log_probabilities, np.take_along_axis(rows, wanted, axis=-1))
