"""Several references for each sentence: sacrebleu's figures, in every part of a report."""

from __future__ import annotations

import json

import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from pellucid.errors import DataError
from pellucid.evaluation.bleu_words import bleu_tokenizer
from pellucid.evaluation.metrics import MetricName, corpus_score, sentence_statistics
from pellucid.evaluation.report import evaluate_translations
from pellucid.evaluation.significance import bootstrap_interval, compare

HYPOTHESES = ["The dog runs.", " A cat sleeps. ", "Two birds sing in a tree.", "He reads.", "It rains today."]
FIRST = ["A dog is running.", "A cat sleeps.", "Two birds sing in the tree.", "She reads a book.", "It is raining."]
SECOND = ["The dog runs.", "The cat is asleep.", "Two birds sing in a tall tree.", "She reads.", "Rain falls today."]
THIRD = ["Dogs run.", "A cat sleeps.", "Birds sing.", "He is reading.", ""]
BASELINE = ["The dog runs.", "A cat.", "Two birds.", "He reads.", "It rains."]
PUBLIC = {
    MetricName.BLEU: lambda: BLEU(tokenize="13a"),
    MetricName.BLEU_LOWERCASED: lambda: BLEU(tokenize="13a", lowercase=True),
    MetricName.CHRF: lambda: CHRF(),
    MetricName.CHRF_LOWERCASED: lambda: CHRF(lowercase=True),
    MetricName.TER: lambda: TER(case_sensitive=True),
    MetricName.TER_LOWERCASED: lambda: TER(),
}


@pytest.mark.parametrize("metric", MetricName)
@pytest.mark.parametrize("references", [[FIRST, SECOND], (FIRST, SECOND, THIRD), [SECOND]])
def test_scores_and_signatures_are_sacrebleus(references: list[list[str]], metric: MetricName) -> None:
    public = PUBLIC[metric]()
    expected = public.corpus_score(HYPOTHESES, references)
    found = corpus_score(HYPOTHESES, references, target_language="en", metric=metric)
    assert found.value == pytest.approx(expected.score, abs=1e-9)
    assert found.signature == str(public.get_signature())
    assert found.signature.startswith(f"nrefs:{len(references)}|")


def test_a_list_of_one_is_the_list() -> None:
    one, other = (
        evaluate_translations(HYPOTHESES, references, target_language="en", resamples=11)
        for references in (FIRST, [FIRST])
    )
    assert one == other


def test_intervals_and_paired_tests_rest_on_all_references() -> None:
    references = [FIRST, SECOND]
    report = evaluate_translations(
        HYPOTHESES, references, target_language="en", baseline=BASELINE, resamples=53, trials=61
    )
    for metric in MetricName:
        own, other = (
            sentence_statistics(texts, references, metric=metric, target_language="en", tokenizer=bleu_tokenizer("en"))
            for texts in (HYPOTHESES, BASELINE)
        )
        assert report.intervals[metric] == bootstrap_interval(own, resamples=53)
        assert compare(own, other, resamples=53, trials=61) in report.comparisons
        assert "nrefs:2" in report.scores[metric].signature


def test_an_exact_match_is_one_with_any_reference() -> None:
    def matches(*references: list[str]) -> int:
        return evaluate_translations(HYPOTHESES, references, target_language="en", resamples=0).exact_matches

    assert matches(FIRST) == 1
    assert matches(SECOND) == 1
    assert matches(FIRST, SECOND) == matches(SECOND, FIRST) == matches(FIRST, SECOND, THIRD) == 2


def test_every_form_of_the_report_shows_the_references() -> None:
    report = evaluate_translations(HYPOTHESES, [FIRST, SECOND, THIRD], target_language="en", resamples=0, worst=1)
    (worst,) = report.worst
    assert (worst.reference, *worst.more_references) == tuple(side[worst.line] for side in (FIRST, SECOND, THIRD))
    assert "into en, 3 references each;" in report.to_text()
    page = report.to_markdown()
    assert "3 references each" in page
    assert page.count("| reference |") == 3
    record = json.loads(report.to_json())
    assert record["references"] == 3
    assert record["worst"][0]["more_references"] == [SECOND[worst.line], THIRD[worst.line]]
    assert any("1 of 5 references (set 3) are empty" in note for note in report.notes)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([FIRST, SECOND[:3]], r"references \(set 1\) 5 lines, references \(set 2\) 3 lines"),
        ([FIRST, []], r"references \(set 2\) 0"),
    ],
)
def test_every_reference_needs_every_line(references: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate_translations(HYPOTHESES, references, target_language="en")
