"""Every pair is kept or dropped for one reason, and the counts add up to the input."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.memory import traced_peak

from pellucid.config import CleaningConfig
from pellucid.text.cleaning import DIGEST_BYTES, DUPLICATE, FILTERS, Cleaner, CleaningReport, DigestSet
from pellucid.text.corpus import SentencePair


def pair(source: str, target: str, line: int = 0) -> SentencePair:
    return SentencePair(source, target, line, 0)


def reason(config: CleaningConfig, *pairs: SentencePair) -> str | None:
    """Return why the last pair is dropped."""
    cleaner = Cleaner(config)
    kept = list(cleaner.clean(pairs))
    if pairs[-1] in kept:
        return None
    (name,) = (name for name, count in cleaner.report().dropped.items() if count)
    return name


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("ein satz", "a sentence", None),
        ("", "a", "empty"),
        ("a", " \u3000\t", "empty"),
        ("x" * 101, "y" * 90, "too_long"),
        ("x" * 90, "y" * 101, "too_long"),
        ("x" * 100, "y" * 90, None),
        ("x" * 61, "y" * 20, "length_ratio"),
        ("x" * 20, "y" * 61, "length_ratio"),
        ("x" * 60, "y" * 20, None),
        ("x" * 39, "y", None),
        ("dieser Satz blieb stehen", "dieser Satz blieb stehen ", "copy"),
        ("Berlin", "Berlin", None),
    ],
)
def test_a_filter_drops_what_it_names(source: str, target: str, expected: str | None) -> None:
    config = CleaningConfig(max_characters=100, max_ratio=3, ratio_minimum_characters=40, copy_minimum_characters=11)
    assert reason(config, pair(source, target)) == expected


def test_a_repeated_pair_is_a_duplicate_and_a_repeated_side_is_not() -> None:
    config = CleaningConfig()
    assert reason(config, pair("a b", "c d", 0), pair("a b ", "c d", 1)) == DUPLICATE
    assert reason(config, pair("a b", "c d", 0), pair("a b", "c e", 1)) is None
    assert reason(config, pair("a\nb", "c", 0), pair("a", "b\nc", 1)) is None


def test_filters_can_be_switched_off() -> None:
    off = CleaningConfig(drop_empty=False, drop_duplicates=False, drop_copies=False)
    copy = pair("dieser Satz blieb stehen", "dieser Satz blieb stehen")
    assert list(Cleaner(off).clean([pair("", "a"), copy, copy])) == [pair("", "a"), copy, copy]


def test_the_report_adds_up() -> None:
    cleaner = Cleaner(CleaningConfig())
    rows = [pair(f"satz {i % 7}", f"sentence {i % 7}", i) for i in range(101)] + [pair("", "x", 101)]
    assert len(list(cleaner.clean(rows))) == 7
    report = cleaner.report()
    assert (report.read, report.kept) == (102, 7)
    assert report.dropped == {**dict.fromkeys(FILTERS, 0), "empty": 1, DUPLICATE: 94}
    with pytest.raises(ValueError, match="add up"):
        CleaningReport(3, 1, {"empty": 1})


def test_duplicates_are_found_across_corpora() -> None:
    cleaner = Cleaner(CleaningConfig())
    assert len(list(cleaner.clean([pair("a", "b")]))) == 1
    assert not list(cleaner.clean([pair("a", "b")]))


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_digest_set_is_a_set(on_disk: bool, tmp_path: Path) -> None:
    digests = [hashlib.blake2b(str(i).encode(), digest_size=16).digest() for i in range(997)]
    same_half = [b"\x07" * 8 + i.to_bytes(8, "big") for i in range(101)]
    same_half += [i.to_bytes(8, "big") + bytes(8) for i in range(101)]  # an end of zeros is part of a digest
    found = DigestSet(young_limit=13, folder=tmp_path if on_disk else None)
    assert all(found.add(digest) for digest in digests + same_half)
    assert not any(found.add(digest) for digest in same_half + digests)
    assert not list(tmp_path.iterdir())  # its files have no names


def test_a_full_set_moves_to_its_file_in_little_memory(tmp_path: Path) -> None:
    limit = 1 << 14
    digests = [hashlib.blake2b(str(i).encode(), digest_size=DIGEST_BYTES).digest() for i in range(limit)]

    def peak(count: int) -> int:
        with traced_peak() as found:
            kept = DigestSet(young_limit=limit, folder=tmp_path)
            for digest in digests[:count]:
                kept.add(digest)
        return found.bytes

    assert peak(limit) < peak(limit - 1) + 3 * DIGEST_BYTES * limit
