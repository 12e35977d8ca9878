from __future__ import annotations

import pytest

from pellucid.translation.flags import FLAGS, diagnose, in_order, most_repeats

UNK = 1


def flags(source: list[int], target: list[int], *, texts: tuple[str, str] = ("ab", "cd")) -> set[str]:
    return diagnose(*texts, source_ids=source, target_ids=target, unk_id=UNK)


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
        ([*range(2, 11)] * 5, 1),  # a block of nine is not looked for
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


def test_order_is_that_of_the_table() -> None:
    assert in_order({*FLAGS}) == FLAGS
    assert in_order({"length", "split"}) == ("split", "length")
