"""The worth of a sign comes from the model's own folder if it is there for these weights; else the trace says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.unit.tracing.kit import make_translator

import pellucid
from pellucid.analysis.health import THRESHOLDS, health_of
from pellucid.analysis.measured import FILE_NAME, measured_for, read_measured
from pellucid.errors import BundleError
from pellucid.jobs.serve import walkthrough_folder
from pellucid.sample.embedded import EMBEDDED_FOLDER, has_embedded
from pellucid.tracing.making import trace
from pellucid.tracing.record import Trace

TABLE = {
    "model": "mine",
    "weights_sha256": "0" * 64,
    "sample": "three sentences",
    "sample_sha256": "1" * 64,
    "translations": 3,
    "signs": {"entropy": {"kind": "poor", "threshold": 1e-6, "precision": 0.5, "recall": None}},
    "references": [[0.5, 0.5]],
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / FILE_NAME
    path.write_text(json.dumps(TABLE | changes), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def walkthrough(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trace]:
    """A copy of the walkthrough model, and a trace of it."""
    folder = tmp_path_factory.mktemp("walkthrough") / "model"
    shutil.copytree(walkthrough_folder() / "model", folder)
    (folder / FILE_NAME).unlink(missing_ok=True)
    return folder, trace(pellucid.load(folder), "I am a student.", target="Je suis étudiant.")


def test_a_model_has_its_own_measurement_or_that_of_another_model(walkthrough: tuple[Path, Trace]) -> None:
    folder, found = walkthrough
    default = measured_for(found)
    assert not default.is_own
    assert default.measured.signs.keys() >= THRESHOLDS.keys() - {"new_words"}
    write(folder)
    assert measured_for(found) == default, "a measurement of other weights does not count"
    write(folder, weights_sha256=found.provenance.weights_sha256)
    own = measured_for(found)
    assert (own.is_own, own.measured.model) == (True, "mine")
    entropy, end = (next(sign for sign in health_of(found) if sign.name == name) for name in ("entropy", "end"))
    assert (entropy.threshold, entropy.is_raised, entropy.worth) == (1e-6, True, own.measured.signs["entropy"])
    assert (end.threshold, end.worth) == (THRESHOLDS["end"], None), "what was not measured has its rule of thumb"
    # The numbers of a trace do not depend on what stands in the folder.
    assert measured_for(trace(make_translator(), "ein Hund", target="a")).measured == default.measured


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "holds no measurement"),
        (json.dumps(TABLE | {"more": 1}), "more"),
        (json.dumps(TABLE | {"references": [[0.0]]}), "references.0 is no distribution"),
        (json.dumps(TABLE | {"references": []}), "references"),
        (json.dumps(TABLE | {"signs": {"end": {"kind": "bad", "threshold": 1}}}), "kind"),
        (json.dumps(TABLE | {"signs": {"end": {"kind": "poor", "threshold": 1, "recall": 2}}}), "recall"),
    ],
)
def test_a_damaged_measurement_is_refused_with_its_remedy(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / FILE_NAME
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match="measure again") as caught:
        read_measured(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_shipped_models_have_their_own_measurement() -> None:
    folders = [walkthrough_folder(), *([EMBEDDED_FOLDER] if has_embedded() else [])]
    for folder in folders:
        found = trace(pellucid.load(folder), "I am a student.", target="A", level="tokens")
        assert measured_for(found).is_own, f"{folder}: measure with benchmarks/health.py"
