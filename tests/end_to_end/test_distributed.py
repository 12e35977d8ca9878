"""Two processes equal one with twice the batches; they skip bad steps together and continue bit for bit."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.forked import Started

from .small_runs import kept_port

SCRIPT = Path(__file__).with_name("distributed_run.py")
Facts = dict[str, object]
Weights = dict[str, torch.Tensor]


@contextmanager
def started(folder: Path, output: Path, *, processes: int, **settings: object) -> Iterator[list[Started]]:
    """Start processes that train together; they must have met at the end of the block."""
    with kept_port() as port:
        running: list[Started] = []
        for rank in range(processes):
            environment = os.environ | {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(processes),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "OMP_NUM_THREADS": "1",
            }
            arguments = (SCRIPT, folder, output, json.dumps(settings))
            running.append(Started(*arguments, env=environment, stderr=subprocess.PIPE, text=True))
        yield running


def train(folder: Path, output: Path, *, processes: int, **settings: object) -> tuple[list[Weights], list[Facts]]:
    with started(folder, output, processes=processes, **settings) as running:
        errors = [process.communicate(timeout=600)[1] for process in running]
    assert [process.returncode for process in running] == [0] * processes, errors
    weights = [load_file(output.with_suffix(f".{rank}.safetensors")) for rank in range(processes)]
    facts = [json.loads(output.with_suffix(f".{rank}.json").read_text()) for rank in range(processes)]
    return weights, facts


def equal(one: Weights, other: Weights) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


# Adam divides by the size of a gradient: with a tiny epsilon, rounding decides where a gradient is zero by nature.
SETTINGS: dict[str, object] = {"train_steps": 9, "adam_epsilon": 1e-3, "valid_steps": 4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "tolerance"),
    # Muon makes matrices orthogonal in bfloat16, where one rounding that differs is a hundredth of a step.
    [("adam", 1e-9), ("muon", 1e-3)],
)
def test_two_processes_equal_one_with_twice_the_batches(optimizer: str, tolerance: float, tmp_path: Path) -> None:
    changes = SETTINGS | {"optimizer": optimizer, "dropout": 0.1}
    (one,), (alone,) = train(tmp_path / "one", tmp_path / "a", processes=1, accum_count=2, **changes)
    (first, second), facts = train(tmp_path / "two", tmp_path / "b", processes=2, accum_count=1, **changes)
    assert equal(first, second)
    for name, tensor in one.items():
        assert torch.allclose(tensor, first[name], rtol=tolerance, atol=tolerance / 100), name
    assert facts[0]["tokens"] == facts[1]["tokens"] == alone["tokens"]
    assert facts[0]["nll"] == facts[1]["nll"] == pytest.approx(alone["nll"], rel=tolerance)
    # Only the first process hands models over and reports.
    assert facts[0]["handed"] == alone["handed"]
    assert facts[1]["handed"] == 0
    assert facts[1]["first_step"] is None


@pytest.mark.slow
def test_two_processes_sample_the_same_subwords_as_one(tmp_path: Path) -> None:
    alphas = {"source_subword_alpha": 0.2, "target_subword_alpha": 0.3, "batch_size": 80}
    changes = SETTINGS | alphas
    (one,), (alone,) = train(tmp_path / "one", tmp_path / "a", processes=1, accum_count=2, **changes)
    (first, second), facts = train(tmp_path / "two", tmp_path / "b", processes=2, accum_count=1, **changes)
    assert equal(first, second)
    for name, tensor in one.items():
        assert torch.allclose(tensor, first[name], rtol=1e-9, atol=1e-11), name
    assert facts[0]["tokens"] == facts[1]["tokens"] == alone["tokens"]


@pytest.mark.slow
def test_a_bad_step_of_one_process_is_skipped_by_all(tmp_path: Path) -> None:
    (first, second), facts = train(tmp_path / "run", tmp_path / "o", processes=2, poisoned_pass=3, **SETTINGS)
    assert facts[0]["skipped"] == facts[1]["skipped"] == 1
    assert equal(first, second)
    assert all(torch.isfinite(tensor).all() for tensor in first.values())


@pytest.mark.slow
def test_a_budget_of_minutes_ends_all_at_the_same_step(tmp_path: Path) -> None:
    """However long each process took until training began, they agree on the time that is left."""
    budget = {"minutes": 0.1, "train_steps": None, "valid_steps": None, "prepared_seconds": [2.5, 0.0]}
    (first, second), facts = train(tmp_path / "run", tmp_path / "o", processes=2, **(SETTINGS | budget))
    assert facts[0]["steps"] == facts[1]["steps"] > 0
    assert equal(first, second)


@pytest.mark.slow
def test_two_processes_continue_bit_for_bit(tmp_path: Path) -> None:
    settings = SETTINGS | {"dropout": 0.1, "decay_method": "inverse_sqrt"}
    (whole, _), _ = train(tmp_path / "whole", tmp_path / "w", processes=2, **settings)
    train(tmp_path / "part", tmp_path / "p", processes=2, **(settings | {"train_steps": 5}))
    (first, second), facts = train(tmp_path / "part", tmp_path / "p", processes=2, **settings)
    assert facts[0]["first_step"] == 5
    assert equal(first, second)
    assert equal(first, whole)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [(0,), (1,), (0, 1)])
def test_after_a_kill_two_processes_continue_bit_for_bit(killed: tuple[int, ...], tmp_path: Path) -> None:
    settings = SETTINGS | {"dropout": 0.1, "train_steps": 30, "save_steps": 1, "keep_checkpoint": 2}
    (whole, _), _ = train(tmp_path / "whole", tmp_path / "w", processes=2, **settings)
    chance, seen = random.Random(sum(killed)), 0
    for _ in range(3):
        with started(tmp_path / "part", tmp_path / "p", processes=2, **settings) as running:
            while newest_step(tmp_path / "part") <= seen:
                assert [process.poll() for process in running] == [None, None]
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.05))  # amid a step, or a save
            for number in killed:
                running[number].kill()
            for process in running:
                process.communicate(timeout=120)
        assert all(process.returncode != 0 for process in running), "the other one does not go on alone"
        seen = newest_step(tmp_path / "part")
    assert 0 < seen < 30
    (first, second), facts = train(tmp_path / "part", tmp_path / "p", processes=2, **settings)
    assert facts[0]["first_step"] >= seen
    assert equal(first, second)
    assert equal(first, whole)


def newest_step(run: Path) -> int:
    return max((int(path.name[5:]) for path in (run / "checkpoints").glob("step-????????")), default=0)


@pytest.mark.slow
def test_a_run_goes_on_with_other_numbers_of_processes(tmp_path: Path) -> None:
    """1 to 2 to 1 processes make the steps of one process, and 3 share its 4 batches unevenly."""
    settings = SETTINGS | {"dropout": 0.1, "accum_count": 4, "decay_method": "inverse_sqrt"}
    (alone,), (whole,) = train(tmp_path / "whole", tmp_path / "w", processes=1, **settings)
    for output, numbers in (("a", (1, 2, 1)), ("b", (1, 3, 3))):
        for steps, processes in zip((3, 6, 9), numbers, strict=True):
            weights, facts = train(
                tmp_path / output, tmp_path / "p", processes=processes, **(settings | {"train_steps": steps})
            )
        assert facts[0]["first_step"] == 6
        assert facts[0]["tokens"] == whole["tokens"]
        for name, tensor in alone.items():
            assert torch.allclose(tensor, weights[0][name], rtol=1e-9, atol=1e-11), name
