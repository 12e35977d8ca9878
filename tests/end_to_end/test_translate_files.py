"""What ``translate`` reads and writes: no file is lost, no line moves, and what is refused is refused in words."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid
from pellucid.translation.translator import Translator

from .conftest import Command

FAST = ("--beam-size", "1", "--set", "max_length_constant=3", "--set", "max_length_factor=0.1")
TEXT = "Hund\nKatze\n"


def in_a_process(*arguments: str | Path, shell: str = '"$@"', **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a shell would, with what ``shell`` does around it."""
    command = [sys.executable, "-c", "from pellucid.cli.main import run; run()", *map(str, arguments)]
    return subprocess.run(
        ["bash", "-c", shell, "bash", *command],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        timeout=600,  # ends a test that hangs; a busy machine needs minutes to import torch
        check=False,
    )


def test_the_input_is_never_the_output(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(TEXT)
    (tmp_path / "link").symlink_to("x")
    for output in ("x", "./x", "link"):
        outcome = command("translate", tiny_model, "x", "--output", output, *FAST)
        assert outcome.status == 1
        assert "is also the input" in outcome.err
    assert (tmp_path / "x").read_text() == TEXT


def test_a_failure_leaves_the_old_output_whole(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(TEXT.encode() * 9)[:-9])
    (tmp_path / "out").write_text("old\n")
    outcome = command("translate", tiny_model, "damaged.gz", "--output", "out", *FAST)
    assert outcome.status == 1
    assert "damaged.gz: the gzip data is truncated" in outcome.err
    assert (tmp_path / "out").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.gz", "out"]


def test_an_output_is_replaced_behind_its_link_with_its_permissions(
    command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("old\n")
    (tmp_path / "out").chmod(0o640)
    (tmp_path / "link").symlink_to("out")
    assert command("translate", tiny_model, "--output", "link", *FAST, stdin=TEXT.encode()).status == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "out").read_text().count("\n") == 2
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("form", ["plain", "mark", "gzip", "xz"])
def test_the_same_text_in_every_form_gives_the_same_translation(
    form: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    forms = {
        "plain": TEXT.encode(),
        "mark": b"\xef\xbb\xbf" + TEXT.encode(),
        "gzip": gzip.compress(TEXT.encode()),
        "xz": lzma.compress(TEXT.encode()),
    }
    (tmp_path / "x").write_bytes(forms[form])
    rows = [
        [json.loads(row)["source"] for row in outcome.out.splitlines()]
        for outcome in (
            command("translate", tiny_model, "x", "--format", "jsonl", *FAST),
            command("translate", tiny_model, "--format", "jsonl", *FAST, stdin=forms[form]),
        )
    ]
    assert rows[0] == ["Hund", "Katze"]
    assert rows[1] == ([] if form in {"gzip", "xz"} else rows[0])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TEXT.encode("utf-16"), ("standard input: the file is UTF-16", "iconv")),
        (gzip.compress(TEXT.encode()), ("standard input: is compressed", "gunzip")),
    ],
)
def test_a_stream_that_is_no_text_is_refused_whole(
    content: bytes, words: tuple[str, ...], command: Command, tiny_model: Path
) -> None:
    outcome = command("translate", tiny_model, *FAST, stdin=content)
    assert outcome.status == 1
    assert outcome.out == ""
    for word in words:
        assert word in outcome.err


def test_a_bad_line_is_failed_and_its_place_is_told(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"Hund\nab\xff\nc\0d\n\n")
    outcome = command("translate", tiny_model, "x", "--format", "jsonl", *FAST)
    rows = [json.loads(row) for row in outcome.out.splitlines()]
    assert outcome.status == 1
    assert [row["flags"] for row in rows[1:]] == [["failed"], ["failed"], ["blank"]]
    assert "x, line 2: byte 3 (0xff) is not valid UTF-8; correct" in outcome.err
    assert "x, line 3: character 2 is a NUL character; remove" in outcome.err
    assert "byte 3" in rows[1]["error"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "the name of a file is empty"),
        (("--output", "."), ".: is a folder"),
        (("--chunk-lines", "0"), "--chunk-lines 0"),
        (("--set", "beam_size="), "has no value"),
        (("--set", 'banned_tokens=[""]'), "banned_tokens contains an empty text"),
        (("--set", "beam_size=" + "9" * 5000), "the value cannot be read"),
        (("--set", "beam_size=0x" + "9" * 5000), "thousands of digits"),
        (("--set", "beam_size=" + "[" * 5000), "--set beam_size"),
        (("--beam-size", "100000000000"), "beam_size = 100000000000"),
        (("--alpha", "1e9"), "alpha"),
        (("--set", "max_length_factor=1e300"), "max_length_factor"),
        (("--set", "sampling=true", "--set", "seed=99999999999999999999"), "seed"),
        (("--set", "sampling=true", "--set", "temperature=1e-300"), "temperature"),
        (("--threads", "99999999999"), "threads = 99999999999"),
        (("--set", "min_length=50", *FAST), "line 1: min_length = 50, but a translation of this text has at most 2"),
    ],
)
def test_absurd_settings_get_a_sentence(
    arguments: tuple[str, ...], words: str, command: Command, tiny_model: Path
) -> None:
    outcome = command("translate", tiny_model, *arguments, stdin=b"Hund\n")
    assert outcome.status == 1, outcome.err
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert len(outcome.err) < 1000


