"""``pellucid translate FILE --output FILE`` survives whatever stops it, with every engine, through the real command."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.forked import Started, slow_disk

from .conftest import Command
from .test_translate_files import FAST

LINES = [f"Satz {number} mit {'vielen ' * (number % 7)}Worten." for number in range(300)]
POISON = "\n".join(LINES[:150]).encode() + b"\n\nab\xff\nc\0d\r\n\xed\xa0\x80\n" + "\n".join(LINES[150:]).encode()


ENGINES = [
    pytest.param(("--engine", "torch"), id="torch"),
    pytest.param(
        ("--engine", "native"),
        id="native",
        marks=pytest.mark.skipif(shutil.which("cc") is None, reason="the native engine needs a C compiler"),
    ),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("format_", ["text", "jsonl", "moses"])
def test_a_file_gives_what_a_stream_gives(
    format_: str, engine: tuple[str, ...], command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(POISON)
    options = ("--format", format_, *engine, *FAST)
    stream = command("translate", tiny_model, *options, stdin=POISON)
    file = command("translate", tiny_model, "x", "--output", "out", *options)
    assert stream.status == file.status == 1
    assert rounded((tmp_path / "out").read_text(), format_) == rounded(stream.out, format_)
    assert [line.replace("error: x,", "error: standard input,") for line in summary(file.err)] == summary(stream.err)
    assert "line 152: byte 3 (0xff)" in file.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "x"]


def rounded(text: str, format_: str) -> list[object]:
    """Return rows without the last digits of their scores, which depend on the batch."""
    if format_ == "text":
        return list(text.splitlines())
    if format_ == "moses":
        return [(row.rpartition("|||")[0], round(float(row.rpartition("|||")[2]), 3)) for row in text.splitlines()]
    return [json.loads(row, parse_float=lambda number: round(float(number), 3)) for row in text.splitlines()]


def test_prefixes_of_another_length_are_refused_before_the_work(
    command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("a\nb\nc\n")
    (tmp_path / "p").write_text("a\n\n")
    outcome = command("translate", tiny_model, "x", "--prefix-file", "p", "--output", "out", *FAST)
    assert outcome.status == 1
    assert "p has 2 lines, and x has more" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p", "x"]


def test_restart_without_parts_is_refused(command: Command, tiny_model: Path) -> None:
    outcome = command("translate", tiny_model, "--restart", *FAST, stdin=b"a\n")
    assert outcome.status == 1
    assert "--restart discards the parts of a file that is translated to --output" in outcome.err


def test_a_limit_in_the_middle_keeps_the_parts_and_other_settings_are_refused(
    command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("\n".join(LINES))
    # At least two blocks of 1,024 bytes for the parts and the manifest; the joined output is longer.
    translate = ("translate", tiny_model, tmp_path / "x", "--output", tmp_path / "out", "--format", "jsonl", *FAST)
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (60 << 10, 60 << 10))
    limited = begun((*translate, "--chunk-lines", "8"), before=limit)
    said = limited.communicate()[1].decode()
    assert limited.returncode == 75, said
    assert "(ulimit -f)" in said
    assert (tmp_path / "out.parts" / "part-000001.json").exists()
    other = command(*translate, "--chunk-lines", "8", "--beam-size", "2")
    assert other.status == 1
    assert "translation.beam_size = 1 there and 2 now" in other.err
    again = command(*translate, "--chunk-lines", "8")
    assert again.status == 0, again.err
    assert "continuing: the first 300 of 300 lines are finished" in again.err
    whole = command("translate", tiny_model, "x", "--output", "whole", "--format", "jsonl", *FAST, "--chunk-lines", "8")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert summary(again.err) == summary(whole.err)


def summary(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith(("flagged", "error"))]


def begun(arguments: tuple[str | Path, ...], **more: Any) -> Started:
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    return Started("-m", "pellucid", *arguments, env=alone, stderr=subprocess.PIPE, **more)


def finished_in(folder: Path) -> int:
    return sum(1 for _ in folder.glob("part-*.json"))


def wait_for_part(process: Started, folder: Path) -> None:
    """Wait for one more finished part."""
    before = finished_in(folder)
    while process.poll() is None and finished_in(folder) == before:
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_kills_at_random_moments_change_no_byte(engine: tuple[str, ...], tiny_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "x"
    source.write_bytes(POISON + b"\n" + "\n".join(LINES).encode())
    options = ("--format", "jsonl", "--chunk-lines", "32", "--threads", "2", *engine, "--beam-size", "3")
    lengths = ("--set", "max_length_constant=40", "--set", "max_length_factor=1.0")
    translate = ("translate", tiny_model, source, *options, *lengths)
    # The first use compiles and prepares, which no later start does.
    begun(("translate", tiny_model, os.devnull, *options, *lengths)).communicate()
    began = time.monotonic()
    whole = begun((*translate, "--output", tmp_path / "whole"), before=slow_disk)
    wait_for_part(whole, tmp_path / "whole.parts")
    start = time.monotonic()
    said = whole.communicate()[1].decode()
    starts, lasts = start - began, time.monotonic() - start
    assert whole.returncode == 1, said
    expected = (tmp_path / "whole").read_bytes()
    assert expected.count(b"\n") == 604

    generator = random.Random(11)
    kept: list[int] = []
    arguments = (*translate, "--output", tmp_path / "out")
    while len(kept) < 8:
        process = begun(arguments, before=slow_disk)
        if is_late := len(kept) % 2 == 1:
            wait_for_part(process, tmp_path / "out.parts")
        time.sleep(generator.uniform(0, lasts / 16 if is_late else starts))
        process.send_signal(signal.SIGKILL)
        last_words = process.communicate()[1].decode()
        if process.returncode == 1:  # the machine was busier while the times were taken, and the kill came too late
            assert (tmp_path / "out").read_bytes() == expected, last_words
            (tmp_path / "out").unlink()
            kept, starts, lasts = [], starts / 2, lasts / 2
            continue
        assert process.returncode == -signal.SIGKILL, last_words
        assert not (tmp_path / "out").exists()
        kept.append(finished_in(tmp_path / "out.parts"))
    assert kept == sorted(kept)
    assert kept[-1] >= 4
    done = begun(arguments)
    last_words = done.communicate()[1].decode()
    assert done.returncode == 1
    assert "continuing: the first" in last_words
    assert (tmp_path / "out").read_bytes() == expected
    assert summary(last_words) == summary(said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole", "x"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("kind", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)], ids=["ctrl-c", "sigterm"])
def test_an_interruption_says_how_to_go_on_and_the_same_command_does(
    kind: signal.Signals, status: int, engine: tuple[str, ...], tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text("\n".join(LINES))
    lengths = ("--set", "max_length_constant=40", "--set", "max_length_factor=1.0")
    options = ("--chunk-lines", "32", "--threads", "2", *engine, "--beam-size", "3", *lengths)
    translate = ("translate", tiny_model, tmp_path / "x", "--output", tmp_path / "out", *options)
    process = begun(translate, before=slow_disk)
    wait_for_part(process, tmp_path / "out.parts")
    process.send_signal(kind)
    said = process.communicate()[1].decode()
    assert process.returncode == status, said
    assert "of 300 lines are finished and kept in" in said
    assert "Traceback" not in said
    again = begun(translate)
    assert b"continuing" in again.communicate()[1]
    assert again.returncode == 0
    assert (tmp_path / "out").read_text().count("\n") == 300
