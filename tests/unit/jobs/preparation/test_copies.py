"""A text whose two sides are largely the same is reported; a few names and numbers are not."""

from __future__ import annotations

from pellucid.jobs.preparation.copies import CopyCount
from pellucid.text.corpus import SentencePair


def notes(*pairs: tuple[str, str]) -> list[str]:
    count = CopyCount()
    given = [SentencePair(source, target, line, 0) for line, (source, target) in enumerate(pairs)]
    assert list(count.watching(iter(given))) == given
    return count.lines()


def test_many_copies_are_reported_with_their_number_and_few_are_not() -> None:
    translated = [(f"{n} chiens", f"{n} dogs") for n in range(29)]
    assert notes() == notes(*translated, ("OK", "OK ")) == []
    (note,) = notes(*translated, *[("Va !", "Va !")] * 7)
    assert "7 of 36 training pairs have the same text on both sides" in note
