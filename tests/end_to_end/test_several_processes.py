"""The command under torchrun: two processes are one run, and what each says when the other is gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pellucid.sample.corpus import build_corpus

from .small_runs import kept_port


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


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_the_survivor_of_a_killed_process_says_what_to_do(killed: int, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("".join(f"wort {i} und noch eins\n" for i in range(97)))
    command = [sys.executable, "-m", "pellucid", "train", "--train-src", "s", "--train-tgt", "s", "--preset", "tiny"]
    settings = {
        "model.d_model": 12, "model.num_heads": 3, "model.d_feedforward": 17, "training.batch_size": 199,
        "training.train_steps": 1000000, "training.threads": 1, "tokenizer.kind": "bytes",
        "data.cleaning.drop_copies": "false", "training.save_steps": 5,
    }  # fmt: skip
    command += ["--output", "run", *(part for name, value in settings.items() for part in ("--set", f"{name}={value}"))]
    with kept_port() as port:
        running = []
        for rank in range(2):
            environment = {
                "RANK": rank,
                "WORLD_SIZE": 2,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
                "OMP_NUM_THREADS": 1,
            }
            environment = os.environ | {name: str(value) for name, value in environment.items()}
            running.append(subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True))
        deadline = time.monotonic() + 300
        while not any((tmp_path / "run/checkpoints").glob("step-*[1-9]*")):
            assert time.monotonic() < deadline
            assert [process.poll() for process in running] == [None, None]
            time.sleep(0.1)
    running[killed].send_signal(signal.SIGKILL)
    survivor = running[1 - killed]
    said = survivor.communicate(timeout=120)[1]
    running[killed].communicate()
    assert survivor.returncode == 75, said
    assert f"process {1 - killed} of 2" in said
    assert "another process of this run has ended" in said
    assert "same command" in said
    assert "Traceback" not in said
