"""Files at addresses are read as files of this machine are, and copied again only when they changed."""

from __future__ import annotations

import errno
import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.config import CorpusConfig, DataConfig, InvalidUtf8
from pellucid.errors import DataError
from pellucid.text.corpus import read_pairs
from pellucid.text.formats import remote
from pellucid.text.formats.remote import address_in, copies_of, send

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def read(*files: str, languages: tuple[str, str] = ("de", "en")) -> list[tuple[str, str]]:
    corpus = CorpusConfig(files=files)
    pairs = read_pairs(corpus, index=0, invalid_utf8=InvalidUtf8.STRICT, languages=languages)
    return [(pair.source, pair.target) for pair in pairs]


def test_a_pattern_of_addresses_is_a_corpus(memory: Any, tmp_path: Path) -> None:
    rows = ['{"de": "eins", "en": "one"}\n', '{"de": "zwei", "en": "two"}\n']
    memory.pipe("/bucket/b.jsonl.gz", gzip.compress(rows[1].encode()))
    memory.pipe("/bucket/a.jsonl", rows[0].encode())
    (tmp_path / "c.tsv").write_text("drei\tthree\n")
    found = [("eins", "one"), ("zwei", "two"), ("drei", "three")]
    assert read("memory://bucket/*.jsonl*", f"file://{tmp_path}/c.tsv") == found
    memory.pipe("/bucket/x.de", b"vier\n")
    memory.pipe("/bucket/x.en", b"four\n")
    assert read("memory://bucket/x.*") == [("vier", "four")]


def test_a_copy_is_taken_again_only_after_a_change(memory: Any) -> None:
    memory.pipe("/bucket/a.jsonl", b"old\n")
    (first,) = copies_of("memory://bucket/a.jsonl")
    taken = first.stat().st_ino
    assert copies_of("memory://bucket/a.jsonl") == [first]
    assert first.stat().st_ino == taken
    memory.pipe("/bucket/a.jsonl", b"new\n")
    (again,) = copies_of("memory://bucket/a.jsonl")
    assert again.read_text() == "new\n"


class Ended:
    """A stream that ends early, in the way of a connection."""

    def __init__(self, stream: Any, error: Exception | None) -> None:
        self._stream, self._error = stream, error
        self._left = 3

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *given: object) -> None:
        self._stream.close()

    def read(self, size: int) -> bytes:
        block: bytes = self._stream.read(min(size, self._left))
        self._left -= len(block)
        if not block and self._error:
            raise self._error
        return block


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset"), RuntimeError("of the protocol")])
def test_a_copy_that_ends_half_way_is_no_copy(
    memory: Any, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    memory.pipe("/bucket/a.jsonl", b"old one\n")
    (place,) = copies_of("memory://bucket/a.jsonl")
    memory.pipe("/bucket/a.jsonl", b"new one\n")
    real = type(memory).open
    said = "3 bytes of 8 arrived" if error is None else str(error)
    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "open", lambda *given, **more: Ended(real(*given, **more), error))
        with pytest.raises(DataError, match=f"a.jsonl: .*{said}"):
            copies_of("memory://bucket/a.jsonl")
    assert place.read_bytes() == b"old one\n"
    assert [path.name for path in place.parent.iterdir()] == ["a.jsonl"]
    assert copies_of("memory://bucket/a.jsonl") == [place]
    assert place.read_bytes() == b"new one\n"


def test_two_processes_may_copy_a_file_at_once(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe("/bucket/a.jsonl", b"one\n")
    real, depth = type(memory).open, []

    def opened(*given: Any, **more: Any) -> Any:
        if not depth:  # another copy begins and ends while this one is under way
            depth.append(1)
            assert copies_of("memory://bucket/a.jsonl")[0].read_bytes() == b"one\n"
        return real(*given, **more)

    monkeypatch.setattr(type(memory), "open", opened)
    (place,) = copies_of("memory://bucket/a.jsonl")
    assert place.read_bytes() == b"one\n"
    assert sorted(path.name for path in place.parent.iterdir()) == [".a.jsonl.state", "a.jsonl"]


def test_a_file_that_changes_while_it_is_copied_is_refused(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe("/bucket/a.jsonl", b"one\n")
    real, changes = type(memory).open, [b"two\n"]

    def opened(*given: Any, **more: Any) -> Any:
        stream = real(*given, **more)
        if changes:
            memory.pipe("/bucket/a.jsonl", changes.pop())
        return stream

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "open", opened)
        with pytest.raises(DataError, match="was changed while it was copied"):
            copies_of("memory://bucket/a.jsonl")
    assert copies_of("memory://bucket/a.jsonl")[0].read_bytes() == b"two\n"


def test_a_full_disk_under_the_copies_is_no_fault_of_the_address(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe("/bucket/a.jsonl", b"one\n")

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.jsonl")

    monkeypatch.setattr(remote.DISK, "_announce", full)
    with pytest.raises(OSError, match="No space"):
        copies_of("memory://bucket/a.jsonl")


def test_what_is_not_there_is_said(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe("/bucket/deep/a.jsonl", b"x\n")
    for address, problem in (
        ("memory://bucket/none.jsonl", "no such file"),
        ("memory://bucket/*.po", "no file matches"),
        ("memory://bucket/deep", "is a folder"),
        ("strange://bucket/a", "strange"),
    ):
        with pytest.raises(DataError, match=problem):
            copies_of(address)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(DataError, match="s3fs"):
        copies_of("s3://bucket/a.jsonl")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(DataError, match=r"pip install 'pellucid\[remote\]'"):
        copies_of("memory://bucket/a.jsonl")


def test_a_path_that_was_an_address_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address_in(Path("s3://bucket/a b/c")) == address_in("s3://bucket/a b/c") == "s3://bucket/a b/c"
    assert address_in("a/b:c") is address_in("c.jsonl") is address_in("/x/s3://y") is None
    (tmp_path / "s3:").mkdir()
    assert address_in(Path("s3:/bucket")) is None
    assert DataConfig(train=(CorpusConfig(files=("s3://b/a",)),)).below(tmp_path).train[0].files == ("s3://b/a",)
    with pytest.raises(ValueError, match="addresses go into files"):
        CorpusConfig(tsv=Path("gs://bucket/a.tsv"))


def test_a_result_is_sent(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"done")
    send(tmp_path / "a", "memory://out/deep/b")
    assert memory.cat("/out/deep/b") == b"done"
