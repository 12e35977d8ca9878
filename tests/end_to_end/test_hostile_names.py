"""Names, keys and sentences of strangers hold escape sequences; no command sends one to the terminal as it is."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from . import small_runs
from .conftest import Command, Outcome

HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\rd\x08e\u202ef\u2066g\x7f"
SPELT = "a\\x1b]0;owned\\x07b\\x9b31mc\\rd\\x08e\\u202ef\\u2066g\\x7f"
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
TINY = ("--preset", "tiny", *small_runs.options(*small_runs.TINY, "tokenizer.kind=bytes", "training.train_steps=2"))


def quoted(text: str) -> str:
    """Write a text as TOML does."""
    return '"' + "".join(f"\\u{ord(c):04x}" if COMMANDS.match(c) or c == "\r" else c for c in text) + '"'


def renamed_tensor(folder: Path) -> None:
    """Put a hostile name into the weights, and the checksum right."""
    path = next(folder.glob("weights-*.safetensors"))
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    tensors = load_file(path)
    tensors[HOSTILE] = tensors.pop(min(tensors))
    save_file(tensors, path)
    description = folder / "model.toml"
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    description.write_text(description.read_text().replace(old, new))
    target = path.with_name(f"weights-{new[:8]}.safetensors")
    path.rename(target)
    description.write_text(description.read_text().replace(path.name, target.name))


def edited(pattern: str, replacement: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "model.toml"
        text = path.read_text()
        changed = re.sub(pattern, lambda found: replacement, text, count=1, flags=re.MULTILINE)
        assert changed != text
        path.write_text(changed)

    return change


def unknown_key(folder: Path) -> None:
    path = folder / "model.toml"
    path.write_text(f"{quoted(HOSTILE)} = 1\n" + path.read_text())


def with_languages(folder: Path) -> None:
    edited(r'^source_language = "de"', f"source_language = {quoted(HOSTILE)}")(folder)


def copied(tiny_model: Path, place: Path, change: Callable[[Path], None] = lambda folder: None) -> Path:
    shutil.copytree(tiny_model, place)
    change(place)
    return place


def commands_in(outcome: Outcome) -> list[str]:
    return COMMANDS.findall(outcome.out + outcome.err)


MODELS = [
    ("a tensor", renamed_tensor, 1),
    ("an unknown key", unknown_key, 1),
    ("a file", edited(r'^"?tokenizer/tokenizer.json"? = ', f"{quoted(HOSTILE)} = "), 1),
    ("a language", with_languages, 0),
]


@pytest.mark.parametrize(("what", "change", "status"), MODELS, ids=[row[0] for row in MODELS])
def test_a_model_folder_cannot_command_the_terminal(
    what: str, change: Callable[[Path], None], status: int, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    model = copied(tiny_model, tmp_path / "model", change)
    (tmp_path / "s").write_text("Hund\n")
    for arguments in (
        ("translate", model, "s", "--set", "max_length_constant=3", "--output", "out"),
        ("inspect", model, "Hund", "--set", "max_length_constant=3"),
        ("score", model, "--src", "s", "--tgt", "s"),
        ("evaluate", model, "--src", "s", "--ref", "s", "--set", "max_length_constant=3", "--tokenizer", "char"),
    ):
        outcome = command(*arguments)
        assert outcome.status == status, outcome.err
        assert not commands_in(outcome), arguments[0]
        assert "Traceback" not in outcome.err


def test_names_of_files_and_folders_are_spelt_out(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    model = copied(tiny_model, tmp_path / HOSTILE)
    (tmp_path / f"{HOSTILE}.txt").write_text("Hund\n")
    (tmp_path / "s").write_text("Hund\n")
    shown = 0
    for arguments in (
        ("translate", model, "nowhere"),
        ("translate", f"{HOSTILE}/nowhere"),
        ("translate", model, f"{HOSTILE}.none"),
        ("translate", model, "s", "--output", f"{HOSTILE}/nowhere/out"),
        ("translate", model, "s", "--format", HOSTILE),
        ("translate", model, "s", "--set", f"{HOSTILE}=1"),
        ("score", model, "--src", f"{HOSTILE}.txt", "--tgt", f"{HOSTILE}.none"),
        ("export", model, "--output", f"{HOSTILE}/model.toml"),
        ("import", model, "--output", "new", "--format", HOSTILE),
        ("average", model, "--output", "new"),
        ("inspect", model, "Hund", "--output", f"{HOSTILE}.exe"),
        ("inspect", HOSTILE),
        ("serve", f"{HOSTILE}.none"),
        ("train", "--recipe", f"{HOSTILE}.toml", "--output", "run"),
        ("train", "--train-src", f"{HOSTILE}.none", "--train-tgt", "s", "--output", "run", *TINY),
        (HOSTILE,),
        ("translate", f"--{HOSTILE}"),
        ("translate", model, "s", "--threads", HOSTILE),
        ("serve", "--port", HOSTILE),
    ):
        outcome = command(*arguments)
        assert outcome.status in {1, 2}, (arguments, outcome.err)
        assert not commands_in(outcome), arguments
        assert "Traceback" not in outcome.err, arguments
        shown += SPELT[:24] in outcome.err
    assert shown >= 12, "most of these messages name what they were given"


def test_corpora_and_their_sentences_are_spelt_out_while_a_run_is_made(command: Command, tmp_path: Path) -> None:
    (tmp_path / f"{HOSTILE}.de").write_bytes("".join(f"wort {n} \x1b[2J\x9b2J\u202e\n" for n in range(40)).encode())
    (tmp_path / f"{HOSTILE}.en").write_bytes("".join(f"word {n} \x1b[2J\x9b2J\u202e\n" for n in range(40)).encode())
    corpus = f"{{src = {quoted(HOSTILE + '.de')}, tgt = {quoted(HOSTILE + '.en')}, name = {quoted(HOSTILE)}}}"
    languages = ("--src-lang", HOSTILE, "--tgt-lang", HOSTILE)
    for more in (("--dry-run",), (), ("--set", "training.train_steps=3")):
        outcome = command("train", "--set", f"data.train=[{corpus}]", "--output", HOSTILE, *languages, *TINY, *more)
        assert not commands_in(outcome), outcome.err
        assert "Traceback" not in outcome.err
    assert outcome.err


def test_a_fault_of_ours_spells_out_what_it_names(
    command: Command, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr("pellucid.jobs.score.score_files", fail)
    outcome = command("score", tiny_model, "--src", "s", "--tgt", "s")
    assert outcome.status == 1
    assert outcome.err.startswith("Traceback")
    assert outcome.err.endswith(f"RuntimeError: {SPELT}\n")
    assert not commands_in(outcome)


def test_a_sentence_of_several_lines_stays_one_on_the_screen(command: Command, tiny_model: Path) -> None:
    outcome = command("inspect", tiny_model, "Hund\nerror: Hund", "--set", "max_length_constant=3")
    assert outcome.status == 0
    assert "Hund\\nerror: Hund → " in outcome.err


def on_a_terminal(*arguments: str | Path, stdin: bytes) -> str:
    """Run a command whose standard output is a terminal; return what the terminal gets."""
    main_end, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pellucid", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=its_end,
        stderr=subprocess.DEVNULL,
    )
    os.close(its_end)
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    written = b""
    try:
        while chunk := os.read(main_end, 1 << 16):
            written += chunk
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(main_end)
        assert process.wait(600) == 0
    return written.decode().replace("\r\n", "\n")  # the terminal itself makes the \r


def test_sentences_reach_a_file_as_they_are_and_a_terminal_spelt_out(
    command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    source = "Hund \x1b]0;owned\x07 \x9b31m \u202e \x7f \u200f ende"
    arguments = ("translate", tiny_model, "-", "--format", "jsonl", "--set", "max_length_constant=3")
    piped = command(*arguments, stdin=source.encode() + b"\n")
    assert json.loads(piped.out)["source"] == source
    shown = on_a_terminal(*arguments, stdin=source.encode() + b"\n")
    assert not COMMANDS.findall(shown.replace("\u200f", ""))
    assert "\\x9b31m \\u202e \\x7f \u200f ende" in shown
