"""Bad input, as a person would give it: a plain message with the place and the remedy, never a traceback.

One row a case: what is given, the exit status, and words that the message must hold. The table
is the contract; ``docs/reference/errors.md`` shows it to users, and each row there is held to what is said here.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import error_page, small_runs
from .conftest import Command

GOOD = small_runs.numbered_lines(40).encode()
TINY = ("--preset", "tiny", *small_runs.options(*small_runs.TINY, "tokenizer.kind=bytes", "training.train_steps=2"))


@dataclass(frozen=True)
class Case:
    name: str
    prepare: Callable[[Path], None]
    arguments: tuple[str, ...]
    status: int
    words: tuple[str, ...]
    stdin: bytes = b""


def write(**files: bytes) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return prepare


def training(*more: str, src: str = "s", tgt: str = "t") -> tuple[str, ...]:
    return ("train", "--train-src", src, "--train-tgt", tgt, "--output", "run", *TINY, *more)


def recipe(text: str) -> Callable[[Path], None]:
    return write(**{"r.toml": text.encode(), "s": GOOD, "t": GOOD})


RECIPE = ("train", "--recipe", "r.toml", "--output", "run")
TOO_MANY = GOOD + b"noch eine\n"
CUT_BZIP2 = write(**{"s.bz2": bz2.compress(GOOD)[:-9], "t": GOOD})
CR_ALONE = GOOD.replace(b"\n", b"\r")
NO_END = GOOD + b"x" * (17 << 20)

FILES = [
    Case("a missing file", write(s=GOOD), training(), 1, ("t: no such file",)),
    Case("a folder for a file", lambda d: (write(s=GOOD)(d), (d / "t").mkdir())[0], training(), 1, ("t: is a folder",)),
    Case("an empty file", write(s=b"", t=b""), training(), 1, ("s: is empty",)),
    Case("unequal line counts", write(s=GOOD, t=TOO_MANY), training(), 1, ("40", "41", "s", "t")),
    Case(
        "invalid UTF-8",
        write(s=GOOD, t=GOOD[:30] + b"\xff" + GOOD[30:]),
        training(),
        1,
        ("t", "line 2", "UTF-8", "replace"),
    ),
    Case("a NUL character", write(s=GOOD.replace(b"3", b"\0"), t=GOOD), training(), 1, ("s", "line 4", "NUL")),
    Case(
        "a truncated gz",
        write(**{"s.gz": gzip.compress(GOOD)[:-9], "t": GOOD}),
        training(src="s.gz"),
        1,
        ("s.gz", "truncated"),
    ),
    Case("gz that is none", write(**{"s.gz": b"plain text", "t": GOOD}), training(src="s.gz"), 1, ("s.gz", "gzip")),
    Case("a bzip2 file that ends early", CUT_BZIP2, training(src="s.bz2"), 1, ("s.bz2", "bzip2", "truncated")),
    Case("a ZIP archive", write(s=b"PK\x03\x04rest", t=GOOD), training(), 1, ("s: ", "ZIP", "unzip")),
    Case("lines that end in CR alone", write(s=CR_ALONE, t=GOOD), training(), 1, ("s: ", r"\r alone", "tr ")),
    Case("a line without end", write(s=NO_END, t=TOO_MANY), training(), 1, ("s, line 41", "16,777,216 bytes")),
    Case("only blank lines", write(s=b"\n" * 9, t=b"\n" * 9), training(), 1, ("no training pair is left", "9")),
    Case("one pair and no validation", write(s=b"a\n", t=b"b\n"), training(), 1, ("--valid-src",)),
    Case(
        "TSV with one column",
        write(x=b"only one\n"),
        ("train", "--output", "run", *TINY, "--set", 'data.train=[{tsv="x"}]'),
        1,
        ("x", "line 1", "column"),
    ),
    Case(
        "JSON lines without the key",
        write(x=b'{"source": "a"}\n'),
        ("train", "--output", "run", *TINY, "--set", 'data.train=[{jsonl="x"}]'),
        1,
        ("x", "line 1", "target"),
    ),
    Case(
        "JSON lines that are no JSON",
        write(x=b"{oops\n"),
        ("train", "--output", "run", *TINY, "--set", 'data.train=[{jsonl="x"}]'),
        1,
        ("x", "line 1", "JSON"),
    ),
    Case("two files wrong at once", write(s=b"", t=b"\xff\n"), training(), 1, ("s: is empty", "t", "UTF-8")),
]

EDITS = "positions=zero;positions=half_split_t2t"
SETTINGS = [
    Case("an option with an empty text", write(), ("train", "--train-src", ""), 2, ("--train-src: is empty",)),
    Case("a text where a model belongs", write(), ("translate", "a dog, " * 40), 1, ("no such folder", "fr-en")),
    Case("two edits that contradict", write(), ("inspect", "A dog.", "--edit", EDITS), 1, ("leave one of the two",)),
    Case("no training text", write(), ("train", "--output", "run"), 1, ("--train-src",)),
    Case(
        "one side only", write(s=GOOD), ("train", "--train-src", "s", "--output", "run"), 1, ("--train-tgt is missing",)
    ),
    Case("a recipe that is not there", write(), RECIPE, 1, ("r.toml", "no such recipe")),
    Case("a recipe that is no TOML", recipe("= 3"), RECIPE, 1, ("r.toml", "TOML")),
    Case(
        "a recipe of brackets without end", recipe("x = " + "[" * 5000), RECIPE, 1, ("r.toml", "TOML", "large or deep")
    ),
    Case(
        "a recipe of tables without end",
        recipe("[training.seed" + ".a" * 5000 + "]\nb = 1"),
        RECIPE,
        1,
        ("r.toml", "TOML", "5,002 parts"),
    ),
    Case(
        "a setting nested without end",
        write(s=GOOD, t=GOOD),
        training("--set", "training.seed=" + "[" * 5000),
        1,
        ("--set training.seed", "the value cannot be read", "shorter"),
    ),
    Case(
        "a misspelt setting",
        recipe("[training]\nlerning_rate = 1"),
        RECIPE,
        1,
        ("training.lerning_rate", "did you mean 'learning_rate'"),
    ),
    Case("a setting out of range", recipe("[training]\nbatch_size = 0"), RECIPE, 1, ("training.batch_size", "0")),
    Case(
        "heads that do not divide",
        recipe("[model]\nnum_heads = 7"),
        RECIPE,
        1,
        ("num_heads = 7", "d_model = 512", "1, 2, 4, 8"),
    ),
    Case(
        "all problems at once",
        recipe("[model]\nnum_heads = 7\n[training]\nlerning_rate = 1"),
        RECIPE,
        1,
        ("num_heads", "lerning_rate"),
    ),
    Case("two budgets", write(s=GOOD, t=GOOD), training("--minutes", "1"), 1, ("train_steps", "minutes")),
    Case(
        "a setting without a value",
        write(s=GOOD, t=GOOD),
        training("--set", "training.seed"),
        1,
        ("training.seed", "key=value"),
    ),
    Case(
        "an unknown preset",
        write(s=GOOD, t=GOOD),
        ("train", "--train-src", "s", "--train-tgt", "t", "--output", "run", "--preset", "huge"),
        1,
        ("preset", "huge", "tiny"),
    ),
    Case(
        "recipe and files at once",
        recipe(""),
        (*RECIPE, "--train-src", "s", "--train-tgt", "t"),
        1,
        ("either --recipe",),
    ),
    Case("an unknown option", write(), ("train", "--ouput", "run"), 2, ("--output",)),
    Case("an unknown verb", write(), ("trian",), 2, ("trian",)),
    Case(
        "a vocabulary too large for the text",
        write(s=GOOD, t=GOOD.upper()),
        (
            "train",
            "--train-src",
            "s",
            "--train-tgt",
            "t",
            "--output",
            "run",
            "--preset",
            "tiny",
            "--set",
            "tokenizer.vocab_size=32000",
            "--set",
            "training.train_steps=1",
        ),
        1,
        ("vocab_size", "32000"),
    ),
    Case(
        "a model to start from that is not there",
        write(s=GOOD, t=GOOD),
        training("--init-from", "nowhere"),
        1,
        ("nowhere", "no such folder"),
    ),
    Case(
        "a device that is not there", write(s=GOOD, t=GOOD), training("--set", "training.device=tpu"), 1, ("tpu", "cpu")
    ),
]


@pytest.mark.parametrize("case", FILES + SETTINGS, ids=lambda case: case.name)
def test_wrong_input_gets_a_plain_message(case: Case, command: Command, tmp_path: Path) -> None:
    case.prepare(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    outcome = command(*case.arguments, stdin=case.stdin)
    flat = " ".join(re.sub(r"[│╭╮╰╯─]", " ", outcome.err).split())
    assert outcome.status == case.status, flat
    for word in case.words:
        assert word in flat
    assert "Traceback" not in outcome.err
    assert len(flat) < 3000
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before
    if case.status == 1:
        section = "Training text" if case in FILES else "Settings"
        error_page.check_row(section, case.name, status=outcome.status, message=flat, folder=tmp_path)


def damaged(change: Callable[[Path], None]) -> Callable[[Path, Path], Path]:
    def prepare(good: Path, folder: Path) -> Path:
        copy = folder / "model"
        shutil.copytree(good, copy)
        change(copy)
        return copy

    return prepare


def edit(pattern: str, replacement: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "model.toml").read_text()
        changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
        assert changed != text, "the damage must change something"
        (folder / "model.toml").write_text(changed)

    return change


def weights_of(folder: Path) -> Path:
    return next(folder.glob("weights-*.safetensors"))


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def link_the_weights(folder: Path) -> None:
    path = weights_of(folder)
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")


def cut_the_weights(folder: Path) -> None:
    """Take four bytes off the end, and put the checksum right, as somebody hostile would."""
    path = weights_of(folder)
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:-4])
    description = folder / "model.toml"
    description.write_text(description.read_text().replace(old, hashlib.sha256(path.read_bytes()).hexdigest()))


DAMAGE: list[tuple[str, Callable[[Path], None], tuple[str, ...]]] = [
    ("no description", lambda d: (d / "model.toml").unlink(), ("model.toml",)),
    ("no weights", lambda d: weights_of(d).unlink(), ("weights-", "missing")),
    ("a changed weight", lambda d: flip_a_byte(weights_of(d)), ("weights-", "SHA-256")),
    ("truncated weights", lambda d: weights_of(d).write_bytes(b"123"), ("weights-", "SHA-256")),
    ("weights behind a link", link_the_weights, ("weights-", "symbolic link")),
    ("no tokenizer", lambda d: shutil.rmtree(d / "tokenizer"), ("tokenizer", "missing")),
    ("another tokenizer", lambda d: flip_a_byte(next((d / "tokenizer").iterdir())), ("tokenizer", "SHA-256")),
    ("a newer format", edit(r"^format_version = 1", "format_version = 99"), ("format_version = 99", "upgrade")),
    ("an unknown key", edit(r"^format_version", "surprise = 1\nformat_version"), ("surprise", "unknown")),
    ("a width that is not the weights'", edit(r"^d_model = 12", "d_model = 18"), ("shape",)),
    ("a depth that is not the weights'", edit(r"^num_encoder_layers = 2", "num_encoder_layers = 3"), ("missing",)),
    ("a size that fits no memory", edit(r"^d_feedforward = 17", "d_feedforward = 170000000000"), ("cannot hold",)),
    (
        "a vocabulary that is not the tokenizer's",
        edit(r"^target_vocab_size = \d+", "target_vocab_size = 999"),
        ("vocab",),
    ),
    ("a version that never was", edit(r"^format_version = 1", "format_version = 0"), ("format_version = 0",)),
    ("nesting without end", edit(r"^format_version", "x = " + "[" * 5000 + "\nformat_version"), ("TOML",)),
    ("a number without end", edit(r"^format_version = 1", "format_version = " + "9" * 5000), ("TOML",)),
    ("positions that fit no memory", edit(r"^position_offset = 0", "position_offset = 100000000000"), ("too large",)),
    ("a file without a checksum", edit(r'^"?tokenizer/tokenizer.json"? = .*\n', ""), ("tokenizer.json", "no SHA-256")),
    ("weights that end too early", cut_the_weights, ("weights-", "safetensors")),
    (
        "a file name that leaves the folder",
        edit(r'^"?weights-\w+\.safetensors"? = ', '"../../evil" = '),
        ("model.toml",),
    ),
    ("a description that is no TOML", edit(r"^format_version", "= ="), ("TOML",)),
]


@pytest.mark.parametrize(("name", "change", "words"), DAMAGE, ids=[row[0] for row in DAMAGE])
def test_a_damaged_model_is_refused_with_a_sentence(
    name: str,
    change: Callable[[Path], None],
    words: tuple[str, ...],
    command: Command,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    model = damaged(change)(tiny_model, tmp_path)
    # The native engine does not read weights again that it prepared, and another test may have made it prepare these.
    outcome = command("translate", model, "--engine", "torch", stdin=b"Hund\n")
    assert outcome.status == 1, outcome.err
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    error_page.check_row("Model folders", name, status=outcome.status, message=outcome.err, folder=tmp_path)


def test_the_page_of_errors_has_no_other_rows() -> None:
    assert set(error_page.rows("Training text")) == {case.name for case in FILES}
    assert set(error_page.rows("Settings")) == {case.name for case in SETTINGS if case.status == 1}
    assert set(error_page.rows("Model folders")) == {row[0] for row in DAMAGE}


def test_a_bad_line_fails_alone_and_in_its_place(command: Command, tiny_model: Path) -> None:
    outcome = command("translate", tiny_model, "--beam-size", "1", stdin=b"Hund\n\n\xff\xfe\nKatze")
    lines = outcome.out.split("\n")
    assert outcome.status == 1
    assert len(lines) == 5
    assert lines[4] == ""
    assert lines[1] == lines[2] == ""
    assert lines[0]
    assert lines[3]
    assert "line 3" in outcome.err
    assert "UTF-8" in outcome.err


def test_output_stays_parallel_whatever_the_lines_hold(command: Command, tiny_model: Path) -> None:
    lines = ["a\u2028b", "c\x85d", "e\x0bf", "g\rh", "\ufeffi", "😀" * 30, "<s></s><pad>", "\u202eabc", "  ", "x" * 700]
    outcome = command("translate", tiny_model, "--format", "jsonl", "--beam-size", "2", stdin="\n".join(lines).encode())
    rows = [json.loads(row) for row in outcome.out.split("\n")[:-1]]
    assert [row["line"] for row in rows] == list(range(len(lines)))
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--format", "xml"), 1, ("xml", "jsonl")),
        (("--n-best", "3"), 1, ("--format text", "moses")),
        (("--beam-size", "0"), 1, ("beam_size", "0")),
        (("--beam-size", "2", "--n-best", "3", "--format", "jsonl"), 1, ("n_best = 3", "beam_size = 2")),
        (("--length-penalty", "wu"), 1, ("length_penalty", "gnmt")),
        (("--set", "beam_sise=3"), 1, ("beam_sise", "did you mean 'beam_size'")),
        (("--set", "training.seed=3"), 1, ("training.seed", "[translation]")),
        (("--device", "cuda:9"), 1, ("cuda:9", "cpu")),
        (("nowhere.txt",), 1, ("nowhere.txt", "no such file")),
        (("--output", "no/such/folder/out"), 1, ("no/such/folder/out",)),
    ],
)
def test_wrong_translate_options(
    arguments: tuple[str, ...], status: int, words: tuple[str, ...], command: Command, tiny_model: Path
) -> None:
    outcome = command("translate", tiny_model, *arguments, stdin=b"Hund\n")
    assert outcome.status == status, outcome.err
    for word in words:
        assert word in outcome.err
    assert "Traceback" not in outcome.err
