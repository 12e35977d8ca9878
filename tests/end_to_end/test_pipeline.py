"""From two text files to translations and scores, through the real command; every promise of the verbs."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid
from pellucid.errors import StoppedError
from pellucid.jobs.evaluate import write_report

from .conftest import Command
from .small_runs import settings, write_corpus


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with train, valid and test text of the embedded corpus."""
    folder = tmp_path_factory.mktemp("text")
    write_corpus(folder, train=211, valid=23, test=13)
    return folder


def train_arguments(text: Path, run: Path, *more: str, steps: int = 6) -> list[str | Path]:
    return [
        "train", "--train-src", text / "train.en", "--train-tgt", text / "train.fr",
        "--valid-src", text / "valid.en", "--valid-tgt", text / "valid.fr",
        "--src-lang", "en", "--tgt-lang", "fr", "--preset", "tiny", "--output", run,
        *settings(f"training.train_steps={steps}", *more),
    ]  # fmt: skip


@pytest.fixture
def run(text: Path, tmp_path: Path, command: Command) -> Path:
    outcome = command(*train_arguments(text, tmp_path / "run"))
    assert outcome.status == 0, outcome.err
    assert outcome.out == "", "text goes to standard output, everything else to standard error"
    return tmp_path / "run"


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(next(folder.glob("*weights*.safetensors")))


def test_a_run_leaves_what_design_promises(run: Path) -> None:
    assert {p.name for p in run.iterdir()} >= {
        "recipe.toml", "model", "checkpoints", "snapshots", "probes", "metrics.jsonl", "data",
    }  # fmt: skip
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["kind"] == "step"]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert {"seconds", "loss", "nll", "learning_rate", "gradient_norm", "tokens_per_second"} <= steps[0].keys()
    validations = [row for row in rows if row["kind"] == "validation"]
    assert [row["step"] for row in validations] == [3, 6]
    assert "bleu" in validations[0]["scores"]
    assert tomllib.loads((run / "recipe.toml").read_text())["model"]["d_model"] == 12
    assert (run / "snapshots" / "step-00000000.safetensors").is_file()
    probes = json.loads((run / "probes" / "index.json").read_text())["pairs"]
    assert 1 <= len(probes) <= 8
    card = (run / "model" / "card.md").read_text()
    assert "BLEU" in card
    assert "211 pairs read" in card


def test_translations_stay_parallel_and_scores_come_with_signatures(run: Path, text: Path, command: Command) -> None:
    translated = command("translate", run, text / "test.en", "--threads", "1")
    assert translated.status == 0, translated.err
    assert translated.out.count("\n") == 13
    report = run / "report.json"
    evaluated = command(
        "evaluate", run, "--src", text / "test.en", "--ref", text / "test.fr",
        "--against", run, "--json", report, "--markdown", run / "report.md", "--threads", "1",
    )  # fmt: skip
    assert evaluated.status == 0, evaluated.err
    assert "nrefs:1|case:mixed" in evaluated.out
    record = json.loads(report.read_text())
    assert record["sentences"] == 13
    sha = tomllib.loads((run / "model" / "model.toml").read_text())["files"][
        next((run / "model").glob("weights*")).name
    ]
    assert record["system"]["weights_sha256"] == record["baseline"]["weights_sha256"] == sha
    assert record["system"]["folder"] == str(run / "model")
    assert record["system"]["facts"]["step"] in {3, 6}
    assert record["system"]["search"]["beam_size"] == 5
    for form in (evaluated.out, (run / "report.md").read_text()):
        for fact in (str(run / "model"), sha[:8], "step ", "beam_size=5, length_penalty=average, alpha=1.0", "test.fr"):
            assert fact in form
    scored = command("score", run, "--src", text / "test.en", "--tgt", text / "test.fr", "--threads", "1")
    assert scored.status == 0, scored.err
    assert len(scored.out.splitlines()) == 13
    assert all(float(line.split("\t")[0]) < 0 for line in scored.out.splitlines())
    assert "perplexity" in scored.err


def test_n_best_in_the_moses_format(run: Path, text: Path, command: Command) -> None:
    outcome = command(
        "translate", run, text / "test.en", "--format", "moses", "--beam-size", "3", "--n-best", "2", "--threads", "1"
    )
    rows = [line.split(" ||| ") for line in outcome.out.splitlines()]
    assert [int(row[0]) for row in rows] == [i for i in range(13) for _ in range(2)]
    for better, worse in zip(rows[::2], rows[1::2], strict=True):
        assert float(better[2]) >= float(worse[2])


