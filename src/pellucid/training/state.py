"""Define the state of a run, and convert it to the files of a checkpoint and back.

``TrainingState`` holds the numbers; weights, optimiser, averages and random states are tensors.
Two runs with equal state continue identically, bit for bit, with the same threads and versions.
Read ``resuming.py`` next.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from pellucid.errors import CheckpointError, IncompatibleModelError
from pellucid.training.batches import DataPosition
from pellucid.training.checkpoints import FileContent, json_content, list_checkpoints, read_tensors, tensor_content
from pellucid.training.gpu.shapes import ShapeGrid
from pellucid.training.optimisation import moments_of
from pellucid.untrusted import parse_json, read_at_most, shown
from pellucid.weights_file import summary

if TYPE_CHECKING:
    from pellucid.training.averaging import MovingAverage

__all__ = [
    "RunFacts",
    "TrainingState",
    "checkpoint_files",
    "load_averages",
    "newest_state",
    "random_states",
    "read_state",
    "restore",
    "set_random_states",
]

_LARGEST_BYTES: Final = 16 << 20
_ADDED: Final = {"batches_per_step", "batches_of_first_epoch", "shapes"}
"""Entries that runs of earlier versions do not have."""


@dataclass(frozen=True)
class TrainingState:
    """The state of a run after a step.

    ``step`` counts every step, ``updates`` those that changed the weights. ``best`` and ``validation``
    hold loss, nll and scores of the best and the latest validation. Every rollback halves ``rate_scale``;
    ``rollback_step`` is the step to which the last one returned. ``largest_batch`` is the size in padded
    tokens for which memory was too small, if any; ``batches_per_step`` counts those of
    all processes; 0 is not known. ``batches_of_first_epoch`` and ``shapes`` follow from the
    order of the first epoch, and are kept so that a run that goes on in a later one need not order it again; 0 and
    None are not known.
    """

    step: int = 0
    updates: int = 0
    seconds: float = 0.0
    position: DataPosition = field(default_factory=DataPosition)
    target_tokens: int = 0
    warmup_end_fraction: float | None = None
    validated_step: int = -1
    validated_seconds: float = 0.0
    validation: Mapping[str, float] = field(default_factory=dict)
    best_step: int | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    without_better: int = 0
    bad_in_a_row: int = 0
    skipped_steps: int = 0
    rollbacks: int = 0
    rollback_step: int | None = None
    rate_scale: float = 1.0
    largest_batch: int | None = None
    batches_per_step: int = 0
    batches_of_first_epoch: int = 0
    shapes: ShapeGrid | None = None
    journal_bytes: int = 0


@dataclass(frozen=True)
class RunFacts:
    """The settings of a run, the fingerprints of its data, and the hardware and software settings."""

    settings: Mapping[str, object]
    data: Mapping[str, object]
    runtime: Mapping[str, object]


def checkpoint_files(
    state: TrainingState,
    *,
    facts: RunFacts,
    model: nn.Module,
    average: MovingAverage,
    optimiser: torch.optim.Optimizer,
) -> dict[str, FileContent]:
    """Return the files of a checkpoint; tensors are copied only when they are written."""
    table = {"format_version": 1, "state": asdict(state), **asdict(facts)}
    return {
        "weights.safetensors": tensor_content(model.state_dict()),
        "averages.safetensors": tensor_content(average.model.state_dict()),
        "optimiser.safetensors": tensor_content(_optimiser_tensors(model, optimiser)),
        "random.safetensors": tensor_content(random_states()),
        "state.json": json_content(table),
    }


def read_state(folder: Path) -> tuple[TrainingState, RunFacts]:
    """Read a verified checkpoint's ``state.json``.

    Raises:
        CheckpointError: it cannot be read, or another version wrote it.
    """
    path = folder / "state.json"
    try:
        table = cast(dict[str, Any], parse_json(read_at_most(path, _LARGEST_BYTES)))
        if set(table["state"]) | _ADDED != {entry.name for entry in fields(TrainingState)}:
            raise CheckpointError(f"{path}: was written by another version of pellucid; use that version to continue")
        facts = {name: table[name] for name in ("settings", "data", "runtime")}
        return TypeAdapter(TrainingState).validate_python(table["state"]), TypeAdapter(RunFacts).validate_python(facts)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise CheckpointError(
            f"{path}: is not the state of a run: {place} = {shown(first['input'])}: {first['msg']}"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: is not the state of a run: {shown(error)}") from None


def newest_state(parent: Path) -> tuple[TrainingState, RunFacts] | None:
    """Return what the newest readable ``state.json`` below ``checkpoints/`` says; None if there is none."""
    for folder in reversed(list_checkpoints(parent)):
        try:
            return read_state(folder)
        except CheckpointError:
            continue
    return None


def restore(
    folder: Path, *, model: nn.Module, average: MovingAverage, optimiser: torch.optim.Optimizer, with_random: bool
) -> None:
    """Restore the tensors of a verified checkpoint.

    Raises:
        CheckpointError: a file has wrong content, although its checksum matches.
        IncompatibleModelError: the weights belong to another architecture.
    """
    _load_weights(model, folder / "weights.safetensors")
    _load_weights(average.model, folder / "averages.safetensors")
    _load_optimiser(model, optimiser, folder / "optimiser.safetensors")
    if with_random:
        path = folder / "random.safetensors"
        try:
            set_random_states(read_tensors(path))
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError, OverflowError) as error:
            raise CheckpointError(f"{path}: has no valid states of random generators: {shown(error)}") from None


def load_averages(folder: Path, model: nn.Module) -> None:
    """Load the averaged weights of a verified checkpoint into a model.

    Raises:
        CheckpointError: the file is not a valid safetensors file.
        IncompatibleModelError: the weights belong to another architecture.
    """
    _load_weights(model, folder / "averages.safetensors")


def random_states() -> dict[str, Tensor]:
    """Return the states of all random generators that a run can use."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    states = {
        "torch": torch.get_rng_state(),
        "numpy.keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy.rest": torch.tensor([float(position), float(has_gauss), float(gauss)], dtype=torch.float64),
        "python": torch.tensor([version, *internal], dtype=torch.int64),
        "python.gauss": torch.tensor([] if gauss_next is None else [gauss_next], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        states |= {f"cuda.{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def set_random_states(states: Mapping[str, Tensor]) -> None:
    """Restore the states that ``random_states`` returned."""
    torch.set_rng_state(states["torch"])
    position, has_gauss, gauss = states["numpy.rest"].tolist()
    keys = states["numpy.keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), gauss))
    version, *internal = states["python"].tolist()
    gauss_next = states["python.gauss"].tolist()
    random.setstate((version, tuple(internal), gauss_next[0] if gauss_next else None))
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        if f"cuda.{index}" in states:
            torch.cuda.set_rng_state(states[f"cuda.{index}"], index)


def _optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{moment}.{name}": tensor
        for name, parameter in model.named_parameters()
        for moment, tensor in optimiser.state.get(parameter, {}).items()
    }


def _load_optimiser(model: nn.Module, optimiser: torch.optim.Optimizer, path: Path) -> None:
    tensors = read_tensors(path)
    names = moments_of(optimiser)
    for name, parameter in model.named_parameters():
        moments = {moment: tensors.get(f"{moment}.{name}", torch.empty(0)) for moment in names[parameter]}
        kept = optimiser.state.get(parameter, {})
        if f"{names[parameter][-1]}.{name}" not in tensors:  # saved before the first update
            for tensor in kept.values():
                tensor.zero_()
            continue
        for moment, tensor in moments.items():
            needed = torch.Size() if moment == "step" else parameter.shape
            if tensor.shape != needed or not tensor.is_floating_point():
                raise CheckpointError(
                    f"{path}: {moment}.{name} is {tensor.dtype} {list(tensor.shape)}, expected {list(needed)}"
                )
        # ``clone`` returns memory with torch's alignment; computing on memory mapped from a file can round differently.
        # Tensors that exist are changed in place, because the graph of a step knows their addresses.
        optimiser.state[parameter] = {
            moment: kept[moment].copy_(tensor) if moment in kept else tensor.to(parameter.device).clone()
            for moment, tensor in moments.items()
        }


def _load_weights(model: nn.Module, path: Path) -> None:
    loaded = read_tensors(path)
    expected = model.state_dict()
    problems = [f"{name} is missing" for name in sorted(expected.keys() - loaded.keys())]
    problems += [f"{name} is unknown" for name in sorted(loaded.keys() - expected.keys())]
    for name in sorted(expected.keys() & loaded.keys()):
        has, needs = (f"{t.dtype} {list(t.shape)}" for t in (loaded[name], expected[name]))
        if has != needs:
            problems.append(f"{name} is {has}, expected {needs}")
    if problems:
        raise IncompatibleModelError(f"{path}: its tensors are not those of this model: {summary(problems)}")
    with torch.no_grad():
        for name, tensor in expected.items():
            tensor.copy_(loaded[name])
