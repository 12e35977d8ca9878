"""The verb ``export`` for what serves a model: CTranslate2, Argos, ONNX; of a trained model, and of one of Marian's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.interop.kit import sentences
from tests.unit.interop.npz_kit import make_npz_folder

from pellucid.interop.verification import comparison as verification
from pellucid.interop.verification import samples

from .conftest import Command
from .small_runs import settings

NEEDS = {"ctranslate2": ("ctranslate2",), "argos": ("ctranslate2", "onnxruntime"), "onnx": ("onnx", "onnxruntime")}


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_NUMBER", 7)
    monkeypatch.setattr(samples, "_LONGEST", 11)
    monkeypatch.setattr(verification, "_SEARCHED", 3)
    monkeypatch.setattr(verification, "_LONGEST_SEARCHED", 7)


def require(name: str) -> None:
    for package in NEEDS[name]:
        pytest.importorskip(package, reason=f"the extra {name} is not installed")


@pytest.fixture
def run(command: Command, tmp_path: Path) -> str:
    files = []
    for name, seed, count in (("train", 1, 97), ("valid", 5, 11)):
        for side, tongue in (("src", "de"), ("tgt", "en")):
            lines = sentences(seed + (side == "tgt"), count)
            (tmp_path / f"{name}.{tongue}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            files.append(f"--{name}-{side}={name}.{tongue}")
    languages = ("--src-lang", "de", "--tgt-lang", "en")
    done = command("train", *files, *languages, "--output", "run", *settings("training.train_steps=3"))
    assert done.status == 0, done.err
    return "run"


def test_a_trained_model_goes_out_and_is_checked_again(command: Command, run: str, tmp_path: Path) -> None:
    for name, output, part in (
        ("ctranslate2", "ct2", "ct2/model.bin"),
        ("argos", "de-en.argosmodel", "de-en.argosmodel"),
        ("onnx", "onnx", "onnx/weights.bin"),
    ):
        require(name)
        there = ("export", run, "--format", name, "--output", output, "--threads", "1")
        done = command(*there)
        assert done.status == 0, (name, done.err)
        assert f"{output}: verified" in done.err
        written = (tmp_path / part).read_bytes()
        again = command(*there, "--verify-only")
        assert again.status == 0, (name, again.err)
        assert (tmp_path / part).read_bytes() == written
        (tmp_path / part).write_bytes(written[:-101])
        damaged = command(*there, "--verify-only")
        assert damaged.status == 1, name
        assert "Traceback" not in damaged.err


def test_rounding_is_asked_for_by_name(command: Command, run: str, tmp_path: Path) -> None:
    require("ctranslate2")
    there = ("export", run, "--format", "ctranslate2", "--output", "ct2", "--threads", "1")
    done = command(*there, "--quantization", "int8")
    assert done.status == 0, done.err
    assert "pellucid rounded to int8" in done.err
    again = command(*there, "--verify-only")
    assert again.status == 0, again.err


def test_a_model_of_marians_goes_on_to_both(command: Command, tmp_path: Path) -> None:
    make_npz_folder(tmp_path / "marian")
    done = command("import", "marian", "--output", "model", "--threads", "1")
    assert done.status == 0, done.err
    for name in ("ctranslate2", "onnx"):
        require(name)
        done = command("export", "model", "--format", name, "--output", name, "--threads", "1")
        assert done.status == 0, (name, done.err)
        assert "NOT the same" not in done.err
