"""What a write ran out of is called by its name, and so is the file: a disk, a quota, a limit on the size of files."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from functools import partial
from pathlib import Path

import pytest
from tests.forked import Started

from .conftest import Command
from .small_runs import settings
from .test_translate_files import in_a_process

FILES = ("--train-src", "s", "--train-tgt", "t", "--preset", "tiny", "--output", "run")


def write_text(folder: Path) -> None:
    for name in "st":
        (folder / name).write_text("".join(f"{name} wort {i} und noch eins\n" for i in range(300)))


FULL = (errno.ENOSPC, "the disk is full; make room and give the same command again")
MOMENTS = ["text.json", "prepared.json", "valid.jsonl", "tokenizer.json", "recipe.toml", "train"]


@pytest.mark.parametrize(
    ("moment", "code", "words"),
    [
        *((moment, *FULL) for moment in MOMENTS),
        ("train", errno.EDQUOT, "the disk quota is used up; make room or have the quota raised"),
        ("text.json", errno.EFBIG, "exceeds the size limit (ulimit -f); raise the limit"),
    ],
)
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="an open file is told by its name in /proc")
def test_preparation_names_the_file_and_what_it_ran_out_of(
    moment: str, code: int, words: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path)
    real_fsync, real_write = os.fsync, Path.write_bytes
    failed: list[str] = []

    def refuse(name: str) -> None:
        if moment in name:
            failed.append(name)
            raise OSError(code, os.strerror(code))

    def fsync(handle: int) -> None:
        refuse(str(Path(f"/proc/self/fd/{handle}").readlink()).partition("/run")[2])
        real_fsync(handle)

    def write_bytes(path: Path, content: bytes) -> int:
        refuse(path.name)
        return real_write(path, content)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    outcome = command("train", *FILES, *settings("training.train_steps=1", "tokenizer.kind=bytes"))
    assert failed
    assert outcome.status == 75, outcome.err
    assert "standard output" not in outcome.err
    error = outcome.err.partition("error: ")[2]
    assert moment in error
    assert words in error
    monkeypatch.undo()
    again = command("train", *FILES, *settings("training.train_steps=1", "tokenizer.kind=bytes"))
    assert again.status == 0, again.err


def test_a_limit_on_the_size_of_files_is_no_full_disk(tmp_path: Path) -> None:
    write_text(tmp_path)
    train = ("train", *FILES, *settings("training.train_steps=1", "tokenizer.kind=bytes"))
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (8 << 10, 8 << 10))
    process = Started("-m", "pellucid", *train, cwd=tmp_path, before=limit, stderr=subprocess.PIPE, text=True)
    _, said = process.communicate()
    assert process.returncode == 75, said
    assert "exceeds the size limit (ulimit -f); raise the limit" in said
    assert "standard output" not in said
    assert "disk is full" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_standard_output_is_named_where_it_is_what_failed(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("Hund\n" * 99)
    score = ("score", tiny_model, "--src", tmp_path / "s", "--tgt", tmp_path / "s")
    for verb in (("evaluate", "--hyp", tmp_path / "s", "--ref", tmp_path / "s"), score):
        with Path("/dev/full").open("wb") as full:
            process = Started("-m", "pellucid", *verb, stdout=full, stderr=subprocess.PIPE, text=True)
        _, said = process.communicate()
        assert process.returncode == 75, said
        assert "error: standard output: No space left on device: the disk is full; make room" in said
    outcome = in_a_process("--version", shell='"$@" > /dev/full')  # the end of an interpreter flushes, too
    assert outcome.returncode == 75, outcome.stderr
    assert b"error: standard output: No space left on device: the disk is full; make room" in outcome.stderr
    assert b"Exception ignored" not in outcome.stderr
