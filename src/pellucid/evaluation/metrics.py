"""BLEU, chrF and TER through sacrebleu, each with the signature that makes it comparable.

A score without its signature means little: BLEU of the same output differs by points between tokenizers
(``bleu_words.py``). A sentence can have several references. Statistics have a row for each sentence, because every
corpus score is a function of their sum; ``significance.py``, which comes next, resamples the rows.

sacrebleu does the counting. This module alone calls its two internal functions; tests compare the results with those
of its public functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from pellucid.errors import DataError, counted
from pellucid.evaluation.bleu_words import TokenizerChoice, bleu_tokenizer, has_words_without_spaces

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

__all__ = [
    "MetricName",
    "References",
    "Score",
    "SentenceStatistics",
    "check_parallel",
    "corpus_score",
    "named_references",
    "reference_sets",
    "sentence_statistics",
]

Floats = npt.NDArray[np.float64]
References = Sequence[str] | Sequence[Sequence[str]]
"""One reference for each sentence, or several such lists."""


class MetricName(StrEnum):
    """A metric. Scores are in percent; TER is an error rate, so less is better and it can be over 100.

    BLEU: Papineni et al. 2002. chrF: Popović 2015, character n-grams up to 6. TER: Snover et al. 2006.
    """

    BLEU = "bleu"
    BLEU_LOWERCASED = "bleu_lowercased"
    CHRF = "chrf"
    CHRF_LOWERCASED = "chrf_lowercased"
    TER = "ter"
    TER_LOWERCASED = "ter_lowercased"

    @property
    def label(self) -> str:
        """Return the name for tables."""
        family, _, lowercased = self.value.partition("_")
        return {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}[family] + (" lowercased" if lowercased else "")

    @property
    def is_lowercased(self) -> bool:
        """Return whether both sides are lowercased before the comparison."""
        return self.value.endswith("_lowercased")

    @property
    def more_is_better(self) -> bool:
        """Return whether a larger score is better."""
        return self not in {MetricName.TER, MetricName.TER_LOWERCASED}


@dataclass(frozen=True)
class Score:
    """The score of a corpus in percent, with the signature of its settings."""

    metric: MetricName
    value: float
    signature: str
    detail: str = ""
    """For BLEU: the precisions of 1- to 4-grams, the brevity penalty, the length ratio."""

    def __str__(self) -> str:
        return f"{self.metric.label} = {self.value:.2f} ({self.signature})"


@dataclass(frozen=True)
class SentenceStatistics:
    """Counts of one metric; ``rows`` have the shape [sentences, counts], and a corpus score needs only their sum."""

    metric: MetricName
    rows: Floats
    signature: str
    counter: Metric

    def score_of(self, total: Floats) -> float:
        """Return the corpus score for a sum of rows, shape [counts]."""
        return float(self.counter._compute_score_from_stats(total.tolist()).score)

    def corpus_score(self) -> Score:
        """Score the whole corpus."""
        result = self.counter._compute_score_from_stats(self.rows.sum(axis=0).tolist())
        detail = ""
        if hasattr(result, "precisions"):
            precisions = "/".join(f"{p:.1f}" for p in result.precisions)
            ratio = result.sys_len / result.ref_len if result.ref_len else 0.0
            detail = (
                f"precisions {precisions}, brevity penalty {result.bp:.3f}, "
                f"length ratio {ratio:.3f} ({counted(result.sys_len, 'word')} for {result.ref_len})"
            )
        return Score(self.metric, float(result.score), self.signature, detail)

    def sentence_scores(self) -> Floats:
        """Score every sentence, shape [sentences]. This suits chrF and TER; BLEU is for whole corpora."""
        return np.array([self.score_of(row) for row in self.rows])


def reference_sets(references: References) -> list[Sequence[str]]:
    """Return the references as a list of lists, also if there is only one list."""
    if all(isinstance(one, str) for one in references):
        return [cast(Sequence[str], references)]
    return list(references)


def named_references(references: References) -> dict[str, Sequence[str]]:
    """Return the lists of references by their names in messages."""
    sets = reference_sets(references)
    if len(sets) == 1:
        return {"references": sets[0]}
    return {f"references (set {number})": texts for number, texts in enumerate(sets, start=1)}


def check_parallel(sides: dict[str, Sequence[str]]) -> None:
    """Refuse sides, given by their names in messages, that are not parallel.

    Raises:
        DataError: a side is empty, or the numbers of lines differ.
    """
    counts = ", ".join(f"{name} {counted(len(lines), 'line')}" for name, lines in sides.items())
    if any(not lines for lines in sides.values()):
        raise DataError(f"nothing to score: {counts}; every side needs at least one")
    if len({len(lines) for lines in sides.values()}) > 1:
        raise DataError(f"the sides have different numbers of lines: {counts}; line n must translate line n")


def sentence_statistics(
    hypotheses: Sequence[str],
    references: References,
    *,
    metric: MetricName,
    target_language: str,
    tokenizer: TokenizerChoice,
) -> SentenceStatistics:
    """Count one metric for each sentence, against one reference or several.

    Raises:
        DataError: a side is empty, or the numbers of lines differ.
    """
    check_parallel({"hypotheses": hypotheses, **named_references(references)})
    sets = reference_sets(references)
    counter = _counter(metric, target_language, tokenizer, sets)
    rows = np.array(counter._extract_corpus_statistics(hypotheses, sets), dtype=np.float64)
    return SentenceStatistics(metric, rows, str(counter.get_signature()), counter)


def corpus_score(
    hypotheses: Sequence[str],
    references: References,
    *,
    target_language: str,
    metric: MetricName = MetricName.BLEU,
    tokenizer: TokenizerChoice | None = None,
) -> Score:
    """Return a single score, as the validations of a training run need it.

    Raises:
        DataError: a side is empty, or the numbers of lines differ.
        ConfigError: the tokenizer of the language is not installed; pass a choice.
    """
    choice = tokenizer or bleu_tokenizer(target_language, references=chain(*reference_sets(references)))
    return sentence_statistics(
        hypotheses, references, metric=metric, target_language=target_language, tokenizer=choice
    ).corpus_score()


def _counter(
    metric: MetricName, target_language: str, tokenizer: TokenizerChoice, references: Sequence[Sequence[str]]
) -> Metric:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if metric in {MetricName.BLEU, MetricName.BLEU_LOWERCASED}:
        # force: sacrebleu would log a warning about text that looks tokenised; the report has a note instead.
        return BLEU(lowercase=metric.is_lowercased, tokenize=tokenizer.name, force=True)
    if metric in {MetricName.CHRF, MetricName.CHRF_LOWERCASED}:
        return CHRF(lowercase=metric.is_lowercased)
    # TER splits at spaces, so a Chinese sentence would be one word.
    by_character = has_words_without_spaces(target_language, chain(*references))
    return TER(case_sensitive=not metric.is_lowercased, normalized=by_character, asian_support=by_character)
