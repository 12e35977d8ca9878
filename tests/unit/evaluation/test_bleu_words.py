"""BLEU finds words by the language, and by the script where that decides nothing; what may be wrong is told."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pellucid.errors import ConfigError
from pellucid.evaluation.bleu_words import bleu_tokenizer, has_words_without_spaces
from pellucid.evaluation.metrics import MetricName
from pellucid.evaluation.report import evaluate_translations
from pellucid.evaluation.scripts import Script, script_of

TEXTS = {
    Script.CHINESE: ["我是学生。", "他们来了。", "使用 functools.partial 函数"],
    Script.JAPANESE: ["私は学生です。", "彼らは来ました。", "ｶﾀｶﾅ"],
    Script.KOREAN: ["나는 학생입니다.", "그들이 왔다."],
    Script.THAI: ["ฉันเป็นนักเรียน", "พวกเขามาแล้ว"],
    Script.LAO: ["ຂ້ອຍເປັນນັກຮຽນ"],
    Script.TIBETAN: ["ང་སློབ་ཕྲུག་ཡིན།"],
    Script.BURMESE: ["ကျွန်တော်ကျောင်းသားပါ"],
    Script.KHMER: ["ខ្ញុំជាសិស្ស"],
    Script.OTHER: ["I am a student.", "Я студент.", "Είμαι μαθητής.", "أنا طالب", "मैं छात्र हूँ", "12.50"],
}
UNDECIDED = ("tgt", "xx", "", "target", "en")


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())


@pytest.mark.parametrize("script", TEXTS)
def test_the_script_of_a_text(script: Script) -> None:
    assert script_of(TEXTS[script]) is script


def test_a_few_foreign_letters_decide_nothing() -> None:
    assert script_of(["The character 我 means I, and 学生 is a student."]) is Script.OTHER
    assert script_of(["他说 の 是日文，我们都知道这一点。"]) is Script.CHINESE
    assert script_of([]) is script_of(["", "..."]) is Script.OTHER


@pytest.mark.usefixtures("everything_installed")
@pytest.mark.parametrize("language", UNDECIDED)
@pytest.mark.parametrize(
    ("script", "name"), [(Script.CHINESE, "zh"), (Script.JAPANESE, "ja-mecab"), (Script.KOREAN, "ko-mecab")]
)
def test_an_undecided_language_leaves_it_to_the_script_with_a_note(script: Script, name: str, language: str) -> None:
    choice = bleu_tokenizer(language, references=TEXTS[script])
    assert choice.name == name
    for told in (choice.reason, choice.note):
        assert script in told
        assert repr(language) in told
    assert has_words_without_spaces(language, TEXTS[script]) is (script is not Script.KOREAN)


@pytest.mark.parametrize("script", [Script.THAI, Script.LAO, Script.TIBETAN, Script.BURMESE, Script.KHMER])
def test_a_script_without_spaces_and_without_a_tokenizer_points_to_chrf(script: Script) -> None:
    for language in ("tgt", {"Thai": "th", "Lao": "lo", "Tibetan": "bo", "Burmese": "my", "Khmer": "km"}[script]):
        choice = bleu_tokenizer(language, references=TEXTS[script])
        assert choice.name == "13a"
        assert "trust chrF" in choice.note


@pytest.mark.parametrize("language", [*UNDECIDED, "de", "pt-BR"])
def test_words_between_spaces_need_no_note(language: str) -> None:
    choice = bleu_tokenizer(language, references=TEXTS[Script.OTHER])
    assert (choice.name, choice.note) == ("13a", "")
    assert not has_words_without_spaces(language, TEXTS[Script.OTHER])


@pytest.mark.usefixtures("everything_installed")
def test_references_that_contradict_the_language_are_told() -> None:
    for language, script in (("zh", Script.OTHER), ("zh", Script.JAPANESE), ("ja", Script.OTHER), ("ko", Script.THAI)):
        choice = bleu_tokenizer(language, references=TEXTS[script])
        assert choice.name == bleu_tokenizer(language).name
        assert script in choice.note
        assert "check both" in choice.note
    for language, script in (("zh", Script.CHINESE), ("ja", Script.JAPANESE), ("ja", Script.CHINESE)):
        assert bleu_tokenizer(language, references=TEXTS[script]).note == ""
    assert bleu_tokenizer("zh", references=[""]).note == ""


def test_a_tokenizer_that_was_asked_for_is_taken_and_told_where_it_finds_no_words() -> None:
    for name in ("13a", "intl"):
        choice = bleu_tokenizer("zh", name, references=TEXTS[Script.CHINESE])
        assert (choice.name, choice.reason) == (name, "as requested")
        assert "far too low" in choice.note
    for name, script in (
        ("char", Script.CHINESE),
        ("zh", Script.CHINESE),
        ("13a", Script.OTHER),
        ("13a", Script.KOREAN),
    ):
        assert bleu_tokenizer("tgt", name, references=TEXTS[script]).note == ""


def test_a_tokenizer_that_the_script_needs_and_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    with pytest.raises(ConfigError, match=r"'ja-mecab' \(the references are in Japanese.*'sacrebleu\[ja\]'.*'char'"):
        bleu_tokenizer("tgt", references=TEXTS[Script.JAPANESE])
    fallen_back = bleu_tokenizer("tgt", references=TEXTS[Script.JAPANESE], if_missing="char")
    assert fallen_back.name == "char"
    assert "Japanese" in fallen_back.note


CHINESE = ["我是学生。", "他们来了。", "今天下雨。", "我们走吧。"] * 5
CHANGED = ["我是学生了。", "他们来。", "今天下雨了。", "我们走吧。"] * 5


def test_chinese_without_a_code_is_scored_as_with_it() -> None:
    coded, uncoded = (
        evaluate_translations(CHANGED, CHINESE, target_language=code, resamples=0) for code in ("zh", "tgt")
    )
    assert coded.scores[MetricName.BLEU].value > 50
    assert [score.value for score in uncoded.scores.values()] == [score.value for score in coded.scores.values()]
    assert [score.signature for score in uncoded.scores.values()] == [
        score.signature for score in coded.scores.values()
    ]
    assert coded.notes == ()
    (note,) = uncoded.notes
    assert "Chinese" in note
    for form in (uncoded.to_text(), uncoded.to_markdown(), uncoded.to_json()):
        assert note in form


SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not beside this repository")
def test_corpora_are_told_apart() -> None:
    wrong = {"python-docs-zh/test.zh", "tatoeba-cmn/test.zh"}
    for path in SHARED.glob("*/test*.??"):
        lines = path.read_text(encoding="utf-8").split("\n")
        expected = Script.CHINESE if f"{path.parent.name}/{path.name}" in wrong else Script.OTHER
        assert script_of(lines) is expected, path
