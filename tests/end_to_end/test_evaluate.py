"""``evaluate`` scores a model or the output of any tool, against one reference or several, alone or in a comparison."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
from pathlib import Path

import pytest
from sacrebleu.metrics import BLEU

from .conftest import Command

SOURCE = ["Hund", "Katze", "Vogel"]
FIRST = ["A dog runs fast.", "A cat sleeps here.", "Birds sing in trees."]
SECOND = ["The dog runs fast.", "The cat sleeps here.", "Birds are singing."]
OURS = ["A dog runs fast.", "The cat sleeps.", "Birds sing in a tree."]
THEIRS = ["Dog run.", "Cat sleep.", "Bird sing."]
FAST = ("--set", "beam_size=1", "--set", "max_length_constant=3", "--set", "max_length_factor=0.1")


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    for name, lines in {"s": SOURCE, "r1": FIRST, "r2": SECOND, "ours": OURS, "theirs": THEIRS}.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))


def test_the_output_of_another_tool_is_scored_without_a_model(command: Command, tmp_path: Path) -> None:
    outcome = command("evaluate", "--hyp", "ours", "--ref", "r1", "--tgt-lang", "en", "--json", "report.json")
    assert outcome.status == 0, outcome.err
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["scores"]["bleu"]["value"] == pytest.approx(BLEU().corpus_score(OURS, [FIRST]).score)
    assert record["system"] is None
    assert record["target_language"] == "en"
    sums = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("ours", "r1")}
    assert [(file["side"], file["name"], file["sha256"]) for file in record["files"]] == [
        ("translations", "ours", sums["ours"]),
        ("reference", "r1", sums["r1"]),
    ]
    for line in ("translations     ours, SHA-256", "reference        r1, SHA-256", "3 sentences into en;"):
        assert line in outcome.out


def test_several_references_and_a_second_file(command: Command, tmp_path: Path) -> None:
    outcome = command(
        "evaluate", "--hyp", "ours", "--src", "s", "--ref", "r1", "--ref", "r2", "--against", "theirs",
        "--json", "report.json", "--markdown", "report.md",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert "nrefs:2|case:mixed" in outcome.out
    record = json.loads((tmp_path / "report.json").read_text())
    ours, theirs = (BLEU().corpus_score(texts, [FIRST, SECOND]).score for texts in (OURS, THEIRS))
    compared = record["comparisons"]["bleu"]
    assert (compared["system"], compared["baseline"]) == (pytest.approx(ours), pytest.approx(theirs))
    sides = [file["side"] for file in record["files"]]
    assert sides == ["source", "translations", "baseline", "reference 1", "reference 2"]
    assert record["worst"][0]["source"] in SOURCE
    assert "| reference 2 | r2, SHA-256" in (tmp_path / "report.md").read_text()


def test_a_file_and_a_model_are_compared_in_either_order(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    translated = command("translate", tiny_model, "s", *FAST)
    (tmp_path / "by_model").write_text(translated.out)
    common = ("--src", "s", "--ref", "r1", *FAST, "--json", "report.json")
    found = []
    for arguments in (("--hyp", "ours", "--against", tiny_model), (tiny_model, "--against", "ours")):
        outcome = command("evaluate", *arguments, *common)
        assert outcome.status == 0, outcome.err
        record = json.loads((tmp_path / "report.json").read_text())
        found.append(record["comparisons"]["chrf"])
        assert (record["system"] is None) is (arguments[0] == "--hyp")
        assert (record["baseline"] is None) is (arguments[0] != "--hyp")
        assert record["target_language"] == "en"
    assert (found[0]["system"], found[0]["baseline"]) == (found[1]["baseline"], found[1]["system"])
    same = command("evaluate", tiny_model, "--against", "by_model", *common)
    assert same.status == 0, same.err
    assert json.loads((tmp_path / "report.json").read_text())["comparisons"]["ter"]["difference"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--ref", "r1"), "name what to evaluate: either a model, or a file of translations with --hyp"),
        (("model", "--hyp", "ours", "--ref", "r1"), "name what to evaluate: either"),
        (("model", "--ref", "r1"), "--src is missing: model is a model"),
        (("--hyp", "ours", "--against", "folder", "--ref", "r1"), "--src is missing: folder is a model"),
        (("--hyp", "ours", "--ref", "r1", "--set", "beam_size=1"), "--set changes the search of a model"),
        (("--hyp", "nowhere", "--ref", "r1"), "nowhere: no such file"),
        (("--hyp", "ours", "--ref", "r1", "--ref", "short"), "ours has 3, r1 has 3, short has 2; line n of each"),
        (("--hyp", "ours", "--ref", "r1", "--src", "short"), "short has 2, ours has 3, r1 has 3"),
        (("--hyp", "ours", "--ref", "r1", "--against", "short"), "ours has 3, short has 2, r1 has 3"),
        (("--hyp", "ours", "--ref", "bad"), "bad, line 2: byte 1 (0xff) is not valid UTF-8"),
        (("--hyp", "ours", "--ref", "r1", "--json", "ours"), "ours: is named twice"),
        (("--hyp", "ours", "--ref", "r1", "--against", "theirs", "--json", "theirs"), "theirs: is named twice"),
    ],
)
def test_what_is_not_clear_is_refused(arguments: tuple[str, ...], words: str, command: Command, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "short").write_text("one\ntwo\n")
    (tmp_path / "bad").write_bytes(b"one\n\xff\nthree\n")
    outcome = command("evaluate", *arguments)
    assert outcome.status == 1
    assert words in outcome.err
    assert outcome.out == ""


def test_a_reference_is_required(command: Command) -> None:
    assert command("evaluate", "--hyp", "ours").status == 2


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_compressed_files_are_read_by_every_verb(pack, command: Command, tiny_model: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("s", "r1", "ours"):
        (tmp_path / f"{name}.packed").write_bytes(pack((tmp_path / name).read_bytes()))
    for plain, packed in (
        (("translate", tiny_model, "s", *FAST), ("translate", tiny_model, "s.packed", *FAST)),
        (
            ("score", tiny_model, "--src", "s", "--tgt", "r1"),
            ("score", tiny_model, "--src", "s.packed", "--tgt", "r1.packed"),
        ),
    ):
        one, other = command(*plain), command(*packed)
        assert one.status == other.status == 0, other.err
        assert one.out == other.out
    scores = []
    for end in ("", ".packed"):
        outcome = command("evaluate", "--hyp", f"ours{end}", "--ref", f"r1{end}", "--json", "report.json")
        assert outcome.status == 0, outcome.err
        scores.append(json.loads((tmp_path / "report.json").read_text())["scores"])
    assert scores[0] == scores[1]


def test_chinese_needs_no_code_and_empty_references_are_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "zh").write_text("我是学生。\n\n今天下雨。\n", encoding="utf-8")
    outcome = command("evaluate", "--hyp", "zh", "--ref", "zh")
    assert outcome.status == 0, outcome.err
    assert "tok:zh" in outcome.out
    assert "note: the references are in Chinese" in outcome.out
    assert "note: 1 of 3 references are empty" in outcome.out
    coded = command("evaluate", "--hyp", "zh", "--ref", "zh", "--tgt-lang", "zh")
    assert "in Chinese" not in coded.out


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ((), "native (int8)"),
        (("--precision", "fp32"), "native (fp32)"),
        (("--engine", "torch"), "torch (fp32)"),
        (("--set", "sampling=true", "--set", "seed=1"), "native (int8)"),
    ],
)
def test_the_report_names_the_engine_that_computed(
    options: tuple[str, ...], name: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    search = FAST if "sampling=true" not in options else FAST[2:]
    arguments = ("--src", "s", "--ref", "r1", "--device", "cpu", "--json", "report.json", *search, *options)
    outcome = command("evaluate", tiny_model, *arguments)
    assert outcome.status == 0, outcome.err
    assert f"its engine       {name}\n" in outcome.out
    assert json.loads((tmp_path / "report.json").read_text())["system"]["engine"] == name
    assert ("engine: " in outcome.err) == ("torch" not in options)


@pytest.mark.parametrize("option", [("--engine", "torch"), ("--precision", "fp32"), ("--set", "beam_size=2")])
def test_an_option_of_the_search_needs_a_model(option: tuple[str, str], command: Command) -> None:
    outcome = command("evaluate", "--hyp", "ours", "--ref", "r1", *option)
    assert outcome.status == 1
    assert f"{option[0]} changes the search of a model" in outcome.err
