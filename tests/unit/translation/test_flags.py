from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from pellucid.translation.flags import FLAGS, diagnose, doubtful, in_order, is_omitted, most_repeats

UNK = 1


def flags(source: list[int], target: list[int], *, texts: tuple[str, str] = ("ab", "cd")) -> set[str]:
    return set(diagnose(*texts, source_ids=source, target_ids=target, unk_id=UNK, pieces_of=len))


@pytest.mark.parametrize(
    ("ids", "repeats"),
    [
        ([], 0),
        ([5], 1),
        ([5, 6, 7], 1),
        ([5, 5, 5], 3),
        ([9, 5, 6, 5, 6, 5, 6, 8], 3),
        ([5, 6, 7, 8] * 4, 4),
        ([*range(2, 10)] * 5, 5),
        ([*range(2, 26)] * 5, 5),
        ([*range(2, 27)] * 5, 1),  # a block of 25 is not looked for
        ([5, 6, 5, 6, 5], 2),
    ],
)
def test_repeats_are_counted(ids: list[int], repeats: int) -> None:
    assert most_repeats(ids) == repeats


def test_repetition_is_more_than_the_sources() -> None:
    assert "repetition" in flags([7, 8, 9, 10], [5, 5, 5, 5])
    assert "repetition" not in flags([7, 8, 9], [5, 5, 5])
    assert "repetition" not in flags([7, 7, 7, 7], [5, 5, 5, 5])
    assert "repetition" in flags([7, 7, 7, 7], [5, 5, 5, 5, 5])


def test_copy_needs_a_letter() -> None:
    assert "copy" in flags([5], [5], texts=(" Hund ", "Hund"))
    assert "copy" not in flags([5], [5], texts=("12:30", "12:30"))
    assert "copy" not in flags([5], [5], texts=("Hund", "dog"))


def test_unknown_pieces_of_the_source() -> None:
    assert "unknown" in flags([5, UNK], [5, 6])
    assert "unknown" not in flags([5, 6], [5, UNK])


def test_odd_lengths() -> None:
    assert "length" in flags([*range(2, 5)], [*range(2, 12)])
    assert "length" in flags([*range(2, 12)], [*range(2, 5)])
    assert "length" not in flags([*range(2, 6)], [*range(2, 14)])  # exactly three times
    assert "length" not in flags([2], [*range(2, 11)])  # too short to tell
    assert "length" in flags([*range(2, 12)], [])


def of_texts(source: str, text: str, *, pieces_of: Callable[[str], int] = len) -> set[str]:
    """Return the flags of texts whose pieces are their characters, none of them the unknown one."""
    ids = [[2 + ord(character) for character in side] for side in (source, text)]
    return set(diagnose(source, text, source_ids=ids[0], target_ids=ids[1], unk_id=UNK, pieces_of=pieces_of))


def test_an_unknown_piece_of_the_translation_is_flagged() -> None:
    assert "unknown_output" in flags([5, 6], [5, UNK], texts=("ab", "c\u2047"))
    assert "unknown_output" not in flags([5, UNK], [5, 6])
    assert "unknown_output" not in flags([5, 6], [5, 6], texts=("a\u2047", "c\u2047"))  # copied, not unknown


def test_bytes_that_are_no_character_are_flagged() -> None:
    assert "unknown_output" in of_texts("ab", "c\ufffd")
    assert "unknown_output" in of_texts("a\ufffd", "c\ufffd\ufffd")
    assert "unknown_output" not in of_texts("a\ufffd", "c\ufffd")  # copied


class TestOmission:
    two = "The cat is very tired. The dog is happy."

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            (two, "Le chat est tr\u00e8s fatigu\u00e9."),
            ("Is it late? It is not. We can stay.", "Il est tard ? Non."),
            (
                "\u732b\u5f88\u7d2f\u3002\u72d7\u5f88\u9ad8\u5174\u3002\u9a6c\u5728\u8dd1\u3002",
                "\u732b\u5f88\u7d2f\u3002",
            ),
            ("The cat is tired.The dog is happy.", "Le chat est fatigu\u00e9."),  # no space
            ("Yes.", ""),
            ("A dog", " ...!"),
        ],
    )
    def test_of_a_sentence_or_of_everything(self, source: str, text: str) -> None:
        assert "omission" in of_texts(source, text)

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            (two, "Le chat est tr\u00e8s fatigu\u00e9. Le chien est heureux."),
            (two, "Le chat est tr\u00e8s fatigu\u00e9, et le chien est heureux."),  # two sentences as one
            ("Mr. Smith is here.", "Herr Schmidt ist da."),
            ("It is sold at example.com and in the U.S.A today.", "Auf example.com und in den USA."),
            ("...", ""),
            ("\u3010\u732b\u3002\u3011", "The cat."),
        ],
    )
    def test_is_not_seen_where_nothing_is_missing(self, source: str, text: str) -> None:
        assert "omission" not in of_texts(source, text)

    def test_of_a_part(self) -> None:
        part = {"source_ids": [*range(2, 14)], "target_ids": [*range(2, 6)]}
        assert not is_omitted("a part of a text", "une partie", **part)
        assert is_omitted("a part of a text", "une", **part | {"target_ids": [2, 3]})
        assert is_omitted("a", "", source_ids=[2], target_ids=[])
        assert not is_omitted("-", "", source_ids=[2], target_ids=[])


