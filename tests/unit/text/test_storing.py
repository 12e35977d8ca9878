"""Text that several processes cut into pieces gives the same store, byte for byte, as one process gives."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.errors import DataError
from pellucid.text.corpus import SentencePair
from pellucid.text.store import write_store
from pellucid.text.storing import crew
from pellucid.text.tokenizer import BytesTokenizer

BYTES = BytesTokenizer(tags=[">>fr<<"]).with_default_tag(">>fr<<")


def pairs(count: int) -> Iterator[SentencePair]:
    for n in range(count):
        yield SentencePair(f"{n} \u2028\U0001f600 " + "a" * (n % 29), f"été {n}", n, n % 3)


def test_the_number_of_processes_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.text.store.CHUNK_PAIRS", 37)
    for name, processes in (("one", 1), ("three", 3)):
        store = write_store(tmp_path / name, pairs(500), BYTES, max_length=30, processes=processes)
        assert 0 < store.left_out < 500
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "three" / file).read_bytes(), file


def test_a_process_that_is_killed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.text.store.CHUNK_PAIRS", 37)
    children: list[int] = []
    start = crew.subprocess.Popen

    def noting(*args: object, **given: object) -> object:
        child = start(*args, **given)  # type: ignore[call-overload]
        children.append(child.pid)
        return child

    def killing() -> Iterator[SentencePair]:
        for pair in pairs(2000):
            if pair.line == 1000:
                os.kill(children[0], signal.SIGKILL)
            yield pair

    monkeypatch.setattr(crew.subprocess, "Popen", noting)
    with pytest.raises(DataError, match=r"ended with status -9, perhaps for lack of memory.*fewer --threads"):
        write_store(tmp_path / "store", killing(), BYTES, max_length=30, processes=2)
    assert not list(tmp_path.iterdir())
