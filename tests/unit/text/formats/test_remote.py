"""Files at addresses are read as files of this machine are, and copied again only when they changed."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.config import CorpusConfig, DataConfig, InvalidUtf8
from pellucid.errors import DataError
from pellucid.text.corpus import read_pairs
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
