"""A report holds every figure with its signature, in three forms that agree."""

from __future__ import annotations

import json

import pytest

from pellucid.errors import ConfigError, DataError
from pellucid.evaluation.metrics import MetricName, corpus_score
from pellucid.evaluation.report import EvaluationReport, evaluate_translations
from pellucid.evaluation.significance import bootstrap_interval

REFERENCES = [
    "The dog runs across the street.",
    "A cat sleeps on the old sofa.",
    "Two birds sing in the tall tree.",
    "We will come back | tomorrow <b>.",
    "She reads a long book in the evening.",
]
HYPOTHESES = [
    " The dog runs across the street. ",
    "A cat is sleeping on the sofa.",
    "Two birds sing in a tree.",
    "xyz | <i>",
    "She reads long books in the evening.",
]
SOURCES = ["Quelle 0", "Quelle 1", "Quelle 2", "Quelle 3", "Quelle 5"]
BASELINE = ["The dog is running.", "A cat.", "Two birds.", "We come back.", "She reads."]


def report(**settings: object) -> EvaluationReport:
    given: dict[str, object] = {"target_language": "en", "resamples": 53, "trials": 61, "worst": 2}
    return evaluate_translations(HYPOTHESES, REFERENCES, **(given | settings))  # type: ignore[arg-type]


def test_every_metric_is_there_with_signature_and_interval() -> None:
    full = report()
    for metric in MetricName:
        score = full.scores[metric]
        assert score == corpus_score(HYPOTHESES, REFERENCES, target_language="en", metric=metric)
        assert "version:" in score.signature
        interval = full.intervals[metric]
        assert interval.low <= score.value <= interval.high
        assert interval.resamples == 53
    assert len(full.scores) == len(full.intervals) == len(MetricName)


def test_exact_matches_forgive_only_outer_white_space() -> None:
    assert report().exact_matches == 1
    assert report().exact_match == pytest.approx(1 / 5)
    same_but_case = evaluate_translations(["the dog"], ["The dog"], target_language="en", resamples=0)
    assert same_but_case.exact_matches == 0


def test_the_worst_sentences_come_first_with_all_their_sides() -> None:
    first, second = report(sources=SOURCES).worst
    assert (first.line, first.hypothesis, first.reference, first.source) == (
        3,
        HYPOTHESES[3],
        REFERENCES[3],
        SOURCES[3],
    )
    assert first.chrf <= second.chrf
    everything = report(worst=99).worst
    assert sorted(sentence.line for sentence in everything) == [0, 1, 2, 3, 4]
    assert all(sentence.source is None for sentence in everything)
    assert report(worst=0).worst == ()


def test_equally_bad_sentences_stay_in_order() -> None:
    tied = evaluate_translations(["a"] * 5, ["b c d"] * 5, target_language="en", resamples=0, worst=3)
    assert [sentence.line for sentence in tied.worst] == [0, 1, 2]


def test_a_baseline_is_compared_on_every_metric() -> None:
    comparisons = report(baseline=BASELINE).comparisons
    assert [comparison.metric for comparison in comparisons] == list(MetricName)
    for comparison in comparisons:
        expected = corpus_score(BASELINE, REFERENCES, target_language="en", metric=comparison.metric).value
        assert comparison.baseline == pytest.approx(expected)
        assert 0 < comparison.p_value <= 1
    assert report().comparisons == ()


def test_the_text_shows_what_makes_figures_comparable() -> None:
    text = report(baseline=BASELINE, seed=71).to_text()
    for metric in MetricName:
        assert f"{report().scores[metric].value:.2f}" in text
        assert report().scores[metric].signature in text
    for fact in ("5 sentences into en", "tokenizer 13a", "53 resamples", "61 trials", "seed 71", "1 of 5", "p = "):
        assert fact in text


def test_the_json_holds_everything() -> None:
    full = report(baseline=BASELINE, sources=SOURCES)
    data = json.loads(full.to_json())
    assert data["format_version"] == 1
    assert data["bleu_tokenizer"]["name"] == "13a"
    for metric in MetricName:
        assert data["scores"][metric]["value"] == full.scores[metric].value
        assert data["scores"][metric]["signature"] == full.scores[metric].signature
        interval = full.intervals[metric]
        assert data["scores"][metric]["interval"]["low"] == interval.low
        assert data["comparisons"][metric]["p_value"] <= 1
    assert data["worst"][0]["source"] == "Quelle 3"
    assert data["exact_match"] == {"share": 0.2, "sentences": 1}


def test_the_markdown_shows_the_worst_sentences_and_nothing_in_them_breaks_the_page() -> None:
    page = report(sources=SOURCES, baseline=BASELINE).to_markdown(title="Test set")
    assert page.startswith("# Test set\n")
    assert "Quelle 3" in page
    assert "&lt;i&gt;" in page
    assert "<i>" not in page
    tables = [line for line in page.split("\n") if line.startswith("|")]
    assert {line.count("|") for line in tables} == {5}


def test_resampling_can_be_left_out() -> None:
    quick = report(resamples=0)
    assert quick.intervals == {}
    assert "[ ]" not in quick.to_text()
    assert json.loads(quick.to_json())["scores"]["bleu"]["interval"] is None


def test_the_seed_and_nothing_else_decides() -> None:
    assert report(baseline=BASELINE) == report(baseline=BASELINE)
    assert report(seed=5).intervals != report(seed=7).intervals


def test_intervals_are_those_of_the_statistics() -> None:
    from pellucid.evaluation.metrics import bleu_tokenizer, sentence_statistics

    statistics = sentence_statistics(
        HYPOTHESES, REFERENCES, metric=MetricName.TER, target_language="en", tokenizer=bleu_tokenizer("en")
    )
    assert report().intervals[MetricName.TER] == bootstrap_interval(statistics, resamples=53)


def test_a_reader_is_warned() -> None:
    notes = evaluate_translations(
        ["", "a dog .", "a cat .", "a bird"], REFERENCES[:4], target_language="en", resamples=0
    ).notes
    assert any("1 of 4 translations are empty" in note for note in notes)
    assert any("2 of 4" in note and "tokenised" in note for note in notes)
    assert report().notes == ()


def test_all_empty_is_a_bad_report_and_no_error() -> None:
    empty = evaluate_translations(
        [""] * 5, REFERENCES, target_language="en", resamples=7, baseline=HYPOTHESES, trials=5
    )
    assert empty.scores[MetricName.BLEU].value == 0
    assert empty.scores[MetricName.TER].value == 100
    assert empty.to_text()
    assert empty.to_json()
    assert empty.to_markdown()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sources": ["one"]}, "sources 1"),
        ({"baseline": ["one", "two"]}, "baseline 2"),
        ({"baseline": []}, "baseline 0"),
    ],
)
def test_every_side_needs_every_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        report(**settings)


def test_nothing_to_score() -> None:
    with pytest.raises(DataError, match="nothing to score"):
        evaluate_translations([], [], target_language="en")


def test_the_tokenizer_is_chosen_by_language_or_as_asked() -> None:
    assert report(target_language="zh").tokenizer.name == "zh"
    assert "tok:char" in report(tokenizer="char").scores[MetricName.BLEU].signature
    with pytest.raises(ConfigError, match="unknown"):
        report(tokenizer="words")
