"""From weights to links: both directions, symmetrised; and the counts that judge a head."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid.translation.alignment.choosing import error_rate
from pellucid.translation.alignment.links import links_of, symmetrised, word_weights
from pellucid.translation.alignment.pairs import AlignedPart, joined, stretches_of
from pellucid.translation.alignment.statistics import aligned_by_counts


def weights(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_words_that_choose_each_other_are_linked() -> None:
    assert links_of(weights([0.9, 0.1, 0.0], [0.0, 0.2, 0.8])) == ((0, 0), (1, 1), (2, 1))
    assert links_of(weights([0.1, 0.9], [0.9, 0.1])) == ((0, 1), (1, 0))
    assert links_of(np.zeros((0, 3), np.float32)) == ()


@pytest.mark.parametrize(
    ("one", "other", "links"),
    [
        ({(0, 0), (1, 1)}, {(0, 0), (1, 1)}, {(0, 0), (1, 1)}),
        ({(0, 0)}, {(0, 0), (1, 1)}, {(0, 0), (1, 1)}),  # grow-diag: beside a link, and neither word has one
        ({(0, 0)}, {(0, 0), (0, 1)}, {(0, 0), (0, 1)}),
        ({(0, 0)}, {(0, 0), (0, 4)}, {(0, 0)}),  # far from every link, and its source word has one
        ({(0, 0)}, {(0, 0), (5, 5)}, {(0, 0), (5, 5)}),  # final-and: neither of its words has a link
        ({(2, 3)}, {(4, 1)}, {(2, 3), (4, 1)}),
        (set(), set(), set()),
    ],
)
def test_two_directions_join(
    one: set[tuple[int, int]], other: set[tuple[int, int]], links: set[tuple[int, int]]
) -> None:
    assert set(symmetrised(one, other)) == links
    assert one & other <= set(symmetrised(one, other)) <= one | other


def test_joining_is_the_same_from_either_side() -> None:
    chance = np.random.default_rng(3)
    for _ in range(50):
        one, other = ({(int(i), int(j)) for i, j in chance.integers(0, 5, (7, 2))} for _ in range(2))
        assert symmetrised(one, other) == symmetrised(other, one)


def test_a_word_weighs_what_its_pieces_weigh() -> None:
    pieces = weights([0.1, 0.2, 0.7], [0.3, 0.4, 0.3])
    assert word_weights(pieces, source=[(0, 2), (2, 3)], target=[(0, 2)]) == pytest.approx(weights([0.5, 0.5]))


def part(source: str, target: str, *, source_gap: str = "", target_gap: str = "") -> AlignedPart:
    left, right = source.split(), target.split()
    return AlignedPart(
        left, right, np.eye(len(right), len(left), dtype=np.float32), source_gap=source_gap, target_gap=target_gap
    )


def test_numbers_of_pharaoh_count_what_stands_between_spaces() -> None:
    found = joined([part("▁The ▁dog s .", "▁Le s ▁chiens .")])
    assert found.source_words == ("The", "dogs", ".")
    assert found.target_words == ("Les", "chiens", ".")
    assert {(i, j) for i, j in found.links} >= {(0, 0), (2, 2)}
    assert set(found.pharaoh.split()) >= {"0-0", "1-1"}
    assert found.source_places == (0, 1, 1)
    assert found.target_places == (0, 1, 1)


def test_parts_are_aligned_alone_and_numbered_on() -> None:
    parts = [part("▁A .", "▁B ."), part("▁C .", "▁D .", source_gap=" ", target_gap=" ")]
    found = joined(parts)
    assert found.links == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert found.piece_links == found.links
    assert found.pharaoh == "0-0 1-1"
    assert joined([parts[0], part("▁C .", "▁D .")]).pharaoh == "0-0"  # no space between the parts
    assert joined(parts, stretches_before=1).pharaoh == "1-0 2-1"
    assert joined([]).pharaoh == ""


def test_white_space_alone_is_no_word() -> None:
    pieces = ["▁", "<0xC3>", "<0xA9>", "▁", "▁a"]
    assert stretches_of(pieces) == [(0, 3), (4, 5)] or stretches_of(pieces) == [(0, 3), (3, 5)]
    assert len(stretches_of(["<0x61>", "<0x20>", "<0x62>"])) == 2


def test_error_rate_is_one_minus_f1() -> None:
    assert error_rate([[(0, 0), (1, 1)]], [[(0, 0), (1, 2)]]) == (0.5, 0.5, 0.5)
    assert error_rate([[(0, 0)], [(0, 0), (1, 1), (2, 2)]], [[(0, 0)], [(0, 0)]]) == pytest.approx((0.5, 1, 1 / 3))
    assert error_rate([[]], [[(0, 0)]]) == (0.0, 0.0, 1.0)


def test_the_statistical_aligner_learns_a_dictionary_whatever_the_order() -> None:
    chance = np.random.default_rng(5)
    pairs, known = [], []
    for _ in range(300):
        numbers = chance.permutation(11)[: chance.integers(2, 7)]
        order = chance.permutation(len(numbers))
        pairs.append(([f"s{n}" for n in numbers], [f"t{numbers[i]}" for i in order]))
        known.append({(int(i), place) for place, i in enumerate(order)})
    precision, recall, _ = error_rate(aligned_by_counts(pairs), known)
    assert precision > 0.95
    assert recall > 0.95
    assert aligned_by_counts([]) == []
    assert aligned_by_counts([([], ["a"]), (["b"], [])]) == [(), ()]
