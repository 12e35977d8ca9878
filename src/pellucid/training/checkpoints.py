"""Write and verify checkpoints: one folder each, committed by one rename, valid only if its checksums match.

    checkpoints/step-00000400/
        weights.safetensors  averages.safetensors  optimiser.safetensors  random.safetensors  state.json
        manifest.json        size and SHA-256 of every other file, written last

A save writes and syncs everything under a hidden name, renames the folder, and only then removes old
checkpoints. So the earlier checkpoints stay valid if the process is killed at any moment. There is no pickle:
tensors are safetensors, the rest is JSON. This module handles files; ``state.py``, the next to read, defines
their content.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pellucid.durable import DISK, Disk, refuse_full_disk, sha256_of
from pellucid.errors import CheckpointError, counted

__all__ = [
    "FileContent",
    "clean_leftovers",
    "find_newest_valid",
    "json_content",
    "list_checkpoints",
    "prune_checkpoints",
    "read_tensors",
    "step_of",
    "tensor_content",
    "verify_checkpoint",
    "write_checkpoint",
]

FORMAT_VERSION: Final = 1
_MANIFEST: Final = "manifest.json"
_NAME: Final = re.compile(r"step-(\d{8,})")
_FILE_NAME: Final = re.compile(r"[a-z]+\.(safetensors|json)")
_LARGEST_MANIFEST_BYTES: Final = 1 << 20
_DTYPE_NAMES: Final = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True)
class FileContent:
    """The content of a file: its size, and a function that produces its bytes when the file is written."""

    size_bytes: int
    chunks: Callable[[], Iterable[bytes]]
    """Bytes or contiguous buffers."""


def json_content(value: Mapping[str, object]) -> FileContent:
    """Return the content of a JSON file."""
    content = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True).encode()
    return FileContent(len(content), lambda: (content,))


def tensor_content(tensors: Mapping[str, Tensor]) -> FileContent:
    """Return the content of a safetensors file; it is written tensor by tensor, so that memory needs no second copy.

    The format is 8 bytes of header length, a JSON header, the numbers (huggingface/safetensors, README).
    """
    header: dict[str, object] = {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    def chunks() -> Iterator[bytes]:
        yield len(text).to_bytes(8, "little") + text
        for tensor in tensors.values():
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            if flat.numel():
                # A view of the tensor's memory, without a copy.
                yield cast(bytes, memoryview(flat.view(torch.uint8).numpy()))  # type: ignore[arg-type]

    return FileContent(8 + len(text) + offset, chunks)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file of a checkpoint.

    Raises:
        CheckpointError: the file does not exist, or is not valid.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read as a safetensors file: {str(error)[:200]}") from None


def write_checkpoint(
    parent: Path, *, step: int, files: Mapping[str, FileContent], disk: Disk = DISK
) -> tuple[Path, int]:
    """Write a checkpoint and return its folder and its size in bytes.

    Raises:
        StoppedError: the disk is full; every earlier checkpoint is intact.
    """
    parent.mkdir(parents=True, exist_ok=True)
    final = parent / f"step-{step:08d}"
    beside = parent / f".step-{step:08d}.new"
    needed = sum(content.size_bytes for content in files.values()) + (1 << 16)
    disk.remove(beside)
    with refuse_full_disk(parent, needed_bytes=needed):
        try:
            beside.mkdir()
            entries = {name: _write_file(beside / name, content, disk) for name, content in files.items()}
            manifest = {"format_version": FORMAT_VERSION, "step": step, "files": entries}
            disk.write(beside / _MANIFEST, json.dumps(manifest, indent=1).encode())
            disk.sync(beside)
            _commit(beside, final, disk)
        except OSError:
            with contextlib.suppress(OSError):
                disk.remove(beside)
            raise
    return final, needed


def _commit(beside: Path, final: Path, disk: Disk) -> None:
    """Rename into place, and replace a damaged or superseded folder of that name."""
    replaced = final.with_name(f".{final.name}.replaced")
    if final.exists():
        disk.remove(replaced)
        disk.replace(final, replaced)
    disk.replace(beside, final)
    disk.remove(replaced)


def _write_file(path: Path, content: FileContent, disk: Disk) -> dict[str, object]:
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for chunk in content.chunks():
            digest.update(chunk)
            yield chunk

    disk.write(path, hashed())
    return {"sha256": digest.hexdigest(), "bytes": content.size_bytes}


def step_of(folder: Path) -> int:
    """Return the step in a checkpoint's name."""
    match = _NAME.fullmatch(folder.name)
    if match is None:
        raise CheckpointError(f"{folder}: is not a checkpoint name; expected one like step-00000400")
    return int(match[1])


