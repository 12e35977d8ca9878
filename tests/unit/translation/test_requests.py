"""What becomes of a text before the search: white space, sentences, tags, and what no model needs to see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.growth import growth

import pellucid
from pellucid.config import TranslationConfig
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer, load_tokenizer
from pellucid.translation.requests import prepare
from pellucid.translation.translator import Translator

from .shouting import TOKENIZER
from .test_translator import OneStepper, shouter

TAGGED = BytesTokenizer(tags=(">>fra<<", ">>deu<<"))


def asked(one: OneStepper) -> list[str]:
    """Return what a stepper was asked to translate."""
    return TOKENIZER.decode_source([ids[:-1] for batch in one.stepper.batches for ids in batch])


class TestWhiteSpace:
    @pytest.mark.parametrize("before", ["", " ", "\t ", "\u00a0", "\u3000"])
    @pytest.mark.parametrize("after", ["", "  ", "\t", "\u2003"])
    def test_around_a_text_comes_back_around_its_translation(self, before: str, after: str) -> None:
        one = OneStepper()
        found = Translator(one, TOKENIZER).translate(f"{before}a horse{after}", n_best=2)
        assert asked(one) == ["a horse"]
        bare = shouter().translate("a horse", n_best=2)
        assert [h.text for h in found.alternatives] == [f"{before}{h.text}{after}" for h in bare.alternatives]
        assert found.text == found.alternatives[0].text
        assert found.flags == ()

    @pytest.mark.parametrize("text", ["\ufeffa horse", "a ho\u00adrse", "\u200b\ufeffa\u00a0horse\u2060", "a  horse"])
    def test_what_nobody_sees_is_neither_translated_nor_given_back(self, text: str) -> None:
        assert shouter().translate(text) == replace(shouter().translate("a horse"), source=text)

    @pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r\n", " \u2029 "])
    def test_line_separators_are_white_space(self, separator: str) -> None:
        found = shouter().translate([f"a{separator}horse", f"{separator}a horse{separator}", f"One.{separator}Two."])
        assert [t.text.replace("  ", " ").replace("  ", " ").strip() for t in found] == [
            "A HORSE",
            "A HORSE",
            "ONE. TWO.",
        ]
        assert not any(character in t.text for t in found for character in "\u2028\u2029\x85\x0b\x0c\x1c\r\n")


class TestSentences:
    text = "One fine day.  Two fine days!\tThree?"

    def test_go_to_the_model_one_by_one_and_come_back_with_the_space_between(self) -> None:
        one = OneStepper()
        found = Translator(one, TOKENIZER, source_language="en").translate(f" {self.text} ")
        assert sorted(asked(one)) == ["One fine day.", "Three?", "Two fine days!"]
        assert found.text == f" {self.text.upper()} "
        assert found.flags == ("split",)

    @pytest.mark.parametrize(
        ("setting", "single_sentences", "parts"),
        [("auto", True, 3), ("auto", False, 1), ("always", False, 3), ("never", True, 1)],
    )
    def test_are_split_as_the_model_or_the_caller_wants(self, setting: str, single_sentences: bool, parts: int) -> None:
        one = OneStepper()
        config = TranslationConfig.model_validate({"split_sentences": setting})
        translator = Translator(one, TOKENIZER, config=config, source_language="en", single_sentences=single_sentences)
        assert translator.translate(self.text).flags == (("split",) if parts > 1 else ())
        assert len(asked(one)) == parts

    @pytest.mark.parametrize("text", ["Mr. Smith came at 3 p.m. Friday.", "Well... Yes.", "a.b", "“Go!” he said."])
    def test_one_sentence_is_never_cut_below_the_limit(self, text: str) -> None:
        one = OneStepper()
        Translator(one, TOKENIZER, source_language="en").translate(text)
        assert asked(one) == [text]

    def test_what_is_refused_as_too_long_is_the_text_as_it_was_given(self) -> None:
        found = shouter(long_input="refuse", max_input_length=30).translate([self.text, "One. Two."])
        assert f"the text is {len(self.text) - 1} pieces, over max_input_length = 30" in str(found[0].error)
        assert found[1].text == "ONE. TWO."

    def test_a_long_sentence_among_others_is_cut_further(self) -> None:
        one = OneStepper()
        found = Translator(one, TOKENIZER, source_language="en").translate(self.text, max_input_length=8)
        assert max(map(len, asked(one))) <= 8
        assert found.text == self.text.upper()


class TestWithoutLettersAndDigits:
    @pytest.mark.parametrize("text", ["-", "...", "…", "?", "🙂 👩\u200d🚀", "\u0301" * 3, " - \t", "«\u00a0»", "$%"])
    def test_a_text_is_its_own_translation(self, text: str) -> None:
        one = OneStepper()
        found = Translator(one, TOKENIZER).translate(text)
        assert (found.text, found.flags, found.error) == (text, ("passed_through",), None)
        assert [h.text for h in found.alternatives] == [text]
        assert one.stepper.batches == []

    @pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\u00ad", " \u200d\u2060\t", "\x01"])
    def test_one_that_shows_nothing_is_blank(self, text: str) -> None:
        found = shouter().translate(text)
        assert (found.text, found.flags, found.alternatives) == ("", ("blank",), ())

    def test_the_invisible_goes_from_it_too(self) -> None:
        assert shouter().translate("\ufeff.\u00ad.\n.").text == ".. ."

    @pytest.mark.parametrize("text", ["42", "1", "é", "½", "你", "a-"])
    def test_a_letter_or_a_digit_is_translated(self, text: str) -> None:
        one = OneStepper()
        Translator(one, TOKENIZER).translate(text)
        assert asked(one) == [text]


class TestTags:
    def test_lead_every_part_of_a_text(self) -> None:
        tag = TAGGED.source_id(">>fra<<")
        text = "One fine day. Two fine days! Three, four, five and six fine days in a row?"
        for given in (f">>fra<< {text}", f" >>fra<<{text}", f"\ufeff>>fra<<\u00a0 {text}"):
            (request,) = prepare(
                [given], tokenizer=TAGGED, limit=20, long_input="split", language="en", splits_sentences=True
            )
            assert len(request.parts) > 4
            assert all(ids[0] == tag and len(ids) <= 20 for ids in request.part_ids)
            assert " ".join(TAGGED.decode_source(request.part_ids)) == text
            assert request.notes == frozenset()

    def test_a_part_with_its_tag_reads_as_its_ids_do(self) -> None:
        (request,) = prepare(
            [">>deu<< One. Two."], tokenizer=TAGGED, limit=20, long_input="split", language="en", splits_sentences=True
        )
        assert [part.text for part in request.parts] == [">>deu<< One.", ">>deu<< Two."]
        assert TAGGED.encode_source([part.text for part in request.parts]) == [list(ids) for ids in request.part_ids]

    @pytest.mark.parametrize(
        ("text", "notes"),
        [
            (">>fra<< a", set()),
            (">>ita<< a", {"unknown_tag"}),
            (" >>ita<<", {"unknown_tag"}),
            ("a", {"missing_tag"}),
            ("a >>fra<<", {"missing_tag"}),
            ("", set()),
        ],
    )
    def test_an_unknown_or_missing_one_is_noted(self, text: str, notes: set[str]) -> None:
        (request,) = prepare([text], tokenizer=TAGGED, limit=9, long_input="split", language="en")
        assert request.notes == notes

    def test_a_model_of_one_target_misses_none(self) -> None:
        assert shouter().translate("a horse").flags == ()
        assert shouter().translate(">>fra<< a horse").flags == ("unknown_tag",)

    def test_a_tag_alone_is_blank_and_one_before_signs_passes_them(self) -> None:
        requests = prepare([">>fra<<", ">>fra<< ..."], tokenizer=TAGGED, limit=9, long_input="split", language="en")
        assert [(request.parts, request.unchanged) for request in requests] == [((), ""), ((), "...")]


def test_a_surrogate_is_told_by_its_place_in_the_text_as_it_was_given() -> None:
    found = shouter().translate(["fine", "  ab\ud800"])
    assert "character 4 is the lone surrogate U+D800" in str(found[1].error)


def test_a_nul_character_is_refused_as_the_command_line_refuses_it() -> None:
    found = shouter().translate(["fine", "ab\x00 c", "\x00"])
    assert [one.error for one in found] == [
        None,
        "character 3 is a NUL character; remove it",
        "character 1 is a NUL character; remove it",
    ]
    assert [(one.text, one.flags) for one in found[1:]] == [("", ("failed",))] * 2


SHAPES: dict[str, Callable[[int], str]] = {
    "one letter and marks": lambda n: "a" + "\u0301" * n,
    "marks out of order": lambda n: "a" + "\u0301\u0327" * (n // 2),
    "joiners": lambda n: "a" + "\u200d" * n,
    "joiners between letters": lambda n: "\u0915\u200d" * (n // 2),
    "a family": lambda n: "a" + "👩\u200d" * (n // 2),
    "no spaces": lambda n: "a" * n,
    "no spaces and no pieces": lambda n: "\u4f60" * n,
    "words without punctuation": lambda n: "the cat " * (n // 8),
    "commas": lambda n: "a" + "," * n,
    "full stops": lambda n: "a" + "." * n,
    "many sentences": lambda n: "你。" * (n // 2),
    "one long space": lambda n: "a" * (n // 2) + " " * (n // 2) + "b",
    "marks of SentencePiece": lambda n: "a" + "\u2581" * n,
    "digits": lambda n: "7" * n,
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model" / "tokenizer")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_time_is_linear_in_the_length(shape: str, tokenizer: Tokenizer) -> None:
    def step(text: str) -> None:
        (request,) = prepare(
            [text], tokenizer=tokenizer, limit=200, long_input="split", language="en", splits_sentences=True
        )
        assert request.error is None
        assert all(0 < len(ids) <= 200 for ids in request.part_ids)

    assert growth(step, SHAPES[shape], 6_000) <= 2.5
