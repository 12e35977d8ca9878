"""Output files are what their names say, whole or absent, and a killed command leaves nothing for ever."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pellucid.errors import ConfigError
from pellucid.jobs.line_files import writing
from pellucid.text.compression import packer_of

from .conftest import Command

FAST = ("--beam-size", "1", "--set", "max_length_constant=3", "--set", "max_length_factor=0.1")
TEXT = "Hund\nKatze\n"

WAIT_IN_THE_MIDDLE = """
import sys, time
from pathlib import Path
from pellucid.jobs.line_files import writing
with writing(Path(sys.argv[1]), sources=()) as sink:
    sink.write("half a file, " * 100_000)
    sink.flush()
    print("in the middle", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def begun(output: Path) -> subprocess.Popen[bytes]:
    """Start a process that has written half of an output and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT_IN_THE_MIDDLE, str(output)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"in the middle\n"
    return process


def killed(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("name", ["out", "out.gz", "o[u]t*.txt", "\u00fc" * 120])
def test_a_kill_leaves_nothing_for_ever_and_never_half_a_file(name: str, tmp_path: Path) -> None:
    output = tmp_path / name
    output.write_text("old\n")
    killed(begun(output))
    assert output.read_text() == "old\n"
    (left,) = set(names(tmp_path)) - {name}
    assert left.startswith(".")
    with writing(output, sources=()) as sink:
        sink.write("new\n")
    assert names(tmp_path) == [name]


def test_a_draft_at_work_stays_when_another_writer_comes(tmp_path: Path) -> None:
    output = tmp_path / "out"
    process = begun(output)
    try:
        (at_work,) = names(tmp_path)
        with writing(output, sources=()) as sink:
            sink.write("quick\n")
        assert names(tmp_path) == sorted([at_work, "out"])
        assert output.read_text() == "quick\n"
    finally:
        killed(process)
    with writing(output, sources=()) as sink:
        sink.write("next\n")
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("name", "opened"), [("x.gz", gzip.open), ("x.txt.xz", lzma.open), ("X.BZ2", bz2.open), ("x.txt", open)]
)
def test_an_output_is_what_its_name_says(
    name: str, opened: Callable[..., object], command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    outcome = command("translate", tiny_model, "--output", name, *FAST, stdin=TEXT.encode())
    assert outcome.status == 0, outcome.err
    plain = command("translate", tiny_model, *FAST, stdin=TEXT.encode()).out
    with opened(tmp_path / name, "rt", encoding="utf-8", newline="") as file:  # type: ignore[attr-defined]
        assert file.read() == plain
    assert names(tmp_path) == [name]


def test_the_same_text_gives_the_same_bytes(tmp_path: Path) -> None:
    for number in range(2):
        with writing(tmp_path / f"{number}.gz", sources=()) as sink:
            sink.write(TEXT)
    assert (tmp_path / "0.gz").read_bytes() == (tmp_path / "1.gz").read_bytes()


@pytest.mark.parametrize("name", ["x.zip", "x.7z", "x.TGZ", "x.lz4"])
def test_a_name_that_cannot_be_kept_is_refused_first(name: str, command: Command, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write .* files; name a plain text file"):
        packer_of(tmp_path / name)
    outcome = command("evaluate", "no-model", "--src", "s", "--ref", "t", "--json", name)
    assert outcome.status == 1
    assert f"{name}: cannot write {Path(name).suffix.lower()} files" in outcome.err


def test_zstandard_is_written_where_a_library_is_there_and_refused_in_words_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> object:
        raise ImportError(name)

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.text.compression.importlib.import_module", without)
        with pytest.raises(ConfigError, match=r"this Python cannot write \.zst files; pip install .* or write a \.gz"):
            packer_of(tmp_path / "x.zst")

    class AsGzip:
        ZstdFile = staticmethod(gzip.open)

    monkeypatch.setattr("pellucid.text.compression.importlib.import_module", lambda name: AsGzip)
    with writing(tmp_path / "x.zst", sources=()) as sink:
        sink.write(TEXT)
    assert gzip.decompress((tmp_path / "x.zst").read_bytes()).decode() == TEXT


def test_a_report_is_what_its_name_says(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    for side in "st":
        (tmp_path / side).write_text(TEXT)
    arguments = ("--src", "s", "--ref", "t", "--set", "beam_size=1")
    outcome = command("evaluate", tiny_model, *arguments, "--json", "r.json.gz")
    assert outcome.status == 0, outcome.err
    assert isinstance(json.loads(gzip.decompress((tmp_path / "r.json.gz").read_bytes())), dict)


@pytest.mark.parametrize("name", ["full", "full.gz", "full.xz", "full.bz2"])
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_named_and_leaves_no_second_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    rows = [f"{number * number}\n" for number in range(100_000)]
    with pytest.raises(OSError, match="No space left") as caught, writing(tmp_path / name, sources=()) as sink:
        sink.writelines(rows)
    assert caught.value.filename == str(tmp_path / name)


class TestPrefixFile:
    def test_has_a_line_for_each_line(self, command: Command, tiny_model: Path, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("Hund\nKatze\n\nPferd\n")
        (tmp_path / "p.gz").write_bytes(gzip.compress(b"A\n\nB \nC\n"))
        outcome = command("translate", tiny_model, "x", "--prefix-file", "p.gz", *FAST)
        assert outcome.status == 0, outcome.err
        begun = outcome.out.split("\n")
        plain = command("translate", tiny_model, "x", *FAST).out.split("\n")
        assert begun[0].startswith("A")
        assert begun[1:3] == plain[1:3]
        assert begun[3].startswith("C")

    @pytest.mark.parametrize(
        ("prefixes", "words"),
        [("A\n", "p has 1 line, and x has more"), ("A\nB\nC\n", "x has 2 lines, and p has more")],
    )
    def test_of_another_length_is_refused(
        self, prefixes: str, words: str, command: Command, tiny_model: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "x").write_text(TEXT)
        (tmp_path / "p").write_text(prefixes)
        outcome = command("translate", tiny_model, "x", "--prefix-file", "p", "--output", "out", *FAST)
        assert outcome.status == 1
        assert words in outcome.err
        assert names(tmp_path) == ["p", "x"]

    def test_a_bad_line_fails_alone(self, command: Command, tiny_model: Path, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("Hund\n" * 3)
        (tmp_path / "p").write_bytes(b"A\n\xff\n" + b"long" * 99 + b"\n")
        outcome = command("translate", tiny_model, "x", "--prefix-file", "p", *FAST)
        assert outcome.status == 1
        assert outcome.out.startswith("A")
        assert outcome.out.endswith("\n\n\n")
        assert "x, line 2: p: byte 1 (0xff) is not valid UTF-8" in outcome.err
        assert "x, line 3: the target prefix 'longlong" in outcome.err

    def test_is_not_given_twice_nor_written_to(self, command: Command, tiny_model: Path, tmp_path: Path) -> None:
        (tmp_path / "p").write_text(TEXT)
        arguments = ("translate", tiny_model, "p", "--prefix-file")
        assert "give one of them" in command(*arguments, "p", "--set", "target_prefix=A").err
        assert "both standard input" in command("translate", tiny_model, "-", "--prefix-file", "-").err
        assert "is also the input" in command(*arguments, "p", "--output", "p").err
