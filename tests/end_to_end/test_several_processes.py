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

from .small_runs import TINY, kept_port, numbered_lines, options, settings, write_corpus


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    write_corpus(tmp_path, train=307, valid=23, test=13)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "pellucid"]
    command += ["train", "--train-src", "train.en", "--train-tgt", "train.fr", "--preset", "tiny", "--output", "run"]
    command += settings("training.train_steps=6")
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
    (tmp_path / "s").write_text(numbered_lines(97))
    command = [sys.executable, "-m", "pellucid", "train", "--train-src", "s", "--train-tgt", "s", "--preset", "tiny"]
    own = ("training.train_steps=1000000", "training.batch_size=199", "training.threads=1", "training.save_steps=5")
    own += ("tokenizer.kind=bytes", "data.cleaning.drop_copies=false")
    command += ["--output", "run", *options(*TINY, *own)]
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
    said = survivor.communicate(timeout=600)[1]
    running[killed].communicate()
    assert survivor.returncode == 75, said
    assert f"process {1 - killed} of 2" in said
    # The killed process kept the store where the others look for signs of life, if it is the first one.
    assert f"process {killed} of this run has ended" in said
    assert "same command" in said
    assert "Traceback" not in said