def test_the_same_command_continues_and_says_so(run: Path, text: Path, tmp_path: Path, command: Command) -> None:
    longer = command(*train_arguments(text, run, "training.decay_method=constant", steps=6))
    assert longer.status == 1
    assert "decay_method" in longer.err
    again = command(*train_arguments(text, run, steps=6))
    assert again.status == 0, again.err
    assert "used again" in again.err
    assert "continu" in again.err


def test_a_run_with_other_text_or_shape_is_refused(run: Path, text: Path, tmp_path: Path, command: Command) -> None:
    reshaped = command(*train_arguments(text, run, "model.d_feedforward=19"))
    assert reshaped.status == 1
    assert "d_feedforward: was 17, now 19" in reshaped.err
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in text.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    (changed / "train.en").write_text((changed / "train.en").read_text(encoding="utf-8").replace("the", "tha"))
    kept = ("data/prepared.json", "recipe.toml", "text.json", "model/model.toml", "metrics.jsonl")
    before = {name: (run / name).read_bytes() for name in kept}
    other = command(*train_arguments(changed, run))
    assert other.status == 1
    assert "text" in other.err
    assert command(*train_arguments(text, run, "model.dropout=0.25")).status == 1
    assert {name: (run / name).read_bytes() for name in kept} == before, "a refused command changes nothing"
    shutil.rmtree(run / "data")
    assert command(*train_arguments(changed, run)).status == 1
    again = command(*train_arguments(text, run))
    assert again.status == 0, again.err


def test_what_was_removed_from_a_finished_run_comes_back(run: Path, text: Path, command: Command) -> None:
    old = weights(run / "model")
    shutil.rmtree(run / "model")
    shutil.rmtree(run / "data" / "tokenizer")
    outcome = command(*train_arguments(text, run))
    assert outcome.status == 0, outcome.err
    assert "preparing the text again" in outcome.err
    new = weights(run / "model")
    assert all(np.array_equal(old[name], new[name]) for name in old)
    (run / "data" / "valid.jsonl").unlink()
    assert command(*train_arguments(text, run)).status == 0


def test_a_model_without_its_checkpoints_is_not_replaced(run: Path, text: Path, command: Command) -> None:
    shutil.rmtree(run / "checkpoints")
    before = next((run / "model").glob("weights-*")).name
    for more in ((), ("--dry-run",)):
        outcome = command(*train_arguments(text, run, steps=2), *more)
        assert outcome.status == 1
        assert "no checkpoints" in outcome.err
    assert next((run / "model").glob("weights-*")).name == before


