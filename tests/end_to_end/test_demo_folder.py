"""``pellucid demo`` asks what is in its folder before it writes anything there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.jobs import demo as job
from pellucid.sample.corpus import build_corpus
from pellucid.sample.records import SampleCorpus

from .conftest import Command
from .small_runs import settings


@pytest.fixture(autouse=True)
def small_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*, seed: int, train_size: int) -> SampleCorpus:
        return build_corpus(seed=seed, train_size=min(train_size, 211), valid_size=23, test_size=13)

    monkeypatch.setattr(job, "build_corpus", build)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_another_run_is_left_as_it_is(command: Command, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("".join(f"wort {i} und noch eins\n" for i in range(29)))
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
    assert "text/test.fr: is there already" in outcome.err
    assert everything_in(tmp_path) == {"text/test.fr": "à moi\n".encode()}


def test_text_of_this_demo_is_used_again(tmp_path: Path) -> None:
    corpus = job.build_corpus(seed=3, train_size=211)
    job.write_corpus(corpus, tmp_path)
    (tmp_path / "train.fr").unlink()
    before = everything_in(tmp_path)
    job.write_corpus(corpus, tmp_path)
    assert everything_in(tmp_path).items() > before.items()
