"""``pellucid demo`` asks what is in its folder before it writes anything, and ends when its translator is right."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pellucid.config import Recipe
from pellucid.jobs import demo as job
from pellucid.jobs.reporting.reporter import JobReporter, QuietReporter
from pellucid.sample.records import SampleCorpus

from .conftest import Command
from .small_runs import numbered_lines, sample, settings


@pytest.fixture(autouse=True)
def small_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*, seed: int, train_size: int) -> SampleCorpus:
        corpus = sample(seed=seed, train=min(train_size, 211), valid=23, test=13)
        return replace(corpus, minimal_pairs=corpus.minimal_pairs[:3])

    monkeypatch.setattr(job, "build_corpus", build)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_another_run_is_left_as_it_is(command: Command, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(numbered_lines())
    (tmp_path / "run" / "text").mkdir(parents=True)
    (tmp_path / "run" / "text" / "train.en").write_text("mine\n")
    made = command(
        "train", "--train-src", "s", "--train-tgt", "s", "--preset", "tiny", "--output", "run",
        *settings("training.train_steps=1", "tokenizer.kind=bytes", "data.cleaning.drop_copies=false"),
    )  # fmt: skip
    assert made.status == 0, made.err
    before = everything_in(tmp_path)
    outcome = command("demo", "--output", "run")
    assert outcome.status == 1
    assert "cannot be continued" in outcome.err
    assert everything_in(tmp_path) == before


def test_text_of_others_is_not_written_over(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "test.fr").write_text("à moi\n")
    outcome = command("demo", "--output", ".")
    assert outcome.status == 1
    assert "text/test.fr: exists already" in outcome.err
    assert everything_in(tmp_path) == {"text/test.fr": "à moi\n".encode()}


def test_text_of_this_demo_is_used_again(tmp_path: Path) -> None:
    corpus = job.build_corpus(seed=3, train_size=211)
    job.write_corpus(corpus, tmp_path)
    (tmp_path / "train.fr").unlink()
    before = everything_in(tmp_path)
    job.write_corpus(corpus, tmp_path)
    assert everything_in(tmp_path).items() > before.items()


def test_at_the_limit_it_says_that_the_machine_is_slow_and_how_to_go_on(command: Command, tmp_path: Path) -> None:
    first = command("demo", "--minutes", "0.02", "--output", "my run")
    assert first.status == 0, first.err
    assert "until 98% of" in first.err
    assert "the limit of 0.02 minutes was reached, with 0.0% of the validation sentences exactly right" in first.out
    assert "this machine is slow or busy" in first.out
    steps = json.loads((tmp_path / "my run" / "demo.json").read_text(encoding="utf-8"))["steps"]
    enough = max(0.04, math.ceil(0.03 * 1000 / steps) if steps else 0)
    assert f"  pellucid demo --minutes {enough:g} --seed 1 --output 'my run'\n" in first.out
    again = command("demo", "--minutes", "0.04", "--output", "my run")
    assert again.status == 0, again.err
    assert f"continuing from step {steps:,}" in again.err
    assert json.loads((tmp_path / "my run" / "demo.json").read_text(encoding="utf-8"))["steps"] >= steps


@pytest.mark.parametrize(("shares", "ends_at"), [((0.981, 0.984, 0.99), 2), ((0.981, 0.97), 1), ((0.981, 1.0), 1)])
def test_it_goes_on_while_a_shown_sentence_is_wrong_and_better_can_be_had(
    shares: tuple[float, ...], ends_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = job.build_corpus(seed=1, train_size=211).walkthrough
    aims: list[float | None] = []

    def train(recipe: Recipe, output: Path, *, reporter: JobReporter) -> object:
        aims.append(recipe.training.stop_at_exact_match)
        return SimpleNamespace(result=SimpleNamespace(best={"exact_match": shares[len(aims) - 1]}))

    monkeypatch.setattr(job, "train", train)
    monkeypatch.setattr(job, "load_bundle", lambda folder: None)
    monkeypatch.setattr(job, "translator_of", lambda bundle: None)
    answers = [pair.target for pair in shown]
    wrong = [*answers[:2], "Je."]
    monkeypatch.setattr(job, "translate_all", lambda *_: answers if len(aims) == 3 else wrong)
    said: list[str] = []
    recipe = job.demo_recipe(tmp_path, minutes=1, seed=1)
    *_, found = job._train_until_right(recipe, tmp_path, shown, QuietReporter(said.append))
    assert (found == answers) == (len(aims) == 3)
    assert len(aims) == ends_at + 1
    assert aims == pytest.approx([0.98, 0.982, 0.985][: ends_at + 1])
    assert len(said) == ends_at
    assert all("still wrong, so training goes on" in text for text in said)


@pytest.mark.parametrize(("minutes", "steps", "longer"), [(10, 500, 30), (10, 2000, 20), (0.5, 40, 19), (1, 0, 2)])
def test_the_next_limit_goes_by_the_pace(minutes: float, steps: int, longer: float) -> None:
    assert job._longer(minutes, steps) == longer


@pytest.mark.slow
def test_it_ends_when_it_is_right(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learnt_by_heart(*, seed: int, train_size: int) -> SampleCorpus:
        corpus = sample(seed=seed, train=211)
        few = corpus.train[:5]
        return replace(corpus, train=few, valid=few, test=few, minimal_pairs=corpus.minimal_pairs[:1])

    monkeypatch.setattr(job, "build_corpus", learnt_by_heart)
    monkeypatch.setattr(job, "_USUAL_STEPS", 10_000)
    ended = command("demo", "--minutes", "10")
    assert ended.status == 0, ended.err
    assert "100.0% of the validation sentences are translated exactly right (the aim is 98.0%)" in ended.out
    assert "slow" not in ended.out
    assert "at this speed, the usual 10,000 steps are over in about " in ended.err
    record = json.loads((tmp_path / "runs" / "demo" / "demo.json").read_text(encoding="utf-8"))
    assert record["exact_match"] == 1
    assert record["continued_by"] == ""
    assert record["steps"] % 100 == 0, "it ends at a validation, and those go by steps"
    again = command("demo", "--minutes", "10")
    assert again.status == 0, again.err
    assert json.loads((tmp_path / "runs" / "demo" / "demo.json").read_text(encoding="utf-8")) == record
