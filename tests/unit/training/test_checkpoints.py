"""A checkpoint is whole or not there; a damaged one is passed over, aloud; the newest whole one is never removed."""

from __future__ import annotations

import errno
import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pellucid.durable import Disk
from pellucid.errors import CheckpointError, StoppedError
from pellucid.training.checkpoints import (
    clean_leftovers,
    find_newest_valid,
    json_content,
    list_checkpoints,
    prune_checkpoints,
    remove_after,
    tensor_content,
    verify_checkpoint,
    write_checkpoint,
)

from .kit import equal_weights, run_training

FILES = ("weights.safetensors", "averages.safetensors", "optimiser.safetensors", "random.safetensors", "state.json")


def write(parent: Path, step: int, *, disk: Disk | None = None) -> Path:
    files = {
        "weights.safetensors": tensor_content({"a": torch.full((3, 5), float(step))}),
        "state.json": json_content({"step": step}),
    }
    return write_checkpoint(parent, step=step, files=files, disk=disk or Disk())[0]


def steps(parent: Path) -> list[int]:
    return [int(folder.name.removeprefix("step-")) for folder in list_checkpoints(parent)]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: list[Callable[[Path], None]] = [truncate, flip, empty, Path.unlink]


def test_tensors_are_written_in_the_safetensors_format(tmp_path: Path) -> None:
    tensors = {
        "float": torch.randn(3, 5),
        "double": torch.randn(7, dtype=torch.float64),
        "scalar": torch.tensor(2.5),
        "bytes": torch.arange(11, dtype=torch.uint8),
        "long": torch.tensor([-(2**40), 3]),
        "none": torch.zeros(0),
        "turned": torch.randn(2, 3).T,
    }
    content = tensor_content(tensors)
    (tmp_path / "t").write_bytes(b"".join(bytes(chunk) for chunk in content.chunks()))
    assert (tmp_path / "t").stat().st_size == content.size_bytes
    assert equal_weights(load_file(tmp_path / "t"), tensors)


def test_a_checkpoint_is_verified_as_written(tmp_path: Path) -> None:
    folder = write(tmp_path, 400)
    assert folder.name == "step-00000400"
    verify_checkpoint(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {"weights.safetensors", "state.json"}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over_aloud(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    older, newer = write(tmp_path, 3), write(tmp_path, 5)
    damage(newer / name)
    messages: list[str] = []
    assert find_newest_valid(tmp_path, message=messages.append) == older
    assert len(messages) == 1
    assert str(newer) in messages[0]


def test_all_damaged_is_an_error_that_lists_them(tmp_path: Path) -> None:
    for step in (3, 5):
        truncate(write(tmp_path, step) / "state.json")
    with pytest.raises(CheckpointError, match=r"(?s)every checkpoint is damaged.*00000005.*00000003"):
        find_newest_valid(tmp_path, message=lambda text: None)


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert find_newest_valid(tmp_path / "nowhere", message=pytest.fail) is None


@pytest.mark.parametrize(
    "manifest",
    [
        b"[]",
        b"nonsense",
        b'{"format_version": 1, "step": 5, "files": []}',
        b'{"format_version": 2, "step": 5, "files": {}}',
        b'{"format_version": 1, "step": 5, "files": {}}',
        b'{"format_version": 1, "step": 7, "files": {"state.json": {"bytes": 0, "sha256": ""}}}',
        b'{"format_version": 1, "step": 5, "files": {"state.json": {"bytes": 0, "sha256": ""}, "../x.json": 1}}',
        b'{"format_version": 1, "step": 5, "files": {"../state.json": {"bytes": 0, "sha256": ""}}}',
        b"[" * 100_000,
    ],
)
def test_a_strange_manifest_is_a_clean_error(tmp_path: Path, manifest: bytes) -> None:
    folder = write(tmp_path, 5)
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(CheckpointError):
        verify_checkpoint(folder)


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        write(tmp_path, step)
    prune_checkpoints(tmp_path, keep=2, best_step=2)
    assert steps(tmp_path) == [2, 4, 5]
    prune_checkpoints(tmp_path, keep=1, best_step=None)
    assert steps(tmp_path) == [5]
    prune_checkpoints(tmp_path, keep=0, best_step=None)
    assert steps(tmp_path) == [5]


def test_later_checkpoints_go_when_a_run_goes_back(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(tmp_path, step)
    remove_after(tmp_path, step=1)
    assert steps(tmp_path) == [1]


def test_writing_a_step_again_replaces_it(tmp_path: Path) -> None:
    truncate(write(tmp_path, 7) / "state.json")
    verify_checkpoint(write(tmp_path, 7))
    assert not list(tmp_path.glob(".*"))


def test_leftovers_of_a_killed_save_go_and_what_was_moved_aside_comes_back(tmp_path: Path) -> None:
    write(tmp_path, 7)
    shutil.copytree(tmp_path / "step-00000007", tmp_path / ".step-00000009.new")
    (tmp_path / "step-00000007").rename(tmp_path / ".step-00000007.replaced")
    clean_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000007"]
    verify_checkpoint(tmp_path / "step-00000007")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_disk_that_fills_up_during_a_save_keeps_what_is_there(tmp_path: Path, code: int) -> None:
    write(tmp_path, 3)

    def fail(kind: str, path: Path) -> None:
        if kind == "fsync" and path.name == "state.json":
            raise OSError(code, "no space")

    with pytest.raises(StoppedError, match=r"this save needs.*same command") as caught:
        write(tmp_path, 5, disk=Disk(fail))
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_status == 75
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003"]


def test_too_little_space_is_noticed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 7, 3))
    touched: list[str] = []
    with pytest.raises(StoppedError, match="3 are free"):
        write(tmp_path, 5, disk=Disk(lambda kind, path: touched.append(kind)))
    assert not touched


def test_any_other_failure_of_the_disk_is_not_called_a_full_one(tmp_path: Path) -> None:
    def fail(kind: str, path: Path) -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        write(tmp_path, 5, disk=Disk(fail))


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_run_with_a_damaged_newest_checkpoint_goes_on_from_the_one_before(tmp_path: Path, name: str) -> None:
    _, model, _ = run_training(tmp_path, config_train_steps=7, config_save_steps=2)
    newest = list_checkpoints(tmp_path / "checkpoints")[-1]
    flip(newest / name)
    _, again, listener = run_training(tmp_path, config_train_steps=7, config_save_steps=2)
    assert listener.starts[0].first_step == 6
    assert any(str(newest) in text and "trying the checkpoint before it" in text for text in listener.messages)
    assert equal_weights(model.state_dict(), again.state_dict())
    verify_checkpoint(newest)
