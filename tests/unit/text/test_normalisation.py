"""What is changed in a text before it is cut into pieces, and what is not."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import growth

from pellucid.text.normalisation import Normaliser, is_blank, tidy, without_invisible

normalise = Normaliser()
SENTENCE = "I am a student."


@pytest.mark.parametrize(
    "text",
    [
        f"{SENTENCE} ", f" {SENTENCE}", f"{SENTENCE}  ", "I  am a student.", f"{SENTENCE}\t", f"\u00a0{SENTENCE}",
        f"{SENTENCE}\u00a0", f"\ufeff{SENTENCE}", "I am a stu\u00addent.", "I am a\u00a0student.",
        "I\u3000am a student.",
        "I am\u2028a student.", "I am\x85a student.\x0c", "I \u00a0 am a\u202fstudent.", "I am a\u200b student\u2060.",
        "I am a stu\x08dent\x1b.", f"\u200e{SENTENCE}\u200f", "I am a stu\u200ddent.", "I\u200c am a student.",
        "I am a student\U000e0041.", "\u180eI am a student.", f"\ufeff\ufeff \u00ad{SENTENCE}\u2069",
        f"\u034f{SENTENCE}", "I\u115f am a\u3164 student.", f"\uffff {SENTENCE}\ufdd0", "I am a stu\uffa0dent.",
    ],
)  # fmt: skip
def test_what_nobody_sees_makes_no_difference(text: str) -> None:
    assert normalise(text) == tidy(text) == SENTENCE


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        "Où ? « Là », à 10\u202f000\u00a0km\u00a0!",
        "\uff0c\u3000\u4f60\u597d\u3002",
        "می\u200cخواهم",  # Persian: the non-joiner parts a prefix from its word
        "क्\u200dष क्\u200cष",  # Devanagari: a joiner and a non-joiner shape a cluster
        "👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 👩🏽\u200d🚀 ❤\ufe0f\u200d🔥",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "שלום \u200eabc\u200f \u2067עולם\u2069",
        "ភាសា\u200bខ្មែរ",  # Khmer: the zero-width space parts words
        "ᠠ\u180eᠠ",
        "\u1112\u1160 \u115f\u1161",  # conjoining jamo with fillers
    ],
)
def test_what_a_script_needs_stays(text: str) -> None:
    assert normalise(text) == tidy(text) == text


def test_a_zero_width_space_between_two_sentences_parts_them() -> None:
    assert normalise("The cat is tired.\u200bThe dog is happy.") == "The cat is tired. The dog is happy."
    assert normalise("3.\u200b5 and a\u200bb") == "3.5 and ab"


def test_white_space_is_kept_where_only_the_invisible_goes() -> None:
    assert without_invisible("\ufeff  a\u00a0\tb\u00ad \n") == "  a\u00a0\tb \n"


@pytest.mark.parametrize(
    "text",
    ["", "   ", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u00ad", "\u200d\u2060 \x00", "\u3164", "\u115f\u034f"],
)
def test_blank_is_what_shows_nothing(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(f"{text}-{text}")


# Characters between which the rules decide: scripts, marks, joiners, emoji, directions, spaces.
DELICATE = st.text(
    st.sampled_from(
        "ae\u0301\u0327é1.:«»\u00a0\u202f\u3000 \t\u2028\u200b\u200c\u200d\u200e\u202e\u061c\u2060\ufeff\u00ad\u180e"
        "\u0645\u06cc\u05e9\u05c1\ufb2a\u0915\u094d\u0937\u1780\u17d2\u0e01\u1820\u1025\u102e你，👩🏽❤\ufe0f🏴"
        "\U000e0067\U000e007f\x00\x1b\u0344\u0f73"
    ),
    max_size=24,
)


@given(st.booleans(), st.sampled_from(["nfc", "none"]), DELICATE | st.text(max_size=24))
def test_a_second_time_changes_nothing(lowercase: bool, form: str, text: str) -> None:
    chosen = Normaliser(form, lowercase=lowercase)  # type: ignore[arg-type]
    assert chosen(chosen(text)) == chosen(text)
    assert tidy(tidy(text)) == tidy(text)
    assert without_invisible(without_invisible(text)) == without_invisible(text)


@given(DELICATE | st.text(max_size=24))
def test_the_ends_are_bare_and_no_run_of_white_space_is_left(text: str) -> None:
    found = normalise(text)
    assert found == found.strip()
    assert not any(one.isspace() and two.isspace() for one, two in pairwise(found))
    assert is_blank(text) == (found == "")


MARKS = st.text(
    st.sampled_from("\u0301\u0327\u0323\u0344\u0f71\u0f72\u0f73\u0f74\u05b0\u093c\u3099…\u200d"), max_size=150
)


@given(st.sampled_from(["a", "é", "क", "\u0f40", "\u1100", ""]), MARKS, st.sampled_from(["", "b", "\u0301"]))
def test_a_long_run_of_marks_comes_out_as_unicode_says(base: str, marks: str, end: str) -> None:
    text = without_invisible(base + marks + end)
    assert normalise(text) == unicodedata.normalize("NFC", text).strip()


def test_no_mark_is_taken_for_a_letter_or_a_space() -> None:
    # The search for long runs of marks rests on this.
    marks = [chr(code) for code in range(0x110000) if unicodedata.combining(chr(code))]
    marks += [c for c in "\u0f73\u0f75\u0f81" if unicodedata.combining(unicodedata.normalize("NFD", c)[0])]
    assert not [mark for mark in marks if mark.isalnum() or mark.isspace() or mark.isascii()]


ADVERSARIAL: dict[str, Callable[[int], str]] = {
    "one mark": lambda n: "a" + "\u0301" * n,
    "marks out of order": lambda n: "a" + "\u0301\u0327" * (n // 2),
    "marks that come apart": lambda n: "\u0f40" + "\u0f73" * n,
    "joiners": lambda n: "a" + "\u200d" * n,
    "joiners between letters": lambda n: "\u0915\u200d" * (n // 2),
    "byte order marks": lambda n: "\ufeff" * n + "a",
    "directions": lambda n: "\u05d0" + "\u202e" * n,
    "spaces": lambda n: "a" + " " * n + "b",
    "odd spaces": lambda n: "a\u2028" * (n // 2),
    "no spaces": lambda n: "a" * n,
    "symbols": lambda n: "…" * n,
}


@pytest.mark.parametrize("shape", ADVERSARIAL)
def test_the_time_is_linear_in_the_length(shape: str) -> None:
    assert growth(normalise, ADVERSARIAL[shape], 20_000) <= 2.5