@pytest.mark.parametrize("moment", ["prepare.verify_corpora", "opening.OpenedRun.make_model", "train.ValidationBleu"])
def test_sigterm_before_the_first_step(
    moment: str, text: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(f"pellucid.jobs.{moment}", stop)
    outcome = command(*train_arguments(text, tmp_path / "run"))
    assert outcome.status == 75
    assert "same command" in outcome.err


def test_a_report_does_not_replace_the_test_set_or_the_other_report(
    text: Path, tmp_path: Path, command: Command
) -> None:
    source, reference, report = text / "test.en", text / "test.fr", tmp_path / "report"
    before = source.read_bytes(), reference.read_bytes()
    for places in (("--json", source), ("--markdown", reference), ("--json", report, "--markdown", report)):
        outcome = command("evaluate", "nowhere", "--src", source, "--ref", reference, *places)
        assert outcome.status == 1
        assert "is named twice" in outcome.err
    assert (source.read_bytes(), reference.read_bytes()) == before


def test_an_output_that_is_a_file_is_refused(text: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "file").write_text("mine")
    for more in ((), ("--dry-run",)):
        outcome = command(*train_arguments(text, tmp_path / "file"), *more)
        assert outcome.status == 1
        assert "is a file" in outcome.err
    inside = command(*train_arguments(text, tmp_path / "file" / "run"))
    assert inside.status == 1
    assert "file/run: this run folder cannot be made: Not a directory; choose another --output" in inside.err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_dry_run_tells_sizes_and_leaves_nothing(text: Path, tmp_path: Path, command: Command) -> None:
    outcome = command(*train_arguments(text, tmp_path / "run"), "--dry-run")
    assert outcome.status == 0, outcome.err
    for word in ("parameters", "GiB", "tokens/s", "steps", "211"):
        assert word in outcome.err
    assert not (tmp_path / "run").exists()


def test_training_from_a_model_keeps_its_tokenizer_and_shape(
    run: Path, text: Path, tmp_path: Path, command: Command
) -> None:
    tuned = tmp_path / "tuned"
    outcome = command(
        "train", "--init-from", run, "--train-src", text / "test.en", "--train-tgt", text / "test.fr",
        "--src-lang", "en", "--tgt-lang", "fr", "--output", tuned,
        "--set", "training.train_steps=1", "--set", "training.threads=1", "--set", "training.learning_rate=1e-9",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    for name in ("sentencepiece.model", "vocabulary.json"):
        assert (tuned / "model/tokenizer" / name).read_bytes() == (run / "model/tokenizer" / name).read_bytes()
    old, new = weights(run / "model"), weights(tuned / "model")
    assert old.keys() == new.keys()
    assert all(np.allclose(old[name], new[name], atol=1e-6) for name in old)


def test_an_average_is_the_mean_of_checkpoints(run: Path, tmp_path: Path, command: Command) -> None:
    outcome = command("average", run, "--output", tmp_path / "mean", "--last", "2")
    assert outcome.status == 0, outcome.err
    mean = weights(tmp_path / "mean")
    parts = [load_file(run / f"checkpoints/step-0000000{step}/weights.safetensors") for step in (3, 6)]
    for name, value in mean.items():
        assert np.allclose(value, (parts[0][name].astype(float) + parts[1][name]) / 2, atol=1e-7)
    for taken in (run, run / "model", tmp_path / "mean"):
        refused = command("average", run, "--output", taken)
        assert refused.status == 1
        assert "exists already" in refused.err
    too_many = command("average", run, "--output", tmp_path / "none", "--last", "9")
    assert too_many.status == 1
    assert "keep_checkpoint" in too_many.err


def test_two_trainings_in_one_folder_are_refused(run: Path, text: Path, command: Command) -> None:
    with (run / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = command(*train_arguments(text, run))
    assert outcome.status == 1
    assert "another process" in outcome.err


def test_separate_vocabularies(text: Path, tmp_path: Path, command: Command) -> None:
    outcome = command(
        *train_arguments(text, tmp_path / "run", "tokenizer.joint=false", "model.share_embeddings=false", steps=1)
    )
    assert outcome.status == 0, outcome.err
    translated = command("translate", tmp_path / "run", text / "test.en", "--beam-size", "2", "--threads", "1")
    assert translated.status == 0, translated.err
    assert translated.out.count("\n") == 13


def test_without_validation_files_pairs_are_held_out(text: Path, tmp_path: Path, command: Command) -> None:
    outcome = command(
        "train", "--train-src", text / "train.en", "--train-tgt", text / "train.fr", "--preset", "tiny",
        "--output", tmp_path / "run", *settings("training.train_steps=1"),
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert "2 training pairs held out" in outcome.err
    assert "train: 209 pairs" in outcome.err


def test_the_library_does_what_the_command_does(run: Path, text: Path, command: Command) -> None:
    sources = (text / "test.en").read_text(encoding="utf-8").splitlines()
    lines = command("translate", run, text / "test.en", "--beam-size", "3", "--threads", "1").out.splitlines()
    translator = pellucid.load(run, threads=1)
    one = translator.translate(sources[0], beam_size=3)
    assert one.text == lines[0]
    assert [t.text for t in translator.translate(sources, beam_size=3)] == lines


def test_an_average_says_what_a_wrong_folder_is(run: Path, tmp_path: Path, command: Command) -> None:
    for folder, what in ((tmp_path / "nowhere", "no such folder"), (run / "model", "a model, not a run")):
        refused = command("average", folder, "--output", tmp_path / "mean")
        assert f"{folder}: {what}; name a folder that `pellucid train` writes" in refused.err
        assert refused.status == 1
    assert not (tmp_path / "mean").exists()


def test_a_report_that_does_not_fit_leaves_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "report.json"
    write_report(report, "older")

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoppedError, match=r"this save needs 5 bytes .* the disk is full"):
        write_report(report, "newer")
    assert report.read_text(encoding="utf-8") == "older"
    assert list(tmp_path.iterdir()) == [report]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_device_is_named() -> None:
    with pytest.raises(OSError, match="/dev/full"):
        write_report(Path("/dev/full"), "x")


def test_version_and_help(command: Command) -> None:
    assert command("--version").out.strip() == pellucid.__version__
    help_text = command("--help").out
    for verb in ("demo", "train", "translate", "score", "evaluate", "average"):
        assert verb in help_text


@pytest.mark.parametrize("verb", ["translate", "evaluate"])
def test_help_shows_the_names_of_sections(verb: str, command: Command) -> None:
    # Square brackets are markup to what draws the help: unescaped, the name vanishes.
    assert "etting of [translation]" in command(verb, "--help").out
