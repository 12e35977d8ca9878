"""The command under torchrun: two processes are one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.sample.corpus import build_corpus


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    corpus = build_corpus(seed=1, train_size=307, valid_size=23, test_size=13)
    for side, suffix in (("source", "en"), ("target", "fr")):
        (tmp_path / f"train.{suffix}").write_text("".join(getattr(p, side) + "\n" for p in corpus.train))
    settings = {
        "model.d_model": 12, "model.num_heads": 3, "model.d_feedforward": 17, "training.batch_size": 199,
        "training.train_steps": 6, "training.warmup_steps": 2, "training.valid_steps": 3, "training.threads": 1,
    }  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pellucid"]
    command += ["train", "--train-src", "train.en", "--train-tgt", "train.fr", "--preset", "tiny", "--output", "run"]
    command += [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "step"] == [1, 2, 3, 4, 5, 6]
    state = json.loads((tmp_path / "run" / "checkpoints" / "step-00000006" / "state.json").read_text())
    assert state["runtime"]["processes"] == 2
    assert (tmp_path / "run" / "model" / "model.toml").is_file()
    assert result.stderr.count("the model is in") == 1
