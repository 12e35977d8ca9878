"""Intervals and p-values: equal to sacrebleu's where it computes them, right at the edges where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest

from pellucid.errors import DataError
from pellucid.evaluation import significance
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.metrics import MetricName, SentenceStatistics, sentence_statistics
from pellucid.evaluation.significance import bootstrap_interval, compare

WORDS = ["the", "a", "dog", "cat", "bird", "runs", "sleeps", "sings", "in", "tree", "house", "street", "old", "red"]


def corpus(*, sentences: int = 97, seed: int = 1) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, size=generator.integers(5, 17))) + "." for _ in range(sentences)]


def damaged(references: list[str], *, share: float, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [
        " ".join("something" if generator.random() < share else word for word in line.split()) for line in references
    ]


REFERENCES = corpus()
GOOD = damaged(REFERENCES, share=0.13, seed=2)
SIMILAR = damaged(REFERENCES, share=0.13, seed=3)
BAD = damaged(REFERENCES, share=0.31, seed=4)


def statistics(hypotheses: list[str], metric: MetricName = MetricName.BLEU) -> SentenceStatistics:
    return sentence_statistics(
        hypotheses, REFERENCES[: len(hypotheses)], metric=metric, target_language="en", tokenizer=bleu_tokenizer("en")
    )


PUBLIC = {
    MetricName.BLEU: BLEU,
    MetricName.CHRF: CHRF,
    MetricName.TER: lambda: TER(case_sensitive=True),
}


@pytest.mark.parametrize("metric", PUBLIC)
def test_the_interval_is_sacrebleus(metric: MetricName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "12345")
    expected = PUBLIC[metric]().corpus_score(GOOD, [REFERENCES], n_bootstrap=211)
    interval = bootstrap_interval(statistics(GOOD, metric), resamples=211)
    assert interval.mean == pytest.approx(expected._mean, abs=1e-4)  # it sums in float32
    assert (interval.high - interval.low) / 2 == pytest.approx(expected._ci, abs=1e-4)
    assert (interval.resamples, interval.seed) == (211, 12345)


@pytest.mark.parametrize(
    ("metric", "other"),
    # TER counts whole edits, so trials of similar systems tie with what was observed
    [(MetricName.BLEU, SIMILAR), (MetricName.CHRF, SIMILAR), (MetricName.TER, BAD), (MetricName.BLEU, BAD)],
    ids=["bleu-similar", "chrf-similar", "ter-bad", "bleu-bad"],
)
def test_the_p_value_is_sacrebleus_where_nothing_ties(
    metric: MetricName, other: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", "12345")
    _, results = PairedTest(
        [("baseline", other), ("system", GOOD)], {"metric": PUBLIC[metric]()}, [REFERENCES], n_samples=223
    )()
    (expected,) = (column[1] for name, column in results.items() if name != "System")
    comparison = compare(statistics(GOOD, metric), statistics(other, metric), trials=223, resamples=11)
    assert comparison.p_value == pytest.approx(expected.p_value)
    assert comparison.system == pytest.approx(expected.score)


def test_the_environment_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    before = bootstrap_interval(statistics(GOOD), resamples=41)
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    assert bootstrap_interval(statistics(GOOD), resamples=41) == before
    assert bootstrap_interval(statistics(GOOD), resamples=41, seed=7) != before


def test_the_size_of_a_piece_of_work_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def figures() -> tuple[object, object]:
        return (
            bootstrap_interval(statistics(GOOD), resamples=101),
            compare(statistics(GOOD), statistics(SIMILAR), trials=101, resamples=23),
        )

    before = figures()
    monkeypatch.setattr(significance, "_CHUNK", 32)
    assert figures() == before


def test_the_score_lies_in_its_interval_which_narrows_with_more_sentences() -> None:
    wide = bootstrap_interval(statistics(GOOD[:11]), resamples=151)
    narrow = bootstrap_interval(statistics(GOOD), resamples=151)
    value = statistics(GOOD).corpus_score().value
    assert narrow.low < value < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_a_constant_corpus_has_an_interval_of_no_width() -> None:
    one = statistics(GOOD[:1])
    interval = bootstrap_interval(one, resamples=43)
    assert interval.low == interval.high == pytest.approx(one.corpus_score().value)


@pytest.mark.parametrize("metric", MetricName)
def test_a_system_does_not_differ_from_itself(metric: MetricName) -> None:
    comparison = compare(statistics(GOOD, metric), statistics(GOOD, metric), trials=67, resamples=13)
    assert comparison.p_value == 1
    assert comparison.difference == comparison.interval.low == comparison.interval.high == 0
    assert "no significant difference" in comparison.verdict()


@pytest.mark.parametrize("metric", [MetricName.BLEU, MetricName.TER])
def test_a_clear_difference_is_found_in_its_direction(metric: MetricName) -> None:
    forward = compare(statistics(GOOD, metric), statistics(BAD, metric), trials=199, resamples=101)
    backward = compare(statistics(BAD, metric), statistics(GOOD, metric), trials=199, resamples=101)
    assert forward.p_value == backward.p_value == 1 / 200
    assert forward.difference == -backward.difference
    assert forward.verdict().startswith("better")
    assert backward.verdict().startswith("worse")
    assert forward.interval.low * forward.interval.high > 0, "an interval of a clear difference does not hold 0"


def test_similar_systems_are_not_told_apart() -> None:
    comparison = compare(statistics(GOOD), statistics(SIMILAR), trials=199, resamples=101)
    assert comparison.p_value > 0.05
    assert comparison.interval.low < 0 < comparison.interval.high
    assert "no significant difference" in comparison.verdict()


def test_chance_alone_is_called_significant_as_rarely_as_it_says() -> None:
    # Two draws of one system, 60 times: p below 0.1 must come up in about a tenth of them.
    lines = REFERENCES[:29]
    below = 0
    for seed in range(60):
        one, two = (
            sentence_statistics(
                damaged(lines, share=0.2, seed=2 * seed + offset),
                lines,
                metric=MetricName.TER,
                target_language="en",
                tokenizer=bleu_tokenizer("en"),
            )
            for offset in (1000, 1001)
        )
        below += compare(one, two, trials=99, resamples=1, seed=seed).p_value < 0.1
    assert below <= 13  # binomial(60, 0.1): more than 13 has a chance under 1 in 500


def test_different_sentences_are_not_compared() -> None:
    with pytest.raises(DataError, match="97 and bleu of 13"):
        compare(statistics(GOOD), statistics(GOOD[:13]))
    with pytest.raises(DataError, match="bleu of 97 and chrf"):
        compare(statistics(GOOD), statistics(GOOD, MetricName.CHRF))


def test_equal_sums_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five sentences have 32 exchanges and 126 resamples, however many are drawn."""
    scored: list[object] = []
    score_of = SentenceStatistics.score_of

    def counted(self: SentenceStatistics, total: np.ndarray) -> float:
        scored.append(total)
        return score_of(self, total)

    monkeypatch.setattr(SentenceStatistics, "score_of", counted)
    found = compare(statistics(GOOD[:5]), statistics(BAD[:5]))
    assert found.trials == 10_000
    assert len(scored) <= 2 * 32 + 2 * 126
