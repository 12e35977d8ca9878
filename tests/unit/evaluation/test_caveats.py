"""Text that was cut into tokens is told on every side; text that people write is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.evaluation.caveats import notes_on_texts, tokenised_lines
from pellucid.evaluation.report import evaluate_translations

PLAIN = ["It doesn't rain, he says.", "A cat sleeps on the sofa.", "We'll come tomorrow."] * 10
TOKENISED = ["It doesn 't rain , he says .", "A cat sleeps on the sofa .", "We 'll come tomorrow ."] * 10


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("A cat sleeps .", "en"),
        ("Yes , he said", "en"),
        ("It does n't rain", "en"),
        ("It doesn 't rain", "en"),
        ("the dog 's bone", "tgt"),
        ("We ’ll come", "en"),
        ("l' homme", "fr"),
        ("qu' il vienne", "fr"),
        ("L&apos;homme", "fr"),
        ("well @-@ known", "en"),
        ("我 是 学生 。", "zh"),
        ("はい 、 そう です", "ja"),
        ("Is it true ?", "en"),
        ("Oh !", "de-AT"),
        ("Il vient .", "fr"),
    ],
)
def test_signs_of_a_tokenizer(text: str, language: str) -> None:
    assert tokenised_lines([text], language=language) == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *((text, "en") for text in PLAIN[:3]),
        ("Well ... I see.", "en"),
        ("It costs .5 or ,5 .NET", "en"),
        ("Smile :)", "en"),
        ("'Tis the season; the dogs' bones", "en"),
        ("Vraiment ? Oui ! C'est ainsi : « bien » ; fin.", "fr"),
        ("Vraiment ?", "fr-CA"),
        ("Vraiment ?", "tgt"),
        ("J'ai vu l'homme qu'il aime aujourd'hui.", "fr"),
        ("我是学生。你呢？", "zh"),
        (". starts with one", "en"),
        ("", "en"),
    ],
)
def test_what_people_write(text: str, language: str) -> None:
    assert tokenised_lines([text], language=language) == 0


def test_both_sides_and_the_baseline_are_checked() -> None:
    def notes(hypotheses: list[str], references: list[str], **more: object) -> tuple[str, ...]:
        return evaluate_translations(hypotheses, references, target_language="en", resamples=0, trials=3, **more).notes  # type: ignore[arg-type]

    assert notes(PLAIN, PLAIN) == ()
    assert [note.partition(" look")[0] for note in notes(PLAIN, TOKENISED)] == ["30 of 30 references"]
    assert [note.partition(" look")[0] for note in notes(TOKENISED, PLAIN)] == ["30 of 30 translations"]
    (note,) = notes(PLAIN, PLAIN, baseline=TOKENISED)
    assert "30 of 30 translations of the baseline look tokenised" in note
    (note,) = notes(PLAIN, [PLAIN, TOKENISED])  # type: ignore[list-item]
    assert "30 of 30 references (set 2) look tokenised" in note


def test_a_tenth_of_the_lines_is_no_rule() -> None:
    assert notes_on_texts({"references": [*PLAIN[:18], *TOKENISED[:2]]}, language="en") == []
    assert len(notes_on_texts({"references": [*PLAIN[:17], *TOKENISED[:3]]}, language="en")) == 1


def test_empty_lines_are_counted_on_every_side() -> None:
    assert notes_on_texts({"references": ["", " \u3000", "a"], "translations": ["b"] * 3}, language="en") == [
        "2 of 3 references are empty"
    ]
    found = evaluate_translations(["a", "b"], ["a", ""], target_language="en", resamples=0)
    assert found.notes == ("1 of 2 references are empty",)


SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not beside this repository")
def test_no_corpus_is_called_tokenised() -> None:
    for path in SHARED.glob("*/*.??"):
        lines = path.read_text(encoding="utf-8").split("\n")[::10]
        for language in (path.suffix[1:], "tgt"):
            assert tokenised_lines(lines, language=language) < 0.03 * len(lines), path