def test_score_names_the_pair_as_editors_count(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a\n" + "b" * 999 + "\n")
    (tmp_path / "t").write_text("a\nb\n")
    outcome = command("score", tiny_model, "--src", "s", "--tgt", "t")
    assert outcome.status == 1
    assert "pair 2 has a side" in outcome.err


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_report_that_cannot_be_written_is_told_first(
    option: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    for side in "st":
        (tmp_path / side).write_text(TEXT)
    outcome = command("evaluate", "no-model", "--src", "s", "--ref", "t", option, "no/such/x")
    assert outcome.status == 1
    assert "no/such/x: there is no folder no/such" in outcome.err


@pytest.mark.slow
def test_streams_of_the_shell(tiny_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "x"
    source.write_text(TEXT * 20)
    few = tmp_path / "few"
    few.write_text(TEXT)
    translate = ("translate", tiny_model, few, *FAST)
    score = ("score", tiny_model, "--src", few, "--tgt", few)

    left = in_a_process(
        "translate",
        tiny_model,
        source,
        *FAST,
        "--engine",
        "torch",
        "--chunk-lines",
        "1",
        shell='"$@" | head -1; exit ${PIPESTATUS[0]}',
    )
    assert (left.returncode, left.stdout.count(b"\n"), left.stderr) == (0, 1, b"")

    for verb in (translate, score):
        closed = in_a_process(*verb, shell='"$@" >&-')
        assert closed.returncode == 1
        assert b"standard output is closed" in closed.stderr
        full = in_a_process(*verb, shell='"$@" > /dev/full')
        assert full.returncode == 75
        assert b"standard output: No space left" in full.stderr
        assert b"Exception ignored" not in full.stderr

    unread = in_a_process("translate", tiny_model, shell='"$@" <&-')
    assert unread.returncode == 1
    assert b"standard input is closed" in unread.stderr

    spelled = in_a_process(*translate, "--set", "target_prefix=ä", "--output", "/dev/stdout")
    ascii_only = in_a_process(*translate, "--set", "target_prefix=ä", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert spelled.returncode == ascii_only.returncode == 0, ascii_only.stderr
    assert ascii_only.stdout == spelled.stdout
    assert "ä".encode() in ascii_only.stdout

    full = in_a_process(*translate, "--output", "/dev/full")
    assert full.returncode == 75
    assert b"/dev/full: No space left" in full.stderr


def test_leaving_early_keeps_its_status(command: Command) -> None:
    assert command("--version").status == 0
    assert "Usage" in command("translate", "--help").out
    assert command("translate").status == 2
    assert command("translate", "m", "--beam-size", "x").status == 2


def test_moses_rows_can_be_read_whatever_the_text_holds(command: Command, tiny_model: Path) -> None:
    for prefix in ("a ||| b", "||| ", "x |||"):
        arguments = ("--beam-size", "2", "--n-best", "2", "--set", f"target_prefix={prefix!r}")
        moses = command("translate", tiny_model, "--format", "moses", *arguments, stdin=TEXT.encode())
        assert moses.status == 0, moses.err
        rows = []
        for row in moses.out.splitlines():
            number, _, rest = row.partition(" ||| ")
            text, _, score = rest.rpartition(" ||| ")
            rows.append((int(number), text, float(score)))
        records = [
            json.loads(row)
            for row in command(
                "translate", tiny_model, "--format", "jsonl", *arguments, stdin=TEXT.encode()
            ).out.splitlines()
        ]
        expected = [
            (record["line"], hypothesis["text"].replace("\n", " ").replace("\r", " "))
            for record in records
            for hypothesis in record["alternatives"]
        ]
        assert [row[:2] for row in rows] == expected
        assert all("|||" in text for _, text, _ in rows)
        assert "2 lines have '|||' in a translation" in moses.err
        assert "--format jsonl" in moses.err
    plain = command("translate", tiny_model, "--format", "moses", *FAST, stdin=TEXT.encode())
    assert "|||" not in plain.err


@pytest.fixture(params=[(signal.SIGINT, 130), (signal.SIGTERM, 75)], ids=["ctrl-c", "sigterm"])
def interrupted_after_two(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Press Ctrl-C or send SIGTERM when two lines are translated; return the status that belongs to it."""
    kind, status = request.param
    real = Translator.translate_stream

    def stream(self: Translator, *arguments: object, **settings: object) -> Iterator[object]:
        for count, result in enumerate(real(self, *arguments, **settings)):  # type: ignore[arg-type]
            if count == 2:
                os.kill(os.getpid(), kind)
            yield result

    monkeypatch.setattr(Translator, "translate_stream", stream)
    return int(status)


def test_an_interruption_says_what_is_out(
    interrupted_after_two: int, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    text = "".join(f"{TEXT.splitlines()[0]} {number}\n" for number in range(6)).encode()
    outcome = command("translate", tiny_model, *FAST, stdin=text)
    assert outcome.status == interrupted_after_two
    assert outcome.out.count("\n") == 2
    assert outcome.out.endswith("\n")
    assert "2 lines are translated and written, each of them whole" in outcome.err
    assert "line 3 of the input" in outcome.err
    assert "Traceback" not in outcome.err
    (tmp_path / "out").write_text("old\n")
    outcome = command("translate", tiny_model, "--output", "out", *FAST, stdin=text)
    assert outcome.status == interrupted_after_two
    assert "interrupted after 2 lines; out is unchanged, because it is only written whole" in outcome.err
    assert (tmp_path / "out").read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_ctrl_c_is_told_by_every_verb(command: Command, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pellucid.jobs.score.read_pairs", interrupt)
    outcome = command("score", tiny_model, "--src", "s", "--tgt", "t")
    assert (outcome.status, outcome.out) == (130, "")
    assert "interrupted" in outcome.err


@pytest.mark.parametrize("most", [1, 0])
def test_small_memory_is_told_by_score_and_evaluate(
    most: int, command: Command, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for one sentence at a time is enough; where it is not, the sentence is named."""
    from pellucid.model.transformer import Transformer

    real = Transformer.encode

    def encode(self: Transformer, source: object, **more: object) -> object:
        if len(source) > most:  # type: ignore[arg-type]
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
        return real(self, source, **more)  # type: ignore[arg-type]

    for side in "st":
        (tmp_path / side).write_text(TEXT)
    score = ("score", tiny_model, "--src", "s", "--tgt", "t", "--engine", "torch")
    evaluate = ("evaluate", tiny_model, "--src", "s", "--ref", "t", "--set", "beam_size=1", "--engine", "torch")
    wanted = command(*score).out
    monkeypatch.setattr(Transformer, "encode", encode)
    scored, evaluated = command(*score), command(*evaluate)
    if most:
        assert scored.status == evaluated.status == 0, scored.err + evaluated.err
        numbers = [[float(line.split("\t")[0]) for line in out.splitlines()] for out in (wanted, scored.out)]
        assert numbers[1] == pytest.approx(numbers[0], abs=1e-4)
        return
    for outcome in (scored, evaluated):
        assert outcome.status == 1
        assert outcome.out == ""
        assert "not enough memory" in outcome.err
        assert "Traceback" not in outcome.err
    assert "pair 2" in scored.err
    assert "line 1" in evaluated.err


def test_a_corpus_larger_than_memory_is_told(
    command: Command, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("pellucid.jobs.score.read_pairs", fail)
    outcome = command("score", tiny_model, "--src", "s", "--tgt", "t")
    assert outcome.status == 1
    assert "not enough memory" in outcome.err


def test_every_flag_of_the_run_is_counted_on_the_screen(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    lines = ["", "Hund", "word " * 100, "Hund 1987 {0}"]
    (tmp_path / "x").write_text("\n".join(lines) + "\n")
    as_text = ("--set", "placeholders=translate")
    outcome = command("translate", tiny_model, "x", "--format", "jsonl", *as_text, *FAST)
    assert outcome.status == 0, outcome.err
    counts = Counter(flag for row in outcome.out.splitlines() for flag in json.loads(row)["flags"])
    assert {"blank", "split", "max_length", "numbers", "placeholders"} <= set(counts)
    (told,) = [line for line in outcome.err.splitlines() if line.startswith("flagged lines: ")]
    assert dict(part.rsplit(" ", 1) for part in told.removeprefix("flagged lines: ").split(", ")) == {
        flag: str(count) for flag, count in counts.items()
    }


def test_a_run_without_flags_names_its_engine_and_says_nothing_else(command: Command, tiny_model: Path) -> None:
    said = command("translate", tiny_model, *FAST, stdin=b"").err.splitlines()
    line, note = [text for text in said if "once" not in text]
    assert line.startswith("engine: ")
    assert note.endswith(": has no text to translate")
    assert command("translate", tiny_model, *FAST, "--engine", "torch", stdin=b"").err.splitlines() == [note]


WALKTHROUGH = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"


def test_a_long_line_without_punctuation_is_not_lost_in_silence(command: Command) -> None:
    line = "the dog and the cat are tired because the girl can not read the letter on the table "
    outcome = command("translate", WALKTHROUGH, "--beam-size", "1", stdin=f"{line * 110}\n".encode())
    assert outcome.status == 0
    assert len(outcome.out) < 3000
    assert "split 1" in outcome.err
    assert "length 1" in outcome.err


def test_capitals_that_the_model_does_not_know_are_flagged(command: Command) -> None:
    text = b"THE CAT IS VERY TIRED.\nThe cat is tired.\n"
    outcome = command("translate", WALKTHROUGH, "--format", "jsonl", stdin=text)
    flags = [json.loads(row)["flags"] for row in outcome.out.splitlines()]
    assert "capitals" in flags[0]
    assert flags[1] == []
