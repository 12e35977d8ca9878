"""The benchmark for GPUs runs from beginning to end on a processor, and says what it is meant to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.forked import Started

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "translate_gpu.py"


@pytest.mark.slow
def test_the_benchmark_for_gpus_runs_here_with_tiny_shapes(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--rounds", "1", "--without", "huggingface"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--json", str(result)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    record = json.loads(result.read_text())
    exact, rounded = record["equivalence"]
    assert {exact[f"beam {beam}"]["equal_ids"] for beam in (1, 4, 5)} == {1.0}
    assert rounded["beam 5"]["largest_difference"] < 0.05
    for task in record["tasks"]:
        for name in ("pellucid device", "pellucid eager"):
            figures = task["sides"][name]
            assert figures["tokens_per_second"] == 6 * 5 / figures["seconds"], "every translation has its length"
        assert task["sides"].keys() == {"pellucid device", "pellucid eager", "ctranslate2"}
    assert "tokens/s" in done.stdout


def test_without_a_gpu_it_says_so() -> None:
    process = Started(SCRIPT, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, stderr=subprocess.PIPE, text=True)
    _, said = process.communicate()
    assert process.returncode != 0
    assert "device = 'cuda'" in said
