"""Folders and files of an earlier version still open: a model, a run that goes on, a trace. See ``tests/stored``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import pellucid
from pellucid.bundle import FORMAT_VERSION, read_description
from pellucid.jobs.serve import open_catalogue
from pellucid.page.answers_model import model_answer
from pellucid.tracing.file import FORMAT_VERSION as TRACE_FORMAT_VERSION

STORED = Path(__file__).parents[1] / "stored"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of what is kept, as the current folder: the recipe names its text from there."""
    shutil.copytree(STORED, tmp_path / "stored")
    monkeypatch.chdir(tmp_path / "stored")
    return tmp_path / "stored"


def test_every_version_of_a_format_is_kept() -> None:
    assert read_description(STORED / "run" / "model").format_version == FORMAT_VERSION == 1
    assert TRACE_FORMAT_VERSION == 1, "store a folder and a trace of the new version too, and keep these"


@pytest.mark.parametrize("folder", ["run", "run/model"])
def test_an_old_model_translates_as_it_did(folder: str) -> None:
    translator = pellucid.load(STORED / folder, engine="torch", threads=1)
    for row in json.loads((STORED / "translations.json").read_text(encoding="utf-8"))["translations"]:
        found = translator.translate(row["source"])
        assert (found.text, list(found.alternatives[0].ids)) == (row["text"], row["ids"])
        assert found.score == pytest.approx(row["score"], abs=1e-5)


def test_an_old_run_goes_on(stored: Path) -> None:
    said: list[str] = []
    pellucid.train(pellucid.load_recipe("run/recipe.toml"), "run", say=said.append)
    rows = [json.loads(line) for line in (stored / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [row["step"] for row in rows if row["kind"] == "step"]
    assert steps == list(range(1, 161)), "the steps before the stop are kept, and the rest follow"
    assert any("60" in sentence for sentence in said), said
    losses = {row["step"]: row["loss"] for row in rows if row["kind"] == "step"}
    assert losses[160] < losses[60] < losses[1]


def test_an_old_run_is_shown(stored: Path) -> None:
    catalogue = open_catalogue([stored / "run"], threads=1)
    opened = catalogue.models[0]
    training = json.loads(model_answer(opened, "training", {}).body)
    assert training["steps"] == [0, 10, 20, 50, 60]
    probe = json.loads(model_answer(opened, "probes/60", {}).body)
    assert probe
    assert catalogue.get(f"{opened.id}@{training['snapshots'][-1]}").is_snapshot


def test_an_old_trace_holds_together() -> None:
    found = pellucid.Trace.load(STORED / "trace.npz")
    assert found.source == "five"
    assert found.check().passed
    whole = found.attach(pellucid.load(STORED / "run", engine="torch", threads=1)).check()
    assert whole.passed
    assert not whole.skipped
