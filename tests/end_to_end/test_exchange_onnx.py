"""The verbs on ONNX: a model goes out, and its folder is translated with, scored and evaluated like the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pellucid.bundle import read_description
from pellucid.durable import sha256_of
from pellucid.interop.verification import comparison as verification
from pellucid.interop.verification import samples

from .conftest import Command


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_NUMBER", 7)
    monkeypatch.setattr(verification, "_SEARCHED", 3)


def test_a_model_runs_as_onnx(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    done = command("export", tiny_model, "--format", "onnx", "--output", "onnx", "--threads", "1")
    assert done.status == 0, done.err
    assert "the graphs by the definition of onnx" in done.err
    assert "of their size in float32" in done.err
    assert done.out == ""
    (tmp_path / "text.de").write_text("Ein Hund.\n\nDie Katze schläft.\n", encoding="utf-8")
    settings = ("--threads", "1", "--set", "max_length_constant=7", "--set", "max_length_factor=0.5")
    outputs = [command("translate", model, "text.de", *settings) for model in (tiny_model, "onnx")]
    assert [output.status for output in outputs] == [0, 0], outputs[1].err
    assert outputs[0].out == outputs[1].out
    assert outputs[0].out.count("\n") == 3
    (tmp_path / "src").write_text("Ein Hund.\nEine Katze.\n", encoding="utf-8")
    (tmp_path / "ref").write_text("A dog.\nA cat.\n", encoding="utf-8")
    pair = ("--src", "src", "--ref", "ref", *settings)
    scores = [command("evaluate", model, *pair) for model in (tiny_model, "onnx")]
    assert [score.status for score in scores] == [0, 0], scores[1].err
    assert "chrF" in scores[1].out
    both = command("evaluate", "onnx", "--against", tiny_model, *pair, "--json", "report.json")
    assert both.status == 0, both.err
    record = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    weights = read_description(tiny_model)
    for key, folder, kind, sha256 in (
        ("system", "onnx", "ONNX", sha256_of(tmp_path / "onnx" / "weights.bin")),
        ("baseline", str(tiny_model), "pellucid", weights.files[weights.weights]),
    ):
        assert [record[key][name] for name in ("folder", "kind", "weights_sha256")] == [folder, kind, sha256]
        assert f"{folder}, " in both.out
        assert f"weights {sha256[:8]}" in both.out
        assert record[key]["search"]["max_length_constant"] == 7
    again = command("export", tiny_model, "--format", "onnx", "--output", "onnx", "--verify-only", "--threads", "1")
    assert again.status == 0, again.err


def test_what_needs_the_weights_says_so(command: Command, tiny_model: Path, tmp_path: Path) -> None:
    done = command("export", tiny_model, "--format", "onnx", "--output", "onnx", "--threads", "1")
    assert done.status == 0, done.err
    refused = command("export", "onnx", "--format", "onnx", "--output", "other", "--threads", "1")
    assert refused.status == 1
    assert "holds no model.toml" in refused.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["onnx"]
