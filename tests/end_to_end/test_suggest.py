"""``suggest`` and ``translate --terms`` through the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pellucid
from pellucid.cli.main import app
from pellucid.errors import DataError, RequestError

MODEL = Path(pellucid.__file__).parent / "sample" / "walkthrough" / "model"
SOURCE = "The dog sleeps."


def run(*arguments: object, given: str = "") -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=given, catch_exceptions=False)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_the_words_of_the_command_are_those_of_python() -> None:
    translator = pellucid.load(MODEL, engine="torch").with_settings(beam_size=2)
    wanted = translator.alternatives(SOURCE, "Le ch", 3)
    common = ["--engine", "torch", "--beam-size", "2", "--count", "3"]
    rows = run("suggest", MODEL, SOURCE, "--prefix", "Le ch", *common).splitlines()
    assert [row.split("\t")[1:] for row in rows] == [[one.word, one.text] for one in wanted]
    lines = run("suggest", MODEL, "--format", "jsonl", *common, given=f"{SOURCE}\tLe ch\n{SOURCE}\n\n").splitlines()
    first, second, blank = map(json.loads, lines)
    assert [one["word"] for one in first["words"]] == [one.word for one in wanted]
    assert first["words"][0]["probability"] == pytest.approx(wanted[0].probability)
    assert second["prefix"] == ""
    assert second["words"]
    assert "nothing to translate" in blank["error"]


def test_a_text_that_cannot_be_translated_is_an_error() -> None:
    with pytest.raises(RequestError, match="nothing to translate"):
        run("suggest", MODEL, "...", "--engine", "torch")


def test_a_file_of_terms(tmp_path: Path) -> None:
    (tmp_path / "terms.tsv").write_text("# comment\ndog\tloup | loups\tchien\n", encoding="utf-8")
    options = ["--terms", tmp_path / "terms.tsv", "--engine", "torch", "--beam-size", "2"]
    lines = run("translate", MODEL, *options, given=f"{SOURCE}\nThe cat eats.\n").splitlines()
    assert "loup" in lines[0]
    assert "chien" not in lines[0]
    assert lines[1] == run("translate", MODEL, *options[2:], given="The cat eats.\n").rstrip("\n")
    (kept,) = run("translate", MODEL, *options[2:], "--keep", "dog", given=SOURCE).splitlines()
    assert "dog" in kept.split()
    (tmp_path / "bad.tsv").write_text("dog\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"bad\.tsv, line 1: has 1 column;"):
        run("translate", MODEL, "--terms", tmp_path / "bad.tsv", given=SOURCE)


def test_the_native_engine_finds_the_same_words() -> None:
    found = [
        pellucid.load(MODEL, engine=engine, precision="fp32").alternatives(SOURCE, "Le chi", 3, beam_size=2)
        for engine in ("torch", "native")
    ]
    assert [(one.word, one.rest, one.text) for one in found[1]] == [(one.word, one.rest, one.text) for one in found[0]]
    for one, other in zip(*found, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=1e-4)