def list_checkpoints(parent: Path) -> list[Path]:
    """Return the checkpoint folders, oldest step first, without checking their content."""
    if not parent.is_dir():
        return []
    return sorted((path for path in parent.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()), key=step_of)


def verify_checkpoint(folder: Path) -> None:
    """Check a checkpoint's files against its manifest.

    Raises:
        CheckpointError: a file is missing, has another size or checksum, or the manifest is unreadable.
    """
    path = folder / _MANIFEST
    try:
        if path.stat().st_size > _LARGEST_MANIFEST_BYTES:
            raise CheckpointError(
                f"{path}: {counted(path.stat().st_size, 'byte')} is too large for a "
                f"manifest; limit {_LARGEST_MANIFEST_BYTES:,}"
            )
        manifest = json.loads(path.read_bytes())
        version, entries = manifest["format_version"], manifest["files"]
        expected = {name: (int(entry["bytes"]), str(entry["sha256"])) for name, entry in entries.items()}
        in_place = manifest["step"] == step_of(folder)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise CheckpointError(f"{path}: is not a manifest; the checkpoint is damaged") from None
    if version != FORMAT_VERSION or not in_place:
        raise CheckpointError(
            f"{path}: format_version = {version!r}, step = {manifest['step']!r}; this version of pellucid requires "
            f"format_version {FORMAT_VERSION} and a folder named after its step"
        )
    if "state.json" not in expected or not all(_FILE_NAME.fullmatch(name) for name in expected):
        raise CheckpointError(f"{path}: does not list the files of a checkpoint; the checkpoint is damaged")
    for name, (size, checksum) in expected.items():
        _verify_file(folder / name, size=size, checksum=checksum)


def _verify_file(path: Path, *, size: int, checksum: str) -> None:
    try:
        actual = path.stat().st_size
        if actual != size:
            raise CheckpointError(
                f"{path}: has {counted(actual, 'byte')}, expected {size:,}; the checkpoint is damaged"
            )
        if sha256_of(path) != checksum:
            raise CheckpointError(f"{path}: its SHA-256 differs from the manifest; the checkpoint is damaged")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None


def find_newest_valid(parent: Path, *, message: Callable[[str], None], before_step: int | None = None) -> Path | None:
    """Return the newest checkpoint whose checksums match, and report every damaged one that is newer.

    Only checkpoints before ``before_step`` count, if it is set. The result is None if there are none.

    Raises:
        CheckpointError: all checkpoints are damaged, and ``before_step`` is not set.
    """
    problems = []
    for folder in reversed(list_checkpoints(parent)):
        if before_step is not None and step_of(folder) >= before_step:
            continue
        try:
            verify_checkpoint(folder)
        except CheckpointError as problem:
            problems.append(str(problem))
            message(f"{problem}; trying the checkpoint before it")
        else:
            return folder
    if problems and before_step is None:
        raise CheckpointError(
            f"{parent}: every checkpoint is damaged, so the run cannot be continued:\n"
            + "\n".join(problems)
            + "\nUse another --output, or remove this folder to start the run from the beginning"
        )
    return None


def prune_checkpoints(parent: Path, *, keep: int, best_step: int | None, disk: Disk = DISK) -> None:
    """Remove all checkpoints but the newest ``keep`` and that of the best step.

    It is called after a commit, so the newest one is valid. A folder is renamed before its content is removed.
    """
    folders = list_checkpoints(parent)
    for folder in folders[: max(0, len(folders) - max(1, keep))]:
        if step_of(folder) != best_step:
            _discard(folder, disk)


def remove_after(parent: Path, *, step: int, disk: Disk = DISK) -> None:
    """Remove the checkpoints after a step, newest first, when a run has returned to that step."""
    for folder in reversed(list_checkpoints(parent)):
        if step_of(folder) > step:
            _discard(folder, disk)


def clean_leftovers(parent: Path, *, disk: Disk = DISK) -> None:
    """Remove the hidden folders of an interrupted save; restore a replaced checkpoint that has no successor."""
    if not parent.is_dir():
        return
    for path in sorted(parent.glob(".step-*")):
        final = parent / path.name.removeprefix(".").split(".")[0]
        if path.name.endswith(".replaced") and not final.exists():
            disk.replace(path, final)
        else:
            disk.remove(path)


def _discard(folder: Path, disk: Disk) -> None:
    hidden = folder.with_name(f".{folder.name}.removed")
    disk.remove(hidden)
    disk.replace(folder, hidden)
    disk.remove(hidden)
