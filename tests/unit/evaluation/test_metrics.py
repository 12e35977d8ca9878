"""Scores equal sacrebleu's public functions, and carry the signature that says how they were counted."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF, TER

from pellucid.errors import ConfigError, DataError
from pellucid.evaluation.bleu_words import TokenizerChoice, bleu_tokenizer
from pellucid.evaluation.metrics import MetricName, corpus_score, sentence_statistics

HYPOTHESES = ["The Dog runs across the street .", "A cat sleeps on the old sofa", "no", "", "Two birds sing in a tree."]
REFERENCES = [
    "the dog ran across the street.",
    "A cat sleeps on an old sofa.",
    "Yes, of course.",
    "It is late.",
    "Two birds sing in a tree.",
]
CHINESE = (["他昨天买了三本新书。", "我们明天去北京。"], ["他昨天买了两本新书。", "我们后天去北京旅行。"])
PUBLIC = {
    MetricName.BLEU: lambda: BLEU(tokenize="13a"),
    MetricName.BLEU_LOWERCASED: lambda: BLEU(tokenize="13a", lowercase=True),
    MetricName.CHRF: lambda: CHRF(),
    MetricName.CHRF_LOWERCASED: lambda: CHRF(lowercase=True),
    MetricName.TER: lambda: TER(case_sensitive=True),
    MetricName.TER_LOWERCASED: lambda: TER(),
}


@pytest.mark.parametrize("metric", MetricName)
def test_scores_and_signatures_are_sacrebleus(metric: MetricName) -> None:
    public = PUBLIC[metric]()
    expected = public.corpus_score(HYPOTHESES, [REFERENCES])
    score = corpus_score(HYPOTHESES, REFERENCES, target_language="en", metric=metric)
    assert score.value == pytest.approx(expected.score, abs=1e-9)
    assert score.signature == str(public.get_signature())
    assert score.signature in str(score)


@pytest.mark.parametrize("metric", [MetricName.CHRF, MetricName.TER])
def test_sentence_scores_are_sacrebleus(metric: MetricName) -> None:
    statistics = sentence_statistics(
        HYPOTHESES, REFERENCES, metric=metric, target_language="en", tokenizer=bleu_tokenizer("en")
    )
    public = PUBLIC[metric]()
    expected = [public.sentence_score(h, [r]).score for h, r in zip(HYPOTHESES, REFERENCES, strict=True)]
    np.testing.assert_allclose(statistics.sentence_scores(), expected, atol=1e-9)


def test_lowercasing_helps_where_only_case_differs() -> None:
    hypotheses, references = ["the DOG runs very fast today"], ["The dog runs very fast today"]
    for cased in (MetricName.BLEU, MetricName.CHRF):
        lowercased = MetricName(f"{cased}_lowercased")
        low, high = (
            corpus_score(hypotheses, references, target_language="en", metric=m).value for m in (cased, lowercased)
        )
        assert low < high == pytest.approx(100)
        assert "case:lc" in corpus_score(hypotheses, references, target_language="en", metric=lowercased).signature


def test_a_perfect_translation_scores_100_and_no_edits() -> None:
    for metric in MetricName:
        score = corpus_score(REFERENCES, REFERENCES, target_language="en", metric=metric)
        assert score.value == pytest.approx(100 if metric.more_is_better else 0)


@pytest.mark.parametrize("metric", MetricName)
def test_empty_translations_are_the_worst_and_do_not_crash(metric: MetricName) -> None:
    score = corpus_score([""] * len(REFERENCES), REFERENCES, target_language="en", metric=metric)
    assert score.value == pytest.approx(0 if metric.more_is_better else 100)


@pytest.mark.parametrize("metric", MetricName)
@pytest.mark.parametrize(("hypothesis", "reference"), [("", ""), ("word", ""), ("", "word"), ("\u2028", "\x0b")])
def test_blank_sides_give_finite_scores(metric: MetricName, hypothesis: str, reference: str) -> None:
    assert np.isfinite(corpus_score([hypothesis], [reference], target_language="en", metric=metric).value)


def test_the_detail_of_bleu_holds_its_factors() -> None:
    score = corpus_score(HYPOTHESES, REFERENCES, target_language="en")
    expected = BLEU(tokenize="13a").corpus_score(HYPOTHESES, [REFERENCES])
    assert f"penalty {expected.bp:.3f}" in score.detail
    assert "/".join(f"{p:.1f}" for p in expected.precisions) in score.detail


@pytest.mark.parametrize(
    ("language", "name"),
    [
        *((code, "zh") for code in ("zh", "ZH", "zh-CN", "zh_Hant", "cmn", "zho", "yue")),
        *((code, "13a") for code in ("en", "de", "pt-BR", "tgt", "", "zhx")),
    ],
)
def test_the_language_chooses_the_tokenizer(language: str, name: str) -> None:
    assert bleu_tokenizer(language).name == name


def test_chinese_is_counted_in_characters() -> None:
    by_language = corpus_score(*CHINESE, target_language="zh-CN")
    assert "tok:zh" in by_language.signature
    assert by_language.value == pytest.approx(BLEU(tokenize="zh").corpus_score(CHINESE[0], [CHINESE[1]]).score)
    # whole sentences as one word would make every edit rate a multiple of 50 here
    ter = corpus_score(*CHINESE, target_language="zh", metric=MetricName.TER)
    assert "asian:yes" in ter.signature
    assert 0 < ter.value < 50


def test_a_language_without_spaces_is_told_to_look_at_chrf() -> None:
    assert "chrF" in bleu_tokenizer("th").reason
    assert "chrF" not in bleu_tokenizer("fr").reason


@pytest.mark.parametrize(
    ("language", "name", "package"), [("ja", "ja-mecab", "sacrebleu[ja]"), ("kor", "ko-mecab", "sacrebleu[ko]")]
)
def test_a_missing_tokenizer_names_its_package(
    monkeypatch: pytest.MonkeyPatch, language: str, name: str, package: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(ConfigError) as caught:
        bleu_tokenizer(language)
    assert name in str(caught.value)
    assert package in str(caught.value)
    assert "'char'" in str(caught.value)
    with pytest.raises(ConfigError):
        bleu_tokenizer("en", name)
    fallen_back = bleu_tokenizer(language, if_missing="char")
    assert fallen_back.name == "char"
    assert package in fallen_back.reason
    assert "tok:char" in corpus_score(*CHINESE, target_language=language, tokenizer=fallen_back).signature


def test_an_installed_tokenizer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())
    assert bleu_tokenizer("ja").name == "ja-mecab"
    assert bleu_tokenizer("ko-KR").name == "ko-mecab"


def test_what_is_asked_for_is_obeyed_and_shown() -> None:
    choice = bleu_tokenizer("zh", "char")
    assert choice == TokenizerChoice("char", "as requested")
    assert "tok:char" in corpus_score(*CHINESE, target_language="zh", tokenizer=choice).signature


def test_an_unknown_tokenizer_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'14b' is unknown.*zh.*13a"):
        bleu_tokenizer("en", "14b")


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "nothing to score"),
        (["a"], [], "references 0"),
        (["a", "b", "c"], ["a"] * 5, "hypotheses 3 lines, references 5 lines"),
    ],
)
def test_sides_that_do_not_belong_together(hypotheses: list[str], references: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        corpus_score(hypotheses, references, target_language="en")


def test_labels_are_distinct_and_say_what_they_are() -> None:
    labels = [metric.label for metric in MetricName]
    assert len(set(labels)) == len(labels)
    assert all(("lowercased" in m.label) == m.is_lowercased for m in MetricName)
    assert [m.label for m in (MetricName.BLEU, MetricName.CHRF, MetricName.TER)] == ["BLEU", "chrF", "TER"]
