"""The verbs ``import`` and ``export``: a stranger's folder is translated, scored, trained on, and goes out again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.interop.kit import TAGS, make_folder, sentences

from pellucid.interop import formats

from .conftest import Command


@pytest.fixture(autouse=True)
def _without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "has_transformers", lambda: False)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    for name, seed, count in (("train", 1, 97), ("valid", 5, 11)):
        for side, shift in (("en", 0), ("fr", 1)):
            lines = sentences(seed + shift, count)
            (tmp_path / f"{name}.{side}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def test_an_imported_model_works_everywhere(command: Command, text: Path) -> None:
    make_folder(text / "opus", tags=TAGS)
    done = command("import", "opus", "--output", "model", "--threads", "1")
    assert done.status == 0, done.err
    assert "largest difference of log-probabilities" in done.err
    assert "verified" in done.err
    assert done.out == ""
    translated = command("translate", "model", "valid.en", "--threads", "1", "--set", "max_length_constant=3")
    assert (translated.status, translated.out.count("\n")) == (0, 11)
    evaluated = command(
        "evaluate", "model", "--src", "valid.en", "--ref", "valid.fr", "--threads", "1", "--set", "beam_size=1"
    )
    assert "BLEU" in evaluated.out
    trained = command(
        *("train", "--train-src", "train.en", "--train-tgt", "train.fr", "--valid-src", "valid.en"),
        *("--valid-tgt", "valid.fr", "--init-from", "model", "--output", "run"),
        *("--set", "training.train_steps=3", "--set", "training.valid_steps=3", "--set", "training.batch_size=97"),
        *("--set", "training.threads=1", "--set", "training.valid_bleu_sentences=2"),
        *("--set", "training.learning_rate=0.01", "--set", "training.warmup_steps=1"),
    )
    assert trained.status == 0, trained.err
    exported = command("export", "run", "--format", "marian", "--output", "out", "--threads", "1")
    assert exported.status == 0, exported.err
    assert "its re-import" in exported.err
    before, after = ((text / name / "model.safetensors").read_bytes() for name in ("opus", "out"))
    assert before != after
    assert (text / "opus" / "source.spm").read_bytes() == (text / "out" / "source.spm").read_bytes()
    again = command("export", "run", "--output", "out", "--verify-only", "--threads", "1")
    assert again.status == 0, again.err


def test_a_refusal_names_every_reason_and_leaves_nothing(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    done = command("export", tiny_model, "--output", "out", "--threads", "1")
    assert done.status == 1
    for setting in ("model.position_layout=half_split_paper_frequency", "model.decoder_start=pad", "tokenizer.kind"):
        assert setting in done.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_folder_of_a_model(command: Command, tmp_path: Path) -> None:
    done = command("import", "nowhere", "--output", "model")
    assert done.status == 1
    assert "nowhere: does not exist" in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []
