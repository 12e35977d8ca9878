"""Pieces make words as people read them."""

from __future__ import annotations

import pytest

from pellucid.translation.alignment.words import Word, merge_words


def words(*pieces: str, special: tuple[str, ...] = ("</s>",)) -> list[str]:
    found = merge_words(pieces, is_special=[piece in special for piece in pieces])
    covered = [place for word in found for place in range(word.start, word.end)]
    assert covered == list(range(len(pieces)))
    return [word.text for word in found]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ("▁The ▁an imal ▁didn ' t ▁cross . </s>", ["The", "animal", "didn't", "cross", ".", "</s>"]),
        ("▁( well - known ) ...", ["(", "well-known", ")..."]),
        ("▁» ▁ja ?", ["»", "ja", "?"]),
        ("▁1 . 5 %", ["1.5", "%"]),
        ("▁动物 没有 过 街 。", ["动物", "没有", "过", "街", "。"]),
        ("▁ ก ็ ด", ["ก็", "ด"]),
        ("▁e ́ t e ́", ["e\u0301te\u0301"]),
        ("▁na <0xC3> <0xAF> ve", ["naïve"]),
        ("▁a <0xE2> <0x82>", ["a\ufffd"]),
        ("<0x61> <0x20> <0x28> <0x62>", ["a", "(", "b"]),
        ("<0xF0> <0x9F> <0x98> <0x80> <0xF0> <0x9F>", ["😀", "\ufffd"]),
        ("▁so ▁😀", ["so", "😀"]),
        ("</s>", ["</s>"]),
        ("▁", ["▁".replace("▁", " ")]),
    ],
)
def test_of_pieces(pieces: str, expected: list[str]) -> None:
    assert words(*pieces.split(" ")) == expected


def test_a_special_piece_stands_alone_and_its_spelling_in_the_text_does_not() -> None:
    assert words(">>fr<<", "a", "b", special=(">>fr<<",)) == [">>fr<<", "ab"]
    assert words("x", "<s>", "y", special=()) == ["x<s>y"]


def test_spans_are_of_pieces() -> None:
    found = merge_words(["▁an", "imal", ".", "</s>"], is_special=[False, False, False, True])
    assert found == (Word("animal", 0, 2), Word(".", 2, 3), Word("</s>", 3, 4))
