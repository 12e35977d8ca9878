"""From a memory to a scored translator with one command: the report adds up, nothing leaks, the split stays."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.unit.text.formats.memories import DATE, USER, po, tmx, tu, write

from pellucid.text.formats import reading
from pellucid.text.splits.sources import bare_source

from .conftest import Command, Outcome
from .small_runs import sample, settings

BROKEN = (
    "<tu><tuv xml:lang='en-GB'><seg>R & D</seg></tuv><tuv xml:lang='fr-FR'><seg>R</seg></tuv></tu>",
    "<tu><tuv xml:lang='en-GB'><seg>open</tuv></tu>",
    "<tu><tuv xml:lang='en-GB'><seg>&lol;</seg></tuv><tuv xml:lang='fr-FR'><seg>x</seg></tuv></tu>",
)


def sentences(count: int, *, seed: int) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in sample(seed=seed, train=count).train]


def in_po(pair: tuple[str, str]) -> str:
    source, target = (json.dumps(text, ensure_ascii=False) for text in pair)
    return f"msgid {source}\nmsgstr {target}"


def memory(path: Path, count: int, *, seed: int = 5) -> dict[str, int]:
    """Write a memory of ``count`` units in three variants; return how many of each kind it has."""
    generator = random.Random(seed)
    pairs = sentences(count, seed=seed)
    units: list[str] = []
    counts = dict.fromkeys(("broken", "french only", "codes", "repeated", "good"), 0)
    for number in range(count):
        source, target = pairs[number % len(pairs)]
        kind = generator.choices(list(counts), weights=(2, 2, 20, 6, 70))[0]
        counts[kind] += 1
        if kind == "broken":
            units.append(generator.choice(BROKEN))
        elif kind == "french only":
            units.append(tu(("fr-FR", target)))
        elif kind == "repeated" and number:
            source, target = pairs[generator.randrange(number)]
            units.append(tu(("en-GB", source), ("fr-FR", target)))
        else:
            variants = (("en-GB", source), ("en-US", source.upper()), ("fr-FR", target))
            if kind == "codes":
                begin, end = '<bpt i="1" x="1">&lt;b></bpt>', '<ept i="1">&lt;/b></ept>'
                variants = tuple((code, f"{begin}{text}{end}") for code, text in variants)
            units.append(tu(*variants, document=f"{USER}/{number // 25}.docx"))
    write(path, tmx(units))
    return counts


def trained(command: Command, *arguments: str | Path, most: int = 12, steps: int = 3) -> Outcome:
    return command(
        "train", *arguments,
        *settings(
            f"training.train_steps={steps}", "training.valid_bleu_sentences=2", f"data.split.most={most}",
            "translation.beam_size=1", "training.batch_size=400",
        ),
    )  # fmt: skip


def sources(path: Path) -> set[str]:
    return {bare_source(json.loads(line)["source"]) for line in path.read_text().splitlines()}


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def check_report(run: Path, counts: dict[str, int]) -> None:
    report = json.loads((run / "text_report.json").read_text())
    (file,) = report["corpora"][0]["files"]
    assert file["units"] == sum(counts.values())
    assert file["units"] == file["used"] + sum(file["left_out"].values())
    assert file["left_out"] == {
        reason: count
        for reason, count in (
            ("broken", counts["broken"]),
            ("no text in the source language", counts["french only"]),
        )
        if count
    }
    assert report["cleaning"]["read"] == file["used"] == report["corpora"][0]["pairs"]
    assert report["cleaning"]["read"] == report["cleaning"]["kept"] + sum(report["cleaning"]["dropped"].values())
    assert report["cleaning"]["dropped"]["duplicate"] >= counts["repeated"] // 2
    assert sum(report["split"].values()) == report["cleaning"]["kept"]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the memories that are parsed, one for each time."""
    paths: list[Path] = []
    read = reading._READERS["tmx"]
    monkeypatch.setitem(reading._READERS, "tmx", lambda path, asked: paths.append(path) or read(path, asked))
    return paths


def run_and_check(command: Command, folder: Path, count: int, *, most: int, parsed: list[Path]) -> None:
    counts = memory(folder / "memory.tmx", count)
    arguments = (folder / "memory.tmx", "--src-lang", "en", "--tgt-lang", "fr")
    outcome = trained(command, *arguments, most=most)
    assert outcome.status == 0, outcome.err
    assert len(parsed) == 1, "to choose a preset, verify, clean, split, learn pieces and store tokens"
    run = folder / "runs" / "en-fr"
    assert "for 'en' the texts in en-GB" in outcome.err
    assert "split: " in outcome.err
    check_report(run, counts)
    test, valid = (sources(run / "data" / name) for name in ("test.jsonl", "valid.jsonl"))
    assert test
    assert valid
    assert not test & valid
    assert json.loads((run / "test_report.json").read_text())["sentences"] >= len(test)
    for secret in (USER, DATE, ".docx"):
        assert secret.encode() not in everything_in(run), "dates, users and names of documents stay in the memory"
    before = (run / "data" / "test.jsonl").read_bytes()
    # The run goes on from the same text, although the stores are gone.
    for name in ("prepared.json", "test.jsonl", "valid.jsonl"):
        (run / "data" / name).unlink()
    again = trained(command, *arguments, most=most, steps=4)
    assert again.status == 0, again.err
    assert len(parsed) == 2
    assert (run / "data" / "test.jsonl").read_bytes() == before


