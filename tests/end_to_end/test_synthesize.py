"""``pellucid synthesize`` makes a corpus that training reads as it is, and says where it comes from."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from pellucid.config import load_recipe

from .conftest import Command
from .test_bulk import begun, finished_in, wait_for_part

SHORT = ("--set", "beam_size=1", "--set", "max_length_constant=9", "--set", "max_length_factor=0.1")
SKIPPING = ("--set", "invalid_utf8=skip")
ANYTHING = ("--set", "drop_flags=[]")
LINES = [f"Satz {number} mit {'vielen ' * (number % 7)}Worten." for number in range(120)]
POISON = "\n".join(LINES).encode() + b"\n\nab\xff\nSatz 0 mit Worten.\n" + b"x" * 2100 + b"\n"


def corpus_of(folder: Path, name: str = "bt.tsv") -> list[list[str]]:
    return [line.split("\t") for line in (folder / name).read_text("utf-8").split("\n")[:-1]]


def test_a_corpus_says_where_it_comes_from_and_its_counts_add_up(
    command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mono").write_bytes(POISON)
    done = command("synthesize", tiny_model, "mono", "--output", "bt.tsv", *SHORT, *ANYTHING, *SKIPPING)
    assert done.status == 0, done.err
    rows = corpus_of(tmp_path)
    assert [target for _, target in rows] == LINES, "the duplicate and the bad lines are gone, and the order is kept"
    about = json.loads((tmp_path / "bt.tsv.json").read_text("utf-8"))
    counts = about["counts"]
    assert counts["dropped"] == {"empty": 1, "unreadable": 1, "duplicate": 1, "too_long": 1}
    assert counts["read"] == counts["kept"] + sum(counts["dropped"].values()) == 124
    assert about["output"]["pairs"] == counts["kept"] == len(rows)
    assert about["output"]["sha256"] == hashlib.sha256((tmp_path / "bt.tsv").read_bytes()).hexdigest()
    assert about["inputs"][0]["sha256"] == hashlib.sha256(POISON).hexdigest()
    weights = next(tiny_model.glob("weights-*.safetensors")).read_bytes()
    assert about["model"]["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert "mono, line 122: byte 3 (0xff) is not valid UTF-8" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bt.tsv", "bt.tsv.json", "mono"]


def test_the_printed_lines_are_a_recipe(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mono").write_text("\n".join(LINES))
    real = '[[data.train]]\ntsv = "real.tsv"\n'
    for options, tag, share in (((), "<bt>", 0.5), (("--tag", "[syn]"), "[syn]", 0.5), (("--tag", ""), "", 0.5)):
        done = command("synthesize", tiny_model, "mono", "--output", "bt.tsv", *options, *SHORT, *ANYTHING)
        assert done.status == 0, done.err
        (tmp_path / "recipe.toml").write_text(real + done.out)
        corpus = load_recipe(tmp_path / "recipe.toml").data.train[1]
        assert (corpus.tag, corpus.share, corpus.hold_out) == (tag, share, False)
    words = ("--kind", "distillation", *SHORT, *ANYTHING)
    done = command("synthesize", tiny_model, "mono", "--output", "kd.tsv", *words)
    table = tomllib.loads(done.out)["data"]["train"][0]
    assert table == {"tsv": "kd.tsv", "name": "distillation", "hold_out": False}
    assert [source for source, _ in corpus_of(tmp_path, "kd.tsv")] == LINES


def test_a_finished_corpus_is_not_replaced_by_another_command(
    command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mono").write_text("\n".join(LINES[:20]))
    (tmp_path / "other").write_text("\n".join(LINES[20:40]))

    def made(*options: object, text: str = "mono") -> tuple[int, str]:
        done = command("synthesize", tiny_model, text, "--output", "bt.tsv", *SHORT, *ANYTHING, *options)
        return done.status, done.err

    assert made()[0] == 0
    whole, about = (tmp_path / "bt.tsv").read_bytes(), (tmp_path / "bt.tsv.json").read_bytes()
    status, said = made()
    assert status == 0, said
    assert "this command has finished it before, so nothing is translated" in said
    assert "20 lines read, 20 pairs written" in said
    assert (tmp_path / "bt.tsv.json").read_bytes() == about
    for options, difference in {
        ("--set", "min_length=2"): "translation.min_length = 0 there and 2 now",
        ("--set", "cleaning.max_ratio=3"): "filters.cleaning.max_ratio = 9.0 there and 3.0 now",
        ("--kind", "distillation"): 'kind = "back-translation" there and "distillation" now',
        ("--search", "sampling", "--set", "beam_size=1"): "translation.sampling = false there and true now",
    }.items():
        status, said = made(*options)
        assert status == 1, said
        assert "bt.tsv: is a finished corpus of another command" in said
        assert difference in said
        assert "name another --output, or make the corpus anew with --restart" in said
    status, said = made(text="other")
    assert status == 1
    assert "input 1.sha256 =" in said
    assert (tmp_path / "bt.tsv").read_bytes() == whole
    assert (tmp_path / "bt.tsv.json").read_bytes() == about
    assert made("--restart", text="other")[0] == 0
    assert (tmp_path / "bt.tsv").read_bytes() != whole


def test_a_file_of_somebody_else_is_not_replaced(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mono").write_text("\n".join(LINES[:5]))
    start = ("synthesize", tiny_model, "mono", *SHORT, *ANYTHING, "--output")
    (tmp_path / "own.tsv").write_text("eins\tone\n")
    refused = command(*start, "own.tsv")
    assert refused.status == 1
    assert "own.tsv: exists, and nothing says that 'pellucid synthesize' made it" in refused.err
    assert (tmp_path / "own.tsv").read_text() == "eins\tone\n"
    assert command(*start, "bt.tsv").status == 0
    with (tmp_path / "bt.tsv").open("a") as file:
        file.write("mehr\tmore\n")
    refused = command(*start, "bt.tsv")
    assert refused.status == 1
    assert "bt.tsv: was changed after it was finished; name another --output" in refused.err
    assert command(*start, "bt.tsv", "--restart").status == 0
    assert len(corpus_of(tmp_path)) == 5
    (tmp_path / "bt.tsv").unlink()
    assert command(*start, "bt.tsv").status == 0
    assert len(corpus_of(tmp_path)) == 5


def test_searches_differ_and_draws_can_be_repeated(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mono").write_text("\n".join(LINES[:40]))
    found = {}
    draws = ("--set", "max_length_constant=9", "--set", "max_length_factor=0.1", *ANYTHING)
    for name, options in {
        "beam": SHORT,
        "sampling": ("--search", "sampling"),
        "again": ("--search", "sampling"),
        "top-k": ("--search", "top-k"),
        "top-1": ("--search", "top-k", "--set", "top_k=1"),
    }.items():
        done = command("synthesize", tiny_model, "mono", "--output", f"{name}.tsv", *options, *draws)
        assert done.status == 0, done.err
        found[name] = (tmp_path / f"{name}.tsv").read_bytes()
        about = json.loads((tmp_path / f"{name}.tsv.json").read_text("utf-8"))
        assert about["translation"]["sampling"] is (name != "beam")
        assert about["translation"]["top_k"] == {"top-k": 10, "top-1": 1}.get(name, 0)
    assert found["sampling"] == found["again"]
    assert found["top-1"] == found["beam"]
    assert len({found[name] for name in ("beam", "sampling", "top-k")}) == 3


def test_a_reference_chooses_among_the_n_best(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("\n".join(LINES[:20]))
    search = ("--set", "beam_size=4", *SHORT[2:], *ANYTHING)
    listed = command("translate", tiny_model, "text", "--format", "moses", "--n-best", "4", *search[:2], *SHORT[2:])
    options: list[list[str]] = [[] for _ in range(20)]
    for line in listed.out.splitlines():
        options[int(line.partition(" ||| ")[0])].append(line.split(" ||| ")[1])
    # Each reference is the last of the n best, so it is its own closest translation.
    (tmp_path / "ref").write_text("".join(f"{texts[-1]}\n" for texts in options))
    words = ("--kind", "distillation", "--reference", "ref", "--output", "kd.tsv", *search)
    done = command("synthesize", tiny_model, "text", *words, "--set", "cleaning.drop_empty=false")
    assert done.status == 0, done.err
    assert [target.strip() for _, target in corpus_of(tmp_path, "kd.tsv")] == [texts[-1].strip() for texts in options]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--kind", "backwards"), "--kind 'backwards' is unknown; use back-translation, distillation"),
        (("--search", "wide"), "--search 'wide' is unknown; use beam, sampling, top-k"),
        (("--reference", "mono"), "--reference is for --kind distillation"),
        (("--kind", "distillation", "--reference", "other"), "mono has 2 lines and other has 1 line;"),
        (("--kind", "distillation", "--reference", "mono", "--set", "beam_size=1"), "beam_size = 1 gives one"),
        (("--kind", "distillation", "--reference", "mono", "--search", "sampling"), "sampling gives one"),
        (("--set", "sampling=true"), "the search is chosen by --search"),
        (("--set", "top_k=5"), "belongs to --search top-k, and this is --search beam"),
        (("--search", "top-k", "--set", "top_k=0"), "which is --search sampling"),
        (("--tag", "bt"), "cannot be a tag"),
        (("--language-tag", ">>eng<<"), "is not a tag of"),
        (("--set", 'drop_flags=["loud"]'), "'loud' is not a flag"),
        (("--set", "cleaning.max_ration=3"), "did you mean 'max_ratio'?"),
        (("--output", "mono"), "is also the input"),
        (("--output", "/dev/null"), "must be a file"),
        (
            ("--set", "cleaning.max_characters=1"),
            "no pair is left (2 lines read, 0 pairs written; dropped: too_long 2)",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    options: tuple[str, ...], told: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mono").write_text("eins\nzwei\n")
    (tmp_path / "other").write_text("one\n")
    done = command(
        "synthesize", tiny_model, "mono", *(("--output", "bt.tsv") if "--output" not in options else ()), *options
    )
    assert done.status == 1
    assert told in done.err
    assert not (tmp_path / "bt.tsv").exists()


@pytest.mark.slow
def test_kills_at_random_moments_change_no_byte(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mono").write_bytes(POISON + b"\n".join(f"Noch ein Satz {n}.".encode() for n in range(900)))
    options = (
        "--set",
        "beam_size=3",
        "--set",
        "max_length_constant=40",
        "--chunk-lines",
        "64",
        "--threads",
        "2",
        *SKIPPING,
    )
    start = ("synthesize", tiny_model, tmp_path / "mono", *options, *ANYTHING)
    whole = begun((*start, "--output", tmp_path / "whole.tsv"))
    said = whole.communicate()[1].decode()
    assert whole.returncode == 0, said
    expected = (tmp_path / "whole.tsv").read_bytes()
    generator = random.Random(11)
    kept = []
    for _ in range(5):
        process = begun((*start, "--output", tmp_path / "bt.tsv"))
        wait_for_part(process, tmp_path / "bt.tsv.parts")
        with suppress(subprocess.TimeoutExpired):
            process.wait(generator.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (tmp_path / "bt.tsv").exists():
            break
        kept.append(finished_in(tmp_path / "bt.tsv.parts"))
    assert kept, "at least one kill came before the end"
    assert kept == sorted(kept)
    last = begun((*start, "--output", tmp_path / "bt.tsv"))
    said = last.communicate()[1].decode()
    assert last.returncode == 0, said
    assert (tmp_path / "bt.tsv").read_bytes() == expected
    about, other = (json.loads((tmp_path / f"{n}.tsv.json").read_text("utf-8")) for n in ("bt", "whole"))
    for table in (about, other):
        for changing in ("date", "recipe"):
            del table[changing]
        del table["output"]["file"]
    assert about == other
    assert not list(tmp_path.glob("*.parts"))
