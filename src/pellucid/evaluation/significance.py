"""The uncertainty of a score: bootstrap intervals, and a paired test between two systems.

Both resample the rows of ``SentenceStatistics``, so no sentence is counted again. The random numbers are drawn as in
sacrebleu, and the same seed gives the figures of its command line. Its functions are not called because they read the
seed from the environment and hold all resamples in memory at once (gigabytes for some ten thousand sentences). Read
``report.py`` next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pellucid.errors import DataError, counted
from pellucid.evaluation.metrics import Floats, MetricName, SentenceStatistics

__all__ = ["DEFAULT_SEED", "Comparison", "Interval", "bootstrap_interval", "compare"]

DEFAULT_SEED = 12345
"""The default of sacrebleu, so that intervals agree with its command line."""

# Resamples in memory at once. A multiple of 32, because numpy draws booleans from 32 bits at a time and discards the
# unused ones; only chunks of such sizes give the same stream as a single draw.
_CHUNK = 64


@dataclass(frozen=True)
class Interval:
    """A 95 % bootstrap interval: the middle 95 % of the scores of ``resamples`` resampled corpora."""

    mean: float
    low: float
    high: float
    resamples: int
    seed: int


@dataclass(frozen=True)
class Comparison:
    """One metric of a system against a baseline on the same sentences.

    ``p_value``: two-sided paired approximate randomization, the chance of a difference at least this
    large if the two were one system. ``interval``: of the difference, by paired bootstrap.
    """

    metric: MetricName
    system: float
    baseline: float
    interval: Interval
    p_value: float
    trials: int
    seed: int
    signature: str

    @property
    def difference(self) -> float:
        """Return system minus baseline; negative is better for TER."""
        return self.system - self.baseline

    def verdict(self, *, level: float = 0.05) -> str:
        """Return the result of the test at a level of significance, in words."""
        if self.p_value >= level:
            return f"no significant difference at p < {level:g}"
        is_better = (self.difference > 0) == self.metric.more_is_better
        return f"{'better' if is_better else 'worse'} at p < {level:g}"


def bootstrap_interval(statistics: SentenceStatistics, *, resamples: int = 1000, seed: int = DEFAULT_SEED) -> Interval:
    """Resample sentences with replacement and return the middle 95 % of the corpus scores.

    Koehn 2004, "Statistical Significance Tests for Machine Translation Evaluation", section 3.
    """
    scores = _resampled_scores(statistics, resamples=resamples, seed=seed)
    return _middle(scores, seed)


def compare(
    system: SentenceStatistics,
    baseline: SentenceStatistics,
    *,
    trials: int = 10_000,
    resamples: int = 1000,
    seed: int = DEFAULT_SEED,
) -> Comparison:
    """Test two systems that translated the same sentences.

    Each trial swaps the two outputs of every sentence with probability one half; the p-value is
    (trials with at least the observed difference + 1) / (trials + 1): Riezler and Maxwell 2005,
    figure 1. sacrebleu counts only strictly larger differences, which calls a system significantly
    different from itself; without ties, the two agree.

    Raises:
        DataError: the two do not have the same number of sentences.
    """
    if len(system.rows) != len(baseline.rows) or system.metric != baseline.metric:
        raise DataError(
            f"a paired test needs one metric on the same sentences, but got {system.metric} of {len(system.rows)} and "
            f"{baseline.metric} of {counted(len(baseline.rows), 'sentence')}"
        )
    observed = abs(system.corpus_score().value - baseline.corpus_score().value)
    total = system.rows.sum(axis=0) + baseline.rows.sum(axis=0)
    score_of = _remembering(system)
    at_least_as_large = 0
    for swapped in _coin_flips(trials, len(system.rows), seed):
        mixed = swapped @ baseline.rows + (1.0 - swapped) @ system.rows
        differences = np.array([score_of(one) - score_of(total - one) for one in mixed])
        # the tolerance absorbs rounding, so that equal counts give equal scores
        at_least_as_large += int(np.sum(np.abs(differences) >= observed - 1e-9))
    paired = _resampled_scores(system, resamples=resamples, seed=seed) - _resampled_scores(
        baseline, resamples=resamples, seed=seed
    )
    return Comparison(
        metric=system.metric,
        system=system.corpus_score().value,
        baseline=baseline.corpus_score().value,
        interval=_middle(paired, seed),
        p_value=(at_least_as_large + 1) / (trials + 1),
        trials=trials,
        seed=seed,
        signature=system.signature,
    )


def _remembering(statistics: SentenceStatistics) -> Callable[[Floats], float]:
    """Return ``score_of`` that computes the score of a sum once: few sentences have few sums, which come again."""
    known: dict[bytes, float] = {}

    def score_of(total: Floats) -> float:
        key = total.tobytes()
        if key not in known:
            known[key] = statistics.score_of(total)
        return known[key]

    return score_of


def _resampled_scores(statistics: SentenceStatistics, *, resamples: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    count = len(statistics.rows)
    score_of = _remembering(statistics)
    scores: list[float] = []
    while len(scores) < resamples:
        size = min(_CHUNK, resamples - len(scores))
        chosen: npt.NDArray[np.int64] = generator.choice(count, size=(size, count), replace=True)
        for row in chosen:
            how_often = np.bincount(row, minlength=count)
            scores.append(score_of(how_often @ statistics.rows))
    return np.array(scores)


def _coin_flips(trials: int, count: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    for start in range(0, trials, _CHUNK):
        size = (min(_CHUNK, trials - start), count)
        yield generator.integers(2, size=size, dtype=bool).astype(np.float64)


def _middle(scores: Floats, seed: int) -> Interval:
    ordered = np.sort(scores)
    cut = len(ordered) // 40  # 2.5 % on each side
    return Interval(
        mean=float(ordered.mean()),
        low=float(ordered[cut]),
        high=float(ordered[len(ordered) - cut - 1]),
        resamples=len(ordered),
        seed=seed,
    )
