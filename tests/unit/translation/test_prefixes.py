"""A translation begins with the text it was told to begin with, however that text falls into pieces."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

import pellucid
from pellucid.config import TranslationConfig
from pellucid.errors import RequestError
from pellucid.text.spelling import PieceIndex
from pellucid.text.tokenizer import BytesTokenizer
from pellucid.translation.prefixes import Prefix, Spelling, prefix_of
from pellucid.translation.translator import Translator

from .test_translator import shouter

WALKTHROUGH = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
BICYCLE = "His daughter can use the red bicycle before Monday."
SEARCHES: list[dict[str, object]] = [{}, {"beam_size": 1}, {"sampling": True}, {"n_best": 4}]

PREFIXES = ["Sa ", "Sa  ", "Sa fille peut utiliser l", "Sa fille peut utiliser le v", "\u00c7", "Le \U0001f600 ", "xq'"]
PREFIXES += ["\u732b\u5f88", "S", "un-deux, trois ; "]

SURFACES = [
    b"",
    b"?",
    b" l",
    b" le",
    b" ",
    b"l",
    b"e",
    b"'",
    b" la",
    b"les",
    b"\xc3",
    b"\xa9",
    "\u00e9t".encode(),
    b"l",
]
INDEX = PieceIndex(SURFACES, left_out={1})


@pytest.fixture(scope="module")
def walkthrough() -> Translator:
    return pellucid.load(WALKTHROUGH)


def ids(*surfaces: bytes) -> set[int]:
    return {index for index, surface in enumerate(SURFACES) if surface in surfaces and index != 1}


class TestSpelling:
    def test_every_piece_may_come_that_agrees(self) -> None:
        spelling = Spelling(b" l", INDEX)
        assert set(spelling.next_ids(0, most=9)) == ids(b" l", b" le", b" ", b" la")
        assert set(spelling.next_ids(1, most=9)) == ids(b"l", b"les")
        assert spelling.fewest == 1

    def test_a_space_at_the_end_leaves_all_that_begin_a_word(self) -> None:
        assert set(Spelling(b" ", INDEX).next_ids(0, most=9)) == ids(b" l", b" le", b" ", b" la")

    def test_a_way_that_cannot_be_finished_is_not_taken(self) -> None:
        # " la" leads to "q", which nothing writes; " le" is the only way to "les".
        assert Spelling(b" laq", INDEX).fewest == float("inf")
        assert Spelling(b" laq", INDEX).unwritten() == 3
        assert set(Spelling(b" le'", INDEX).next_ids(0, most=9)) == ids(b" l", b" le", b" ")

    def test_nor_one_that_takes_too_many_pieces(self) -> None:
        spelling = Spelling(b" le'", INDEX)
        assert set(spelling.next_ids(0, most=2)) == ids(b" le")
        assert set(spelling.next_ids(0, most=3)) == ids(b" le", b" l")

    def test_a_character_may_be_written_in_bytes(self) -> None:
        spelling = Spelling("\u00e9".encode(), INDEX)
        assert set(spelling.next_ids(0, most=9)) == ids(b"\xc3", "\u00e9t".encode())
        assert set(spelling.next_ids(1, most=9)) == ids(b"\xa9")

    def test_a_banned_piece_comes_only_where_it_must(self) -> None:
        (le,) = ids(b" le")
        assert le not in Spelling(b" le", INDEX, avoided={le}).next_ids(0, most=9)
        apostrophe = ids(b"'")
        assert set(Spelling(b"'", INDEX, avoided=apostrophe).next_ids(0, most=9)) == apostrophe

    def test_pieces_that_are_certain_come_first(self) -> None:
        prefix = Prefix((3, 7), Spelling(b" l", INDEX), most=5)
        assert prefix.next_ids([]) == (3,)
        assert prefix.next_ids([3]) == (7,)
        assert set(prefix.next_ids([3, 7]) or ()) == ids(b" l", b" le", b" ", b" la")
        assert prefix.next_ids([3, 7, 8]) is None


class TestBeginnings:
    def test_complete_words_are_certain_and_the_last_one_is_not(self, walkthrough: Translator) -> None:
        tokenizer = walkthrough.tokenizer
        beginning = tokenizer.begin_target("Sa fille peut l")
        assert list(beginning.ids) == tokenizer.encode_target(["Sa fille peut"])[0]
        assert beginning.rest == b" l"

    @pytest.mark.parametrize(
        ("text", "rest"),
        [
            ("", b""),
            ("  ", b""),
            ("Sa", b" Sa"),
            ("Sa ", b" "),
            ("Sa   ", b" "),
            (" Sa\n", b" "),
            ("Sa fille\u00a0", b" fille\xc2\xa0"),
            ("e\u0301", b" \xc3\xa9"),
        ],
    )
    def test_white_space(self, text: str, rest: bytes, walkthrough: Translator) -> None:
        assert walkthrough.tokenizer.begin_target(text).rest == rest

    def test_a_tokenizer_of_bytes(self) -> None:
        tokenizer = BytesTokenizer()
        beginning = tokenizer.begin_target("ab c")
        assert list(beginning.ids) == tokenizer.encode_target(["ab"])[0]
        assert beginning.rest == b" c"

    def test_what_no_piece_writes_is_named(self) -> None:
        class Small:
            @staticmethod
            def begin_target(text: str) -> object:
                from pellucid.text.spelling import Beginning

                return Beginning((), text.encode(), INDEX)

        with pytest.raises(
            RequestError, match=r"'le\u00fc' cannot be written, because the model has no piece for '\u00fc'"
        ):
            prefix_of("le\u00fc", Small(), most=9)  # type: ignore[arg-type]
        with pytest.raises(RequestError, match="has 3 pieces or more, but a translation of this text has at most 2"):
            prefix_of("le'", Small(), most=2)  # type: ignore[arg-type]


class TestTranslations:
    @pytest.mark.parametrize("search", SEARCHES, ids=str)
    def test_begin_with_the_prefix(self, search: dict[str, object], walkthrough: Translator) -> None:
        sources = [BICYCLE] * len(PREFIXES)
        for prefix, found in zip(
            PREFIXES, walkthrough.translate(sources, target_prefix=PREFIXES, **search), strict=True
        ):
            wanted = prefix.rstrip() + " " * prefix.endswith(" ")
            for hypothesis in found.alternatives:
                assert hypothesis.text.startswith(wanted)

    @pytest.mark.parametrize("beam_size", [1, 5])
    def test_of_the_issue(self, beam_size: int, walkthrough: Translator) -> None:
        wanted = walkthrough.translate(BICYCLE, beam_size=beam_size).text
        first, second, *_ = wanted.split()
        prefixes = [f"{first} ", f"{first}  ", f"{first} {second[0]}", *(wanted[:end] for end in (24, 34)), wanted]
        found = walkthrough.translate([BICYCLE] * len(prefixes), target_prefix=prefixes, beam_size=beam_size)
        assert [(one.text, one.flags) for one in found] == [(wanted, ())] * len(prefixes)

    def test_the_own_beginning_of_an_output_gives_it_back(self, walkthrough: Translator) -> None:
        sources = [BICYCLE, "The cat is very tired.", "We do not read the letter.", "Are they happy?"]
        for whole in walkthrough.translate(sources, beam_size=1):
            cuts = [whole.text[:end] for end in range(len(whole.text) + 1)]
            found = walkthrough.translate([whole.source] * len(cuts), target_prefix=cuts, beam_size=1)
            assert {one.text for one in found} == {whole.text}

    def test_one_for_each_text(self) -> None:
        texts, prefixes = ["bee", "ox", "", "goat"], ["!", "", "!", "!!"]
        found = shouter().translate(texts, target_prefix=prefixes)
        assert [one.text for one in found] == ["!EE", "OX", "", "!!AT"]
        assert [one.text for one in shouter(batch_size=1).translate(texts, target_prefix=prefixes)] == [
            one.text for one in found
        ]
        for chunk in (1, 3):
            streamed = shouter().translate_stream(iter(texts), chunk=chunk, target_prefix=iter(prefixes))
            assert list(streamed) == found
        assert shouter().translate("bee", target_prefix=["!"]).text == "!EE"
        assert [one.text for one in shouter(target_prefix="!").translate(["ab", "cd"])] == ["!B", "!D"]
        assert shouter(target_prefix="!").translate("ab", target_prefix="").text == "AB"

    def test_one_that_cannot_be_fails_alone(self) -> None:
        found = shouter(max_length_factor=1e-9, max_length_constant=4).translate(
            ["ab"] * 4, target_prefix=["!", "!!!!", "\ud800", "!\x00"]
        )
        assert [one.text for one in found] == ["!B", "", "", ""]
        assert "'!!!!' has 4 pieces or more, but a translation of this text has at most 3" in str(found[1].error)
        assert "the target prefix: character 0 is the lone surrogate" in str(found[2].error)
        assert found[3].error == "the target prefix: character 2 is a NUL character; remove it"

    def test_their_number_is_that_of_the_texts(self) -> None:
        with pytest.raises(RequestError, match="2 texts, target prefixes: 1; give one each"):
            shouter().translate(["a", "b"], target_prefix=["!"])
        with pytest.raises(RequestError, match="fewer target prefixes than texts"):
            list(shouter().translate_stream(["a", "b"], target_prefix=["!"]))
        with pytest.raises(RequestError, match=r"target_prefix\[1\] is of type int"):
            shouter().translate(["a", "b"], target_prefix=["!", 2])  # type: ignore[list-item]

    def test_the_model_cannot_leave_the_prefix(self) -> None:
        # The shouter writes "!" or its source's capitals and nothing else: "x" is impossible.
        found = shouter().translate("bee", target_prefix="!x")
        assert "dead_end" in found.flags

    def test_steps_and_time_are_bounded_for_a_long_prefix(self) -> None:
        tokenizer = BytesTokenizer()
        asked = []

        class Counting(PieceIndex):
            def inside(self, text: bytes, place: int) -> list[tuple[int, list[int]]]:
                asked.append(place)
                return super().inside(text, place)

        pieces = Counting(tokenizer.target.vocabulary.surfaces, left_out=())
        counts = []
        for length in (1000, 2000):
            asked.clear()
            Spelling(b"a" * length, pieces)
            counts.append(len(asked))
        assert all(after <= 2.5 * before for before, after in pairwise(counts))
        config = TranslationConfig()
        with pytest.raises(RequestError, match="pieces or more"):
            prefix_of("a" * 10**6, tokenizer, most=config.max_length_constant)
