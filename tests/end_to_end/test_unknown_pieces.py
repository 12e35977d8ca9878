"""A model without byte fallback on a script that it has never seen: told and refused before a step is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command, Outcome
from .small_runs import options, settings

LATIN = "".join(f"the farmer opens door {n} .\n" for n in range(30))
SCRIPTS = {
    "Greek": "".join(f"Ο αγρότης ανοίγει την πόρτα {n}.\n" for n in range(30)),
    "Russian": "".join(f"Крестьянин открывает дверь {n}.\n" for n in range(30)),
    "Chinese": "".join(f"农夫打开门{n}。\n" for n in range(30)),
}


@pytest.fixture(autouse=True)
def text(tmp_path: Path) -> None:
    for name, content in {"s": LATIN, "latin": LATIN.upper(), **SCRIPTS}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")


def learn(command: Command, target: str, output: str, *more: str, fallback: bool) -> Outcome:
    """Train a step from nothing."""
    files = ("--train-src", "s", "--train-tgt", target, "--preset", "tiny", "--output", output)
    own = settings("training.train_steps=1", f"tokenizer.byte_fallback={str(fallback).lower()}")
    return command("train", *files, *own, *more)


def go_on(command: Command, model: Path, target: str, *more: str) -> Outcome:
    """Train a step from a model, with its tokenizer."""
    files = ("--init-from", model, "--train-src", "s", "--train-tgt", target, "--output", "second")
    own = options("training.train_steps=1", "training.batch_size=499", "training.threads=1")
    return command("train", *files, *own, *more)


@pytest.fixture
def without_fallback(command: Command, tmp_path: Path) -> Path:
    made = learn(command, "latin", "first", fallback=False)
    assert made.status == 0, made.err
    assert "are unknown" not in made.err
    return tmp_path / "first"


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_that_the_tokenizer_lacks_is_refused(
    script: str, command: Command, tmp_path: Path, without_fallback: Path
) -> None:
    for more in ((), ("--dry-run",)):
        refused = go_on(command, without_fallback, script, *more)
        assert refused.status == 1, refused.err
        assert "of the target pieces" in refused.err
        assert "data.max_unknown_share = 0.05" in refused.err
        assert "byte fallback" in refused.err
        assert any(character in refused.err for character in SCRIPTS[script] if ord(character) > 0x300)
        assert "of the source pieces" not in refused.err
    assert not (tmp_path / "second" / "checkpoints").exists()
    accepted = go_on(command, without_fallback, script, "--set", "data.max_unknown_share=1")
    assert accepted.status == 0, accepted.err
    assert "train: " in accepted.err
    summary = json.loads((tmp_path / "second/data/prepared.json").read_text())["summary"]
    told = [line for line in summary if "of the target pieces" in line]
    assert [line.partition(":")[0] for line in told] == ["train", "valid"]
    for line in told:
        assert line in accepted.err


def test_byte_fallback_has_nothing_to_tell(command: Command, tmp_path: Path) -> None:
    made = learn(command, "latin", "first", fallback=True)
    assert made.status == 0, made.err
    made = go_on(command, tmp_path / "first", "Greek")
    assert made.status == 0, made.err
    assert "are unknown" not in made.err


def test_the_limit_may_change_when_a_run_is_continued(command: Command, without_fallback: Path) -> None:
    more = ("--set", "data.max_unknown_share=0.5", "--set", "training.train_steps=2")
    outcome = learn(command, "latin", without_fallback.name, *more, fallback=False)
    assert outcome.status == 0, outcome.err


def test_notes_on_the_text_are_in_the_summary_and_in_the_dry_run(command: Command, tmp_path: Path) -> None:
    rows = zip(LATIN.splitlines(), SCRIPTS["Greek"].splitlines(), strict=True)
    quoted = [f'"{source}"\t"{target}"\n' for source, target in rows]
    (tmp_path / "x.tsv").write_text(
        "source\ttarget\n" + "".join(quoted).replace("door", "do\u2028or"), encoding="utf-8"
    )
    corpus = ("--set", 'data.train=[{tsv="x.tsv"}]', "--preset", "tiny", "--output", "run")
    for more in (("--dry-run",), ()):
        outcome = command("train", *corpus, *settings("training.train_steps=1"), *more)
        assert outcome.status == 0, outcome.err
        notes = [line for line in outcome.err.splitlines() if line.startswith("note: ")]
        assert len(notes) == 3, outcome.err
        for note, words in zip(notes, ("break lines", "double quotes", "looks like a header"), strict=True):
            assert words in note
            assert "x.tsv" in note
    summary = json.loads((tmp_path / "run/data/prepared.json").read_text())["summary"]
    assert sum(line.startswith("note: ") for line in summary) == 3
