"""A prepared text is recognised by its files; whatever changed is read again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pellucid.config import DataConfig, Recipe, validated
from pellucid.jobs import prepare as job
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.preparation.states import TextState, recognised, table_of
from pellucid.runtime import Runtime

LONG_AGO = 1_700_000_000


def write(folder: Path, rows: list[str]) -> dict[str, Path]:
    files = {"src": folder / "text.src", "tgt": folder / "text.tgt"}
    for side, path in files.items():
        path.write_text("".join(f"{row} {side}\n" for row in rows))
        os.utime(path, (LONG_AGO, LONG_AGO))
    return files


def prepared(folder: Path, files: dict[str, Path], said: list[str]) -> job.PreparedData:
    recipe = Recipe.model_validate({"data": {"train": [files]}, "tokenizer": {"kind": "bytes"}})
    (folder / "run").mkdir(exist_ok=True)
    runtime = Runtime.detect(device="cpu", threads=1)
    return job.prepare(OpenedRun(recipe, folder / "run", runtime, initial=None, notes=()), say=said.append)


def test_a_restart_reads_neither_text_nor_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns
    monkeypatch.setattr(job.time, "time_ns", lambda: now() + 10_000_000_000)  # the files are older than their grain
    files = write(tmp_path, [f"a small dog {n}" for n in range(40)])
    said: list[str] = []
    first = prepared(tmp_path, files, said)
    assert any(line.startswith("prepared: 40 pairs in ") for line in said)
    verify = job.verify_corpora

    def refuse(*given: object, **more: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(job, "verify_corpora", refuse)
        patch.setattr(job.TokenStore, "verify", refuse)
        again = prepared(tmp_path, files, said)
    assert (again.fingerprint, again.summary) == (first.fingerprint, first.summary)
    assert said[-1].endswith("used again")

    calls: list[int] = []
    monkeypatch.setattr(job, "verify_corpora", lambda data: calls.append(1) or verify(data))
    os.utime(files["src"])  # the same text at another time: it is read, and the stores are used
    assert prepared(tmp_path, files, said).fingerprint == first.fingerprint
    assert calls
    assert said[-1].endswith("used again")
    changed = prepared(tmp_path, write(tmp_path, [f"a small cow {n}" for n in range(40)]), said)
    assert changed.fingerprint != first.fingerprint
    assert changed.store.fingerprint != first.store.fingerprint


def test_a_store_that_was_written_to_is_checked(tmp_path: Path) -> None:
    files = write(tmp_path, [f"a small dog {n}" for n in range(40)])
    said: list[str] = []
    first = prepared(tmp_path, files, said)
    path = tmp_path / "run" / "data" / "train" / "source.ids"
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert prepared(tmp_path, files, said).store.fingerprint == first.store.fingerprint
    assert any("is damaged" in line for line in said)
    assert path.read_bytes() == content


def test_a_file_that_has_just_changed_is_not_recognised(tmp_path: Path) -> None:
    data = validated(DataConfig, {"train": [write(tmp_path, ["a", "b"])]}, place="test")
    text = TextState(2, "sum", ("text.src", "text.tgt"))
    changed = (tmp_path / "text.src").stat().st_ctime_ns  # os.utime changes it too
    assert table_of(data, [text], read_from_ns=changed + 1_000_000_000) is None
    table = table_of(data, [text], read_from_ns=changed + 3_000_000_000)
    assert recognised(data, table) == (text,)
    (tmp_path / "text.tgt").unlink()
    assert recognised(data, table) is None
