"""Fine-tuning through the real command: without the guard it forgets, with the guard the general score holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command
from .domains import write_domains
from .small_runs import options, settings, write_corpus

SIDES = (("src", "en"), ("tgt", "fr"))


def files(*parts: tuple[str, str]) -> list[str]:
    """Return the options for parts such as ("train", "questions.train")."""
    return [f"--{option}-{side}={name}.{tongue}" for option, name in parts for side, tongue in SIDES]


def test_a_fine_tuned_run_reports_before_and_after(command: Command, tmp_path: Path) -> None:
    write_corpus(tmp_path, train=60, valid=10, test=10)
    text = files(("train", "train"), ("valid", "valid"))
    first = command("train", *text, "--output", "first", *settings("training.train_steps=3", "tokenizer.kind=bytes"))
    assert first.status == 0, first.err
    tuned = ("train", "--init-from", "first", *text, "--output", "tuned")
    more = options("training.train_steps=4", "training.valid_steps=2", "training.threads=1")
    guarded = command(*tuned, *files(("general", "test")), *more, *options("training.valid_bleu_sentences=5"))
    assert guarded.status == 0, guarded.err
    assert "validation at step 0:" in guarded.err
    assert "general_bleu_before" in guarded.err
    report = json.loads((tmp_path / "tuned" / "fine_tuning.json").read_text("utf-8"))
    assert [row["text"] for row in report["rows"]] == ["domain", "general"]
    assert all(row["sentences"] == 5 for row in report["rows"])
    assert "fine-tuning, greedy search:" in guarded.err
    rows = [json.loads(line) for line in (tmp_path / "tuned" / "metrics.jsonl").read_text("utf-8").splitlines()]
    scores = [row["scores"] for row in rows if row["kind"] == "validation"]
    assert {score["general_bleu_before"] for score in scores} == {scores[0]["general_bleu"]}
    # The same command finds the run finished, and other general text is another run.
    again = command(*tuned, *files(("general", "test")), *more, *options("training.valid_bleu_sentences=5"))
    assert again.status == 0, again.err
    other = command(*tuned, *files(("general", "valid")), *more, *options("training.valid_bleu_sentences=5"))
    assert other.status == 1
    assert "cannot be continued" in other.err


def test_general_text_that_is_trained_on_is_noted(command: Command, tmp_path: Path) -> None:
    write_corpus(tmp_path, train=60, valid=10, test=10)
    text = files(("train", "train"), ("valid", "valid"))
    small = settings("training.train_steps=1", "tokenizer.kind=bytes")
    assert command("train", *text, "--output", "first", *small).status == 0
    more = options("training.train_steps=1", "training.valid_bleu_sentences=2", "training.threads=1")
    done = command("train", "--init-from", "first", *text, *files(("general", "train")), "--output", "tuned", *more)
    assert "note: 60 of 60 pairs of the general text are also trained on" in done.err


@pytest.mark.parametrize(
    ("start", "more", "told"),
    [
        (False, (), "data.general is text that a model must not forget, and this run starts from no model"),
        (True, ("training.valid_bleu_sentences=0",), "data.general needs training.valid_bleu_sentences"),
    ],
)
def test_a_guard_without_an_effect_is_refused(
    start: bool, more: tuple[str, ...], told: str, command: Command, tiny_model: Path, tmp_path: Path
) -> None:
    write_corpus(tmp_path, train=60, valid=10, test=10)
    text = files(("train", "train"), ("valid", "valid"), ("general", "test"))
    begin = ("--init-from", tiny_model) if start else ()
    done = command("train", *begin, *text, "--output", "run", *options("training.train_steps=1", *more))
    assert done.status == 1
    assert told in done.err
    assert not (tmp_path / "run").exists()


FIRST = (
    "preset=tiny",
    "model.d_model=64",
    "model.d_feedforward=256",
    "model.num_heads=4",
    "tokenizer.vocab_size=500",
    "training.train_steps=400",
    "training.valid_steps=400",
    "training.learning_rate=0.004",
    "training.warmup_steps=100",
)
TUNED = (
    "training.train_steps=100",
    "training.valid_steps=20",
    "training.learning_rate=0.001",
    "training.warmup_steps=20",
)
BOTH = (
    "model.dropout=0",
    "training.batch_size=1024",
    "training.label_smoothing=0",
    "training.average_decay=0.9",
    "training.valid_bleu_sentences=60",
    "training.threads=1",
    "training.precision=fp32",  # a trial of the machine would decide otherwise
)
MIXED = """
[[data.train]]
src = "questions.train.en"
tgt = "questions.train.fr"

[[data.train]]
src = "statements.train.en"
tgt = "statements.train.fr"
share = 0.5
hold_out = false

[data.valid]
src = "questions.valid.en"
tgt = "questions.valid.fr"

[data.general]
src = "statements.valid.en"
tgt = "statements.valid.fr"
"""


def changes(folder: Path, run: str) -> dict[str, tuple[float, float]]:
    """Return BLEU before and after on each text."""
    report = json.loads((folder / run / "fine_tuning.json").read_text("utf-8"))
    return {row["text"]: (row["change"]["baseline"], row["change"]["system"]) for row in report["rows"]}


@pytest.mark.slow(minutes=1)
def test_without_the_guard_it_forgets_and_with_the_guard_the_general_score_holds(
    command: Command, tmp_path: Path
) -> None:
    write_domains(tmp_path)
    statements = files(("train", "statements.train"), ("valid", "statements.valid"))
    questions = files(("train", "questions.train"), ("valid", "questions.valid"), ("general", "statements.valid"))
    first = command("train", *statements, "--output", "first", *options(*FIRST, *BOTH))
    assert first.status == 0, first.err
    (tmp_path / "mixed.toml").write_text(MIXED)
    runs = {
        "free": (*questions, *options("training.max_forgetting=100")),
        "guarded": (*questions, *options("training.max_forgetting=3", "training.forgetting_patience=1")),
        "mixed": ("--recipe", "mixed.toml", *options("training.max_forgetting=10", "training.forgetting_patience=0")),
    }
    found = {}
    for name, more in runs.items():
        done = command("train", "--init-from", "first", "--output", name, *options(*TUNED, *BOTH), *more)
        assert done.status == 0, done.err
        found[name] = changes(tmp_path, name)
        print(name, found[name])
        if name == "guarded":
            assert "BLEU lower than before (max_forgetting = 3)" in done.err
    assert found["free"]["domain"][1] > found["free"]["domain"][0] + 10, "it learns its domain"
    assert found["free"]["general"][1] < found["free"]["general"][0] - 10, "and forgets the rest"
    for name, limit in (("guarded", 3), ("mixed", 10)):
        before, after = found[name]["general"]
        assert after >= before - limit, name
        assert found[name]["domain"][1] >= found[name]["domain"][0], name
    assert found["mixed"]["domain"][1] > found["mixed"]["domain"][0] + 10, "it learns its domain and forgets nothing"