def test_from_a_memory_to_a_score(tmp_path: Path, command: Command, parsed: list[Path]) -> None:
    run_and_check(command, tmp_path, 300, most=12, parsed=parsed)


@pytest.mark.slow
def test_from_a_memory_of_5000_units_to_a_score(tmp_path: Path, command: Command, parsed: list[Path]) -> None:
    run_and_check(command, tmp_path, 5000, most=250, parsed=parsed)


def test_a_memory_that_has_changed_is_refused_and_another_date_is_not(tmp_path: Path, command: Command) -> None:
    memory(tmp_path / "memory.tmx", 200)
    arguments = (tmp_path / "memory.tmx", "--src-lang", "en", "--tgt-lang", "fr", "--output", tmp_path / "run")
    assert trained(command, *arguments).status == 0
    text = (tmp_path / "memory.tmx").read_text()
    write(tmp_path / "memory.tmx", text.replace(DATE, "20261231T000000Z"))
    assert trained(command, *arguments, steps=4).status == 0
    write(tmp_path / "memory.tmx", text.replace("</seg>", "!</seg>", 40))
    changed = trained(command, *arguments, steps=5)
    assert changed.status == 1
    assert "0 (train: memory.tmx)" in changed.err


def test_several_files_of_several_formats_with_a_test_set_of_their_own(tmp_path: Path, command: Command) -> None:
    pairs = sentences(240, seed=7)
    write(tmp_path / "a.tmx", tmx([tu(("en", s), ("fr-CA", t)) for s, t in pairs[:90]]))
    entries = [in_po(pair) for pair in pairs[90:160]]
    write(tmp_path / "b.po", po(entries, language="fr"))
    write(tmp_path / "c.csv", "en;fr\n" + "".join(f'"{s}";"{t}"\n' for s, t in pairs[160:]))
    write(tmp_path / "t.tsv", "".join(f"{s}\t{t}\n" for s, t in pairs[10:14]))
    outcome = trained(
        command, "*.tmx", "b.po", "c.csv", "--test", "t.tsv", "--src-lang", "en", "--tgt-lang", "fr"
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    report = json.loads((tmp_path / "runs/en-fr/text_report.json").read_text())
    assert [file["format"] for file in report["corpora"][0]["files"]] == ["tmx", "po", "csv"]
    assert report["split"]["left_out"] >= 4
    assert report["split"]["test"] == 0
    scored = command("evaluate", "runs/en-fr", "--test", "t.tsv", "--set", "beam_size=1")
    assert scored.status == 0, scored.err
    assert "4 sentences" in scored.out
    for more in (("--src", "t.tsv"), ("--ref", "t.tsv"), ("--hyp", "t.tsv")):
        assert "would have no effect" in command("evaluate", "runs/en-fr", "--test", "t.tsv", *more).err
    assert "either a model" in command("evaluate", "--test", "t.tsv").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("memory.tmx", "--src-lang", "en"), "say from which language into which with --tgt-lang"),
        (("memory.tmx",), "say from which language into which with --src-lang and --tgt-lang"),
        (("memory.tmx", "--output", "r"), "say from which language into which with --src-lang and --tgt-lang"),
        (("memory.tmx", "--src-lang", "en", "--tgt-lang", "EN"), "both languages are 'en'"),
        (("memory.tmx", "--src-lang", "en", "--tgt-lang", "de"), "has no text in 'de'; its languages are"),
        (("none.tmx", "--src-lang", "en", "--tgt-lang", "fr"), "no such file"),
        (("memory.tmx", "--train-src", "a", "--train-tgt", "b", "--src-lang", "en", "--tgt-lang", "fr"), "named twice"),
        (("memory.tmx", "--recipe", "x.toml", "--output", "r"), "not both"),
        (("memory.tmx", "--src-lang", "../..", "--tgt-lang", "fr"), "give no name for a folder"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(
    tmp_path: Path, command: Command, arguments: Sequence[str], message: str
) -> None:
    memory(tmp_path / "memory.tmx", 30)
    outcome = trained(command, *arguments)
    assert outcome.status == 1
    assert message in outcome.err


def test_the_page_opens_with_the_run(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    memory(tmp_path / "memory.tmx", 100)
    opened: list[list[Path]] = []
    monkeypatch.setattr("pellucid.cli.serve.serve", opened.append)
    outcome = trained(command, "memory.tmx", "--src-lang", "en", "--tgt-lang", "fr", "--serve")
    assert outcome.status == 0, outcome.err
    assert opened == [[Path("runs/en-fr")]]


def test_a_dry_run_reads_the_memory_and_writes_nothing(tmp_path: Path, command: Command) -> None:
    memory(tmp_path / "memory.tmx", 200)
    outcome = trained(command, tmp_path / "memory.tmx", "--src-lang", "en", "--tgt-lang", "fr", "--dry-run")
    assert outcome.status == 0, outcome.err
    assert "200 units = " in outcome.err
    assert "preset auto" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["memory.tmx"]
