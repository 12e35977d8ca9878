"""A checkpoint whose checksums hold and whose content is wrong, as a stranger makes one: a sentence, no traceback."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from pellucid.errors import CheckpointError, IncompatibleModelError
from pellucid.training.averaging import average_weights
from pellucid.training.checkpoints import list_checkpoints

from .kit import run_training


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    run_training(folder, config_train_steps=2)
    return folder


def change(checkpoint: Path, name: str, content: bytes) -> None:
    """Put a file in the place of another, and the manifest right."""
    (checkpoint / name).write_bytes(content)
    manifest = json.loads((checkpoint / "manifest.json").read_bytes())
    manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def copied(run: Path, tmp_path: Path) -> tuple[Path, Path]:
    shutil.copytree(run, tmp_path / "run")
    checkpoint = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    for other in list_checkpoints(tmp_path / "run" / "checkpoints")[:-1]:
        shutil.rmtree(other)
    return tmp_path / "run", checkpoint


@pytest.mark.parametrize(
    ("words", "edit"),
    [
        ("step", lambda t: t["state"].update(step="two")),
        ("step", lambda t: t["state"].update(step=[1])),
        ("best", lambda t: t["state"].update(best=5)),
        ("best", lambda t: t["state"].update(best={"loss": "low"})),
        ("position", lambda t: t["state"].update(position=[0, 1])),
        ("position.epoch", lambda t: t["state"]["position"].update(epoch={})),
        ("settings", lambda t: t.update(settings=7)),
        ("data", lambda t: t.pop("data")),
        ("another version", lambda t: t["state"].update(surprise=1)),
        ("is not the state of a run", lambda t: t.update(state=None)),
    ],
)
def test_a_state_of_other_kinds_is_refused(
    words: str, edit: Callable[[dict[str, Any]], object], run: Path, tmp_path: Path
) -> None:
    folder, checkpoint = copied(run, tmp_path)
    table = json.loads((checkpoint / "state.json").read_bytes())
    edit(table)
    change(checkpoint, "state.json", json.dumps(table).encode())
    with pytest.raises(CheckpointError, match=rf"state\.json: .*{words}"):
        run_training(folder, config_train_steps=4)


@pytest.mark.parametrize("content", [b"[" * 90_000, b'{"a":[' + b"1," * 3_000_000 + b"1]}", b"\xff", b"[]"])
def test_a_state_that_is_no_table_is_refused(content: bytes, run: Path, tmp_path: Path) -> None:
    folder, checkpoint = copied(run, tmp_path)
    change(checkpoint, "state.json", content)
    with pytest.raises(CheckpointError, match=r"state\.json: is not the state of a run"):
        run_training(folder, config_train_steps=4)


def without_moments(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("exp_avg.")]:
        del tensors[name]


def with_wide_moments(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in tensors if name.startswith("exp_avg_sq."))
    tensors[name] = torch.zeros(3, 5, 7)


def with_whole_numbers(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in tensors if name.startswith("exp_avg_sq."))
    tensors[name] = tensors[name].long()


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("optimiser.safetensors", without_moments),
        ("optimiser.safetensors", with_wide_moments),
        ("optimiser.safetensors", with_whole_numbers),
        ("random.safetensors", lambda t: t.clear()),
        ("random.safetensors", lambda t: t.update(torch=torch.zeros(3, dtype=torch.uint8))),
        ("random.safetensors", lambda t: t.update({"numpy.rest": torch.zeros(1, dtype=torch.float64)})),
        ("random.safetensors", lambda t: t.update({"numpy.keys": torch.zeros(2, 3)})),
        ("random.safetensors", lambda t: t.update(python=torch.tensor([3, -1]))),
        ("weights.safetensors", lambda t: t.clear()),
        ("averages.safetensors", lambda t: t.update(more=torch.zeros(2))),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    name: str, edit: Callable[[dict[str, Tensor]], object], run: Path, tmp_path: Path
) -> None:
    folder, checkpoint = copied(run, tmp_path)
    tensors = load_file(checkpoint / name)
    edit(tensors)
    change(checkpoint, name, save(tensors))
    with pytest.raises((CheckpointError, IncompatibleModelError), match=name):
        run_training(folder, config_train_steps=4)


@pytest.mark.parametrize("name", ["weights", "averages", "optimiser", "random"])
@pytest.mark.parametrize("content", [b"", b"\xff" * 40, (99).to_bytes(8, "little") + b"{"])
def test_files_that_hold_no_tensors_are_refused(name: str, content: bytes, run: Path, tmp_path: Path) -> None:
    folder, checkpoint = copied(run, tmp_path)
    change(checkpoint, f"{name}.safetensors", content)
    with pytest.raises(CheckpointError, match=rf"{name}\.safetensors: cannot be read as a safetensors file"):
        run_training(folder, config_train_steps=4)
    if name == "weights":
        with pytest.raises(CheckpointError, match="cannot be read as a safetensors file"):
            average_weights([checkpoint])
