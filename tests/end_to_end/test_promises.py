"""``train --check`` says whether a promise held, and ``batch_size = "auto"`` keeps the number that it chose."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from pellucid.jobs.promises import batch_size

from .conftest import Command
from .small_runs import TINY, options, settings, write_corpus

RECIPE = """
preset = "tiny"
[data]
src_lang = "en"
tgt_lang = "fr"
train = [{{src = "train.en", tgt = "train.fr"}}]
valid = {{src = "valid.en", tgt = "valid.fr"}}
[tokenizer]
kind = "bytes"
[training]
train_steps = 4
[promise]
command = "pellucid train"
hardware = "an abacus"
minutes = 1
steps = {steps}
test_src = "test.en"
test_tgt = "test.fr"
{scores}
"""
NOT_MEASURED = 'not_measured = "nobody had time"'


@pytest.fixture
def text(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    folder.mkdir()
    write_corpus(folder, train=61, valid=7, test=5)
    return folder


def train(command: Command, tmp_path: Path, scores: str, *more: str, steps: int = 4) -> object:
    recipe = tmp_path / "r.toml"
    recipe.write_text(RECIPE.format(scores=scores, steps=steps), encoding="utf-8")
    return command(
        "train", "--recipe", "r.toml", "--data-dir", "text", "--output", "run", "--check",
        *settings("training.batch_size=999", *more),
    )  # fmt: skip


def test_a_recipe_without_a_length_names_the_promised_command(command: Command, text: Path, tmp_path: Path) -> None:
    endless = RECIPE.replace("train_steps = 4", "").format(scores=NOT_MEASURED, steps=4)
    (tmp_path / "r.toml").write_text(endless, encoding="utf-8")
    refused = command("train", "--recipe", "r.toml", "--data-dir", "text", "--output", "run")
    assert refused.status == 1
    assert "the promise of the recipe is for: pellucid train" in refused.err


def test_a_promise_that_holds_and_one_that_does_not(command: Command, text: Path, tmp_path: Path) -> None:
    held = train(command, tmp_path, '[[promise.scores]]\nmetric = "chrf"\nvalue = 0')
    assert held.status == 0, held.err
    assert "the promise of the recipe held on" in held.out
    # The run is complete, so the same command only evaluates again.
    missed = train(command, tmp_path, '[[promise.scores]]\nmetric = "chrf"\nvalue = 90', steps=100)
    assert missed.status == 3, missed.err
    assert "did NOT hold" in missed.out
    assert "fewer steps: 4 here, 100 in the promised run" in missed.out
    assert "another setting than the recipe's: model.d_model: was 128, now 12" in missed.out
    assert json.loads((tmp_path / "run" / "promise.json").read_text())["holds"] is False
    assert "promise" not in tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    other = train(command, tmp_path, '[[promise.scores]]\nmetric = "bleu"\nvalue = 90\nsignature = "tok:zh"')
    assert other.status == 3, other.err
    assert "none of the promised scores can be compared" in other.out
    both = (
        '[[promise.scores]]\nmetric = "bleu"\nvalue = 0\nsignature = "tok:zh"\n'
        '[[promise.scores]]\nmetric = "chrf"\nvalue = 0'
    )
    partly = train(command, tmp_path, both)
    assert partly.status == 0, partly.err
    assert "the promise of the recipe held on" in partly.out
    assert "1 score could not be compared" in partly.out
    none = train(command, tmp_path, NOT_MEASURED)
    assert none.status == 0, none.err
    assert "promises no score (nobody had time)" in none.out
    journal = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    judgements = [row for row in journal if row["kind"] == "judgement"]
    assert judgements
    assert all(row["text"].startswith("is this normal? ") for row in judgements)


def test_what_cannot_be_checked_is_refused_before_the_training(command: Command, text: Path, tmp_path: Path) -> None:
    (text / "test.fr").unlink()
    missing = train(command, tmp_path, NOT_MEASURED)
    assert missing.status == 1
    assert "test.fr: no such file" in missing.err
    alone = command("train", "--train-src", "a", "--train-tgt", "b", "--output", "run", "--check")
    assert alone.status == 1
    assert "give --recipe with it" in alone.err
    assert not (tmp_path / "run").exists()


def test_an_automatic_batch_size_is_said_and_kept(
    command: Command, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(size: str, steps: int) -> object:
        return command(
            "train", "--train-src", text / "train.en", "--train-tgt", text / "train.fr", "--output", "run",
            *settings("tokenizer.kind=bytes", f"training.train_steps={steps}", f"training.batch_size={size}"),
        )  # fmt: skip

    first = run("auto", 2)
    assert first.status == 0, first.err
    assert "batch size: 2,048 tokens, the usual size on a processor" in first.err
    assert tomllib.loads((tmp_path / "run/recipe.toml").read_text())["training"]["batch_size"] == 2048
    monkeypatch.setattr(batch_size, "free_memory", lambda: 1)  # a new run could not begin now
    for size, steps in (("auto", 3), ("2048", 4)):
        again = run(size, steps)
        assert again.status == 0, again.err
        assert "continuing from step" in again.err
        assert "batch size:" not in again.err
    other = run("1024", 5)
    assert other.status == 1
    assert "training.batch_size: was 2048, now 1024" in other.err


def test_the_rate_of_preset_auto_fits_the_automatic_batch(command: Command, text: Path, tmp_path: Path) -> None:
    def run(steps: int) -> str:
        done = command(
            "train", "--train-src", text / "train.en", "--train-tgt", text / "train.fr", "--output", "run",
            "--preset", "auto", *options(*TINY, "tokenizer.kind=bytes", "training.threads=1"),
            *options("training.valid_bleu_sentences=2", f"training.train_steps={steps}", "training.batch_size=auto"),
        )  # fmt: skip
        assert done.status == 0, done.err
        return done.err

    said = run(1)
    rate, batch, scaled = re.search(
        r"the peak rate (\S+), which preset auto chose for ([\d,]+) tokens, becomes (\S+)", said
    ).groups()  # type: ignore[union-attr]
    training = tomllib.loads((tmp_path / "run/recipe.toml").read_text())["training"]
    assert training["learning_rate"] == float(scaled)
    assert training["batch_size"] == 2048 != int(batch.replace(",", ""))
    assert float(scaled) == pytest.approx(float(rate) * (2048 / int(batch.replace(",", ""))) ** 0.5, rel=0.05)
    assert "becomes" not in run(2), "a run that goes on keeps its rate"
    again = tomllib.loads((tmp_path / "run/recipe.toml").read_text())["training"]
    assert again["learning_rate"] == float(scaled)


def test_auto_needs_tokens(command: Command) -> None:
    outcome = command(
        "train", "--train-src", "s", "--train-tgt", "t", "--output", "run",
        "--set", "training.batch_size=auto", "--set", "training.batch_type=sentences",
    )  # fmt: skip
    assert outcome.status == 1
    assert "batch_size = 'auto' needs batch_type = 'tokens'" in outcome.err
