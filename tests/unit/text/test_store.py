"""What goes into a store comes out of it; it is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.memory import traced_peak

from pellucid.config import SpecialIds
from pellucid.errors import DataError, StoppedError
from pellucid.text import store as store_module
from pellucid.text.corpus import SentencePair
from pellucid.text.store import TokenStore, write_store
from pellucid.text.tokenizer import BytesTokenizer, Tokenizer

BYTES = BytesTokenizer()


def test_rows_come_back_as_they_were_encoded(
    tmp_path: Path, tokenizer: Tokenizer, pairs: list[SentencePair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "CHUNK_PAIRS", 101)
    done: list[int] = []
    store = write_store(tmp_path / "deep" / "data", pairs, tokenizer, max_length=400, progress=done.append)
    assert (len(store), store.left_out, sum(done)) == (len(pairs), 0, len(pairs))
    sources = tokenizer.encode_source([pair.source for pair in pairs])
    targets = tokenizer.encode_target([pair.target for pair in pairs])
    assert [store.source(row).tolist() for row in range(len(store))] == sources
    assert [store.target(row).tolist() for row in range(len(store))] == targets
    assert store.source_lengths.tolist() == [len(ids) for ids in sources]
    assert store.target_lengths.tolist() == [len(ids) for ids in targets]
    assert store.line.tolist() == [pair.line for pair in pairs]
    assert set(store.corpus.tolist()) == {0}
    assert store.source(0).dtype == np.uint16
    store.verify(source_vocab_size=tokenizer.source_vocab_size, target_vocab_size=tokenizer.target_vocab_size)


def test_long_pairs_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [SentencePair("a" * n, "b" * m, 10 * n + m, 5) for n, m in ((3, 4), (5, 2), (2, 5), (4, 4), (0, 1))]
    store = write_store(tmp_path / "data", rows, BYTES, max_length=5)
    assert (len(store), store.left_out) == (3, 2), "five tokens are four pieces and the end of the sentence"
    assert store.line.tolist() == [34, 44, 1]
    assert store.corpus.tolist() == [5, 5, 5]
    assert store.source(2).tolist() == []


def test_large_vocabularies_take_four_bytes(tmp_path: Path) -> None:
    small = BytesTokenizer(tags=[f">>{i}<<" for i in range(65_536 - 260)])
    large = BytesTokenizer(tags=[f">>{i}<<" for i in range(65_537 - 260)])
    for tokenizer, kind in ((small, np.uint16), (large, np.uint32)):
        store = write_store(tmp_path / "data", [SentencePair(">>7<< ä", "é", 0, 0)], tokenizer, max_length=9)
        assert store.source(0).dtype == kind
        assert store.source(0).tolist() == tokenizer.encode_source([">>7<< ä"])[0]


def test_a_store_is_replaced_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / ".data.writing").mkdir()
    (tmp_path / ".data.writing" / "left by a kill").touch()
    (tmp_path / ".data.old").mkdir()
    first = write_store(tmp_path / "data", [SentencePair("a", "b", 0, 0)], BYTES, max_length=9)
    second = write_store(tmp_path / "data", [SentencePair("a", "c", 0, 0)], BYTES, max_length=9)
    assert first.fingerprint != second.fingerprint
    assert first.target(0).tolist() == BYTES.encode_target(["b"])[0], "who reads the old one goes on reading it"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    again = write_store(tmp_path / "data", [SentencePair("a", "b", 0, 0)], BYTES, max_length=9)
    assert again.fingerprint == first.fingerprint == TokenStore.open(tmp_path / "data").fingerprint


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("x")])
def test_an_interrupted_write_leaves_the_old_store(tmp_path: Path, error: BaseException) -> None:
    old = write_store(tmp_path / "data", [SentencePair("a", "b", 0, 0)], BYTES, max_length=9)

    def broken() -> Iterator[SentencePair]:
        yield SentencePair("c", "d", 0, 0)
        raise error

    with pytest.raises(type(error)):
        write_store(tmp_path / "data", broken(), BYTES, max_length=9)
    assert TokenStore.open(tmp_path / "data").fingerprint == old.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_full_disk_can_be_resumed_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoppedError, match="data: the disk is full; make room"):
        write_store(tmp_path / "data", [SentencePair("a", "b", 0, 0)], BYTES, max_length=9)
    assert list(tmp_path.iterdir()) == []


def test_no_pair_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sentence pair is left: 1 have more than max_length = 3"):
        write_store(tmp_path / "data", [SentencePair("aaaa", "b", 0, 0)], BYTES, max_length=3)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        write_store(tmp_path / "file" / "data", [SentencePair("a", "b", 0, 0)], BYTES, max_length=3)


def test_opening_checks_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "data"

    def renewed() -> None:
        write_store(folder, [SentencePair("abc", "de", 0, 0)], BYTES, max_length=9)

    def changed(**values: object) -> None:
        path = folder / "index.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    for damage, words in (
        (lambda: (folder / "index.json").unlink(), "index.json cannot be read"),
        (lambda: (folder / "index.json").write_text("{"), "is not JSON"),
        (lambda: changed(format_version=99), "does not describe a token store of format"),
        (lambda: changed(variants=2), "does not describe a token store of format"),
        (lambda: changed(columns={}), "does not describe source.ids"),
        (lambda: (folder / "source.ids").write_bytes(b"x"), "source.ids has 1 byte, and index.json records 3"),
        (lambda: (folder / "line").unlink(), "line cannot be read"),
    ):
        renewed()
        damage()  # type: ignore[no-untyped-call]
        with pytest.raises(DataError, match=words):
            TokenStore.open(folder)
    renewed()
    (folder / "target.ids").write_bytes(b"wxyz")
    with pytest.raises(DataError, match=r"target\.ids has another SHA-256"):
        TokenStore.open(folder).verify(source_vocab_size=260, target_vocab_size=260)


def change(folder: Path, name: str, values: list[int], kind: str) -> None:
    """Put other numbers in the place of a column, and the index right, as a stranger can."""
    raw = np.array(values, dtype=kind).tobytes()
    (folder / name).write_bytes(raw)
    index = json.loads((folder / "index.json").read_text())
    index["columns"][name] = {"type": kind, "count": len(values), "sha256": hashlib.sha256(raw).hexdigest()}
    (folder / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("source.offsets", [0, 1, 1 << 40]),
        ("source.offsets", [0, -5, 2]),
        ("source.offsets", [1, 1, 2]),
        ("target.offsets", [0, 2]),
        ("target.offsets", []),
        ("target.ids", [100, 101, 102]),
        ("line", [0]),
    ],
)
def test_rows_outside_of_the_ids_are_refused(name: str, values: list[int], tmp_path: Path) -> None:
    write_store(tmp_path / "data", [SentencePair("a", "b", 0, 0), SentencePair("c", "d", 1, 0)], BYTES, max_length=9)
    change(tmp_path / "data", name, values, "<u2" if name.endswith("ids") else "<i8")
    with pytest.raises(DataError, match=r"token store is damaged: .*; remove the folder"):
        TokenStore.open(tmp_path / "data")


def test_ids_outside_of_the_vocabulary_are_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "data", [SentencePair("a", "b", 0, 0), SentencePair("c", "d", 1, 0)], BYTES, max_length=9)
    change(tmp_path / "data", "target.ids", [100, 60_000], "<u2")
    store = TokenStore.open(tmp_path / "data")
    with pytest.raises(DataError, match=r"target\.ids has the id 60000, and the vocabulary has 260 pieces"):
        store.verify(source_vocab_size=260, target_vocab_size=260)


@pytest.mark.parametrize(
    "column",
    [
        5,
        {},
        {"type": "O", "count": 1},
        {"type": "(99999,99999)i4", "count": 1},
        {"type": "<u2", "count": "2"},
        {"type": "<u2", "count": float("inf")},
        {"type": ["<u2"], "count": 2},
    ],
)
def test_an_index_of_other_kinds_is_refused(column: object, tmp_path: Path) -> None:
    write_store(tmp_path / "data", [SentencePair("a", "b", 0, 0), SentencePair("c", "d", 1, 0)], BYTES, max_length=9)
    index = json.loads((tmp_path / "data" / "index.json").read_text())
    index["columns"]["source.ids"] = column
    (tmp_path / "data" / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=r"token store is damaged: .*; remove the folder"):
        TokenStore.open(tmp_path / "data")


def test_writing_holds_one_chunk_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHUNK_PAIRS", 97)
    peaks = []
    for count in (1_009, 10_007):
        rows = (SentencePair("ein satz mit worten " * 3, "a sentence " * 5, i, 0) for i in range(count))
        with traced_peak() as peak:
            store = write_store(tmp_path / "data", rows, BYTES, max_length=99)
        peaks.append(peak.bytes)
        assert len(store) == count
    assert peaks[1] < 1.5 * peaks[0] + 200_000  # the lengths of the opened store are in memory: 16 bytes a row


def test_special_ids_of_the_tokenizer_do_not_enter_the_store(tmp_path: Path) -> None:
    tokenizer = BytesTokenizer(specials=SpecialIds(pad=259, unk=258, bos=0, eos=257))
    store = write_store(tmp_path / "data", [SentencePair("<s>", "</s>", 0, 0)], tokenizer, max_length=9)
    assert {0, 257, 258, 259}.isdisjoint(store.source(0).tolist() + store.target(0).tolist())
