from __future__ import annotations

from collections.abc import Sequence

import pytest

from pellucid.errors import RequestError
from pellucid.translation.segments import Part, join_parts, split_text


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def split(text: str, limit: int, language: str = "en") -> list[Part]:
    return split_text(text, limit=limit, count=characters, language=language)


def test_sentences_first() -> None:
    text = "  Dr. Smith came.  He left!\tWhy?\u00a0Nobody knows. "
    assert split(text, 20) == [
        Part("Dr. Smith came.", "  "),
        Part("He left!", "\t"),
        Part("Why?", "\u00a0"),
        Part("Nobody knows.", " "),
    ]


def test_empty_lines_between_sentences_are_a_separator() -> None:
    assert split("We came.\n\nThey left.", 12) == [Part("We came.", "\n\n"), Part("They left.", "")]


def test_then_punctuation_then_spaces_then_characters() -> None:
    assert [part.text for part in split("one two three, four five six", 20)] == ["one two three,", "four five six"]
    assert [part.text for part in split("one two three four five six", 20)] == ["one two three", "four five six"]
    assert [part.text for part in split("onetwothreefourfivesix", 11)] == ["onetwothree", "fourfivesix"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 23])
@pytest.mark.parametrize(
    "text",
    [
        "One, two; three: four. Five (six) seven - eight!  Nine?\u2003Ten.",
        "你好，世界。今天天气很好！我们去公园吧？好的",
        "x" * 101,
        "e\u0301" * 17,
        "a" + " " * 40 + "b",
        "..." * 23,
        "word " * 31,
    ],
)
def test_nothing_is_lost_and_every_part_fits(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert "".join(part.text + part.separator for part in parts) == text.lstrip()
    assert all(0 < len(part.text) <= limit and part.text == part.text.strip() for part in parts)
    assert all(not part.separator.strip() for part in parts)


def test_an_accent_stays_on_its_letter() -> None:
    assert [part.text for part in split("e\u0301" * 4, 5)] == ["e\u0301" * 2] * 2


@pytest.mark.parametrize("language", ["en", "de", "zh", "zh-CN", "pt_BR", "src", "no such language", "", "xx"])
def test_any_language_will_do(language: str) -> None:
    assert [part.text for part in split("We came here. They left us.", 15, language)] == [
        "We came here.",
        "They left us.",
    ]


def test_chinese_sentences() -> None:
    assert [part.text for part in split("你好世界。今天很好！", 6, "zh")] == ["你好世界。", "今天很好！"]


def test_a_character_over_the_limit() -> None:
    with pytest.raises(RequestError, match=r"the character 'a' alone is 4 pieces, over max_input_length = 3"):
        split_text("ab", limit=3, count=lambda texts: [4 * len(text) for text in texts], language="en")


class TestJoin:
    def test_keeps_the_separators_of_the_source(self) -> None:
        parts = [Part("a", "  "), Part("b", "\t"), Part("c", " ")]
        assert join_parts(["A", "B", "C"], parts, language="fr") == "A  B\tC"

    def test_sets_a_space_where_the_source_has_none(self) -> None:
        parts = [Part("你好。", ""), Part("世界。", "")]
        assert join_parts(["Hello.", "World."], parts, language="en") == "Hello. World."

    def test_leaves_single_spaces_out_where_the_target_has_none(self) -> None:
        parts = [Part("Hello.", " "), Part("World.", "  "), Part("Yes.", "")]
        assert join_parts(["你好。", "世界。", "是。"], parts, language="zh-CN") == "你好。世界。  是。"

    def test_an_empty_translation_leaves_no_gap(self) -> None:
        parts = [Part("a", " "), Part("b", " "), Part("c", "")]
        assert join_parts(["A", "", "C"], parts, language="en") == "A C"
        assert join_parts(["", "B", ""], parts, language="en") == "B"