class TestCapitals:
    @staticmethod
    def by_letter(text: str) -> int:
        """Count pieces as a model does that knows small words and spells capitals."""
        return sum(1 if word.islower() else len(word) for word in text.split())

    @pytest.mark.parametrize(
        "text", ["THE CAT IS VERY TIRED.", "HELLO", "DER HUND L\u00c4UFT \u2014 3 KM", "THE LAZY CAT (no)"]
    )
    def test_that_the_model_spells_are_flagged(self, text: str) -> None:
        found = diagnose(
            text, "x", source_ids=[*range(self.by_letter(text))], target_ids=[7], unk_id=-1, pieces_of=self.by_letter
        )
        assert "capitals" in found

    @pytest.mark.parametrize(
        "text", ["The cat is very tired.", "NASA", "The NATO and the UNESCO", "\u732b\u5f88\u7d2f", "12345"]
    )
    def test_that_stand_alone_are_not(self, text: str) -> None:
        found = diagnose(
            text, "x", source_ids=[*range(self.by_letter(text))], target_ids=[7], unk_id=-1, pieces_of=self.by_letter
        )
        assert "capitals" not in found

    def test_that_the_model_knows_are_not(self) -> None:
        assert "capitals" not in of_texts("THE CAT IS VERY TIRED.", "LE CHAT EST FATIGU\u00c9.")


def test_order_is_that_of_the_table() -> None:
    assert in_order({*FLAGS}) == FLAGS
    assert in_order({"length", "split"}) == ("split", "length")


def evidence(source: str, text: str) -> dict[str, str]:
    """Return the flags of texts whose pieces are their characters, with what each says."""
    ids = [[2 + ord(character) for character in side] for side in (source, text)]
    return diagnose(
        source,
        text,
        source_ids=ids[0],
        target_ids=ids[1],
        unk_id=UNK,
        pieces_of=len,
        spelled=lambda some: "".join(chr(i - 2) for i in some),
    )


class TestEvidence:
    @pytest.mark.parametrize(
        ("source", "text", "flag", "says"),
        [
            ("I have 350 cats.", "J'ai 530 chats.", "numbers", "missing: 350; only in the translation: 530"),
            ("Hi {name}.", "Bonjour {nom}.", "placeholders", "missing: {name}; only in the translation: {nom}"),
            ("See https://a.org now.", "Voir.", "addresses", "missing: https://a.org"),
            ("Fine \U0001f600.", "Bien.", "emoji", "missing: \U0001f600"),
            ("He sees the dog.", "Il voit le chien le chien.", "repetition", "'le chien' 2 times in a row"),
            ("A dog, a cat and a cow.", "Un chien.", "omission", "2 clauses in the source, 1 in the translation"),
            ("It is late.", "Il est tard. Il fait nuit.", "addition", "1 sentence in the source, 2 in the translation"),
            ("It is late.", "Il est", "ending", "the source ends with 'late.', the translation with 'est'"),
            ("We ran to the old town.", "Nous ran to the old town.", "copy", "'ran to the old town.'"),
            ("one", "one", "copy", "all of it"),
            ("no", "n" + "abcdefghijk", "length", "2 pieces in the source, 12 in the translation"),
        ],
    )
    def test_says_what_is_wrong(self, source: str, text: str, flag: str, says: str) -> None:
        assert evidence(source, text)[flag] == says

    def test_of_many_things_shows_some(self) -> None:
        source = " and ".join(str(number) for number in range(100, 120)) + "."
        assert evidence(source, "Nombres.")["numbers"] == "missing: 100, 101, 102, 103, 104 and 15 more"

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("It is very, very late.", "Il est tr\u00e8s, tr\u00e8s tard."),
            ("No, no, no, no.", "Non, non, non, non."),
            ("It is late", "Il est tard"),
            ("Is it late?", "\u0e2a\u0e32\u0e22\u0e41\u0e25\u0e49\u0e27\u0e2b\u0e23\u0e37\u0e2d"),  # Thai
            ("He said: \u201cGo!\u201d", "Il a dit : \u00ab Va ! \u00bb"),
            ("We met Angela Dorothea Maria Merkel.", "Wir trafen Angela Dorothea Maria Merkel."),
            ("Look, a dog.", "Regarde le chien."),
        ],
    )
    def test_is_empty_where_nothing_is_wrong(self, source: str, text: str) -> None:
        words = set(evidence(source, text))
        assert not words - ({"copy"} if "Merkel" in source else set())

    def test_of_scripts_without_spaces(self) -> None:
        assert "repetition" in of_texts(
            "I like the cat.", "\u6211\u559c\u6b22\u6211\u559c\u6b22\u90a3\u53ea\u732b\u3002"
        )
        assert of_texts("See https://a.org now.", "\u8bf7\u770bhttps://a.org\u5427\u3002") == set()
        assert of_texts("Hi %s now.", "\u4f60\u597d%s\u5427\u3002") == set()


def test_doubt_is_a_low_mean_probability() -> None:
    assert doubtful(math.log(0.31) * 7, 7) is None
    assert doubtful(math.log(0.12) * 7, 7) == "mean probability of a piece 0.12"
    assert doubtful(0.0, 0) is None
