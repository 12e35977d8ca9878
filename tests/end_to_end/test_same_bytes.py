"""The same seed, text and settings give the same bytes: tokenizer, stores, order of the batches, weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from .small_runs import settings, write_corpus

OF_THIS_RUN = {"prepared.json", "model.toml", "card.md"}
"""Say when and where files were written, and how many seconds training took."""


def trained(folder: Path, *, hash_seed: int, zone: str) -> tuple[dict[str, str], list[object]]:
    """Train in a folder of its own; return the digest of each file of the data and the model, and the losses."""
    folder.mkdir()
    write_corpus(folder, train=211, valid=23, test=13)
    texts = ("--train-src", "train.en", "--train-tgt", "train.fr", "--preset", "tiny", "--output", "run")
    own = settings("training.train_steps=3", "data.capitals_share=0.1", "training.seed=5")
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "TZ": zone, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pellucid", "train", *texts, *own]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    run = folder / "run"
    files = [path for place in ("data", "model") for path in (run / place).rglob("*") if path.is_file()]
    digests = {str(path.relative_to(run)): sha256(path.read_bytes()).hexdigest() for path in files}
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [(row["loss"], row["nll"], row["gradient_norm"]) for row in rows if row["kind"] == "step"]
    return {name: digest for name, digest in digests.items() if Path(name).name not in OF_THIS_RUN}, steps


@pytest.mark.slow
def test_two_runs_of_different_processes_are_equal(tmp_path: Path) -> None:
    one, steps = trained(tmp_path / "one", hash_seed=1, zone="UTC")
    other, other_steps = trained(tmp_path / "a second one", hash_seed=2, zone="Pacific/Auckland")
    assert {"data/tokenizer/vocabulary.json", "data/train/source.ids", "data/train/index.json"} <= one.keys()
    assert any(name.startswith("model/weights-") for name in one)
    assert one == other
    assert len(steps) == 3
    assert steps == other_steps
