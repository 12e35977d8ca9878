"""A store of a text that changed has the bytes of one that is written from nothing, and only new pairs are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.errors import DataError
from pellucid.text.corpus import SentencePair
from pellucid.text.store import TokenStore, write_store
from pellucid.text.storing import crew, reuse
from pellucid.text.storing.cutting import CutPairs
from pellucid.text.tokenizer import BytesTokenizer

BYTES = BytesTokenizer(tags=[">>fr<<"]).with_default_tag(">>fr<<")
MOST = 31


def pairs(numbers: Iterable[int], mark: str = "") -> list[SentencePair]:
    texts = [(f"{n} \U0001f600{mark} " + "a" * (n % 29), f"été {n}") for n in numbers]
    return [SentencePair(*sides, line, line % 3) for line, sides in enumerate(texts)]


BEFORE = pairs(range(1000))
LATER = {
    "the same": (BEFORE, 0),
    "appended": (pairs(range(1100)), 100),
    "another text first": (pairs([*range(5000, 5700), *range(1000)]), 700),
    "lines changed": ([*BEFORE[:300], *pairs(range(7), "?"), *BEFORE[307:]], 7),
    "a third removed": (pairs([*range(200), *range(533, 1000)]), 0),
    "two halves in another order": (pairs([*range(500, 1000), *range(500)]), 0),
    "every hundredth elsewhere": ([pair for pair in BEFORE if pair.line % 100], 0),
    "another text": (pairs(range(2000, 2400)), 400),
}


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that are cut into pieces in this process."""
    found: list[str] = []
    real = crew.cut

    def noting(tokenizer: BytesTokenizer, sources: Sequence[str], targets: Sequence[str], *, most: int) -> CutPairs:
        found.extend(sources)
        return real(tokenizer, sources, targets, most=most)

    monkeypatch.setattr(crew, "cut", noting)
    monkeypatch.setattr("pellucid.text.store.CHUNK_PAIRS", 137)
    monkeypatch.setattr(reuse, "_LANDMARK_ROWS", 16)
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("change", LATER)
def test_only_new_pairs_are_cut_and_no_byte_differs(change: str, cut: list[str], tmp_path: Path) -> None:
    after, new = LATER[change]
    earlier = write_store(tmp_path / "before", BEFORE, BYTES, max_length=MOST).rows_for(BYTES)
    assert earlier is not None
    cut.clear()
    write_store(tmp_path / "nothing", after, BYTES, max_length=MOST)
    assert len(cut) == len(after)
    too_long = len(after) - len(TokenStore.open(tmp_path / "nothing"))
    cut.clear()
    write_store(tmp_path / "earlier", after, BYTES, max_length=MOST, earlier=earlier)
    assert contents(tmp_path / "earlier") == contents(tmp_path / "nothing")
    assert new <= len(cut) <= new + too_long, "no row has the pieces of a pair that was too long"
    assert (earlier.copied, earlier.cut) == (len(after) - len(cut), len(cut))


@pytest.mark.parametrize("most", [23, 50])
def test_another_limit_of_length_cuts_what_the_earlier_one_left_out(most: int, cut: list[str], tmp_path: Path) -> None:
    before = write_store(tmp_path / "before", BEFORE, BYTES, max_length=MOST)
    earlier = before.rows_for(BYTES)
    write_store(tmp_path / "nothing", BEFORE, BYTES, max_length=most)
    cut.clear()
    write_store(tmp_path / "earlier", BEFORE, BYTES, max_length=most, earlier=earlier)
    assert contents(tmp_path / "earlier") == contents(tmp_path / "nothing")
    assert len(cut) == before.left_out > 0


def test_several_processes_copy_as_one_does(cut: list[str], tmp_path: Path) -> None:
    after, _ = LATER["lines changed"]
    earlier = write_store(tmp_path / "before", BEFORE, BYTES, max_length=MOST).rows_for(BYTES)
    write_store(tmp_path / "nothing", after, BYTES, max_length=MOST)
    write_store(tmp_path / "earlier", after, BYTES, max_length=MOST, processes=2, earlier=earlier)
    assert contents(tmp_path / "earlier") == contents(tmp_path / "nothing")


def test_a_store_replaces_the_one_that_it_copies(tmp_path: Path) -> None:
    write_store(tmp_path / "nothing", BEFORE[::-1], BYTES, max_length=MOST)
    earlier = write_store(tmp_path / "store", BEFORE, BYTES, max_length=MOST).rows_for(BYTES)
    write_store(tmp_path / "store", BEFORE[::-1], BYTES, max_length=MOST, earlier=earlier)
    assert contents(tmp_path / "store") == contents(tmp_path / "nothing")


def test_white_space_and_the_border_of_the_sides_make_another_pair() -> None:
    pair = SentencePair("a b", "c", 0, 0)
    others = [replace(pair, source="a b "), replace(pair, target=" c"), replace(pair, source="a", target=" bc")]
    assert len(set(reuse.digests_of([pair, *others]).tolist())) == 4
    elsewhere = replace(pair, line=7, corpus=1)
    assert reuse.digests_of([elsewhere]) == reuse.digests_of([pair])


def test_another_tokenizer_and_another_release_share_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = write_store(tmp_path / "store", BEFORE, BYTES, max_length=MOST)
    assert store.rows_for(BYTES.with_default_tag("")) is None
    monkeypatch.setattr(reuse, "__version__", "0.0.1")
    monkeypatch.setattr("pellucid.text.store.cutter", reuse.cutter)
    assert store.rows_for(BYTES) is None


@pytest.mark.parametrize("file", ["digests", "target.ids"])
def test_a_damaged_store_is_refused(file: str, tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", BEFORE, BYTES, max_length=MOST)
    path = tmp_path / "store" / file
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(DataError, match=f"{file} has another SHA-256"):
        store.rows_for(BYTES)
    path.unlink()
    if file == "digests":
        with pytest.raises(DataError, match="digests"):
            store.rows_for(BYTES)
