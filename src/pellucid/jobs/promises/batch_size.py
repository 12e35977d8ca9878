"""Choose what ``auto`` leaves open of batches: their size and the lengths of their sentences.

The size is as much as the memory holds, up to what suits the machine and the text.
Two small steps are made with the real model, and the memory of larger ones follows from the difference. A GPU is
faster with large batches, a processor is not, so there the usual size is only made smaller if memory is short. A run
that is continued keeps what it began with. Read ``opening.py`` for the rest of a run's beginning.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from pellucid.config import BatchLengths, Recipe, TrainingConfig
from pellucid.errors import ConfigError, counted
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.run_folder import recorded_facts
from pellucid.model.transformer import Transformer
from pellucid.text.store import TokenStore
from pellucid.training.batches import BatchStream
from pellucid.training.packed.gradients import takes_packed
from pellucid.training.processes.ranks import ONE_PROCESS, Ranks
from pellucid.training.regularisers import training_loss

__all__ = ["BatchSize", "chosen_size", "scaled_rate", "with_batch_lengths", "with_batch_size"]

_USUAL: Final = int(TrainingConfig.model_fields["batch_size"].default)
_LARGEST: Final = 32_768
_LEAST_STEPS_PER_EPOCH: Final = 40
"""With fewer, larger batches cost more quality than they save time."""
_PROBES: Final = (512, 1024)
"""Padded tokens of the two small steps."""
_SHARE: Final = 0.7
"""Share of the free memory that a run may plan to use; allocators need some room."""


@dataclass(frozen=True)
class BatchSize:
    """A size in padded tokens, and why it was chosen."""

    tokens: int
    reason: str

    def to_text(self) -> str:
        """Return the line for the screen."""
        return f"batch size: {counted(self.tokens, 'token')}, {self.reason}"


def with_batch_lengths(run: OpenedRun, model: Transformer, *, ranks: Ranks = ONE_PROCESS) -> tuple[OpenedRun, str]:
    """Return a run with the lengths for ``auto``, mixed where nothing is padded, and a line for the screen if so.

    A run that is continued keeps its own; where an earlier version began it, that is still ``auto``. Of several
    processes, the first decides.
    """
    training = run.recipe.training
    if training.batch_lengths is not BatchLengths.AUTO or recorded_facts(run.output) is not None:
        return run, ""

    def decided() -> str:
        is_packed = takes_packed(model, config=training, runtime=run.runtime, keeps=None)
        return BatchLengths.MIXED if is_packed else BatchLengths.SIMILAR

    lengths = BatchLengths(ranks.from_first(decided))
    recipe = run.recipe.model_copy(update={"training": training.model_copy(update={"batch_lengths": lengths})})
    is_mixed = lengths is BatchLengths.MIXED
    said = "batches: of mixed lengths, since packed steps need no padding (training.batch_lengths)" if is_mixed else ""
    return replace(run, recipe=recipe), said


def with_batch_size(
    run: OpenedRun, model: Transformer, store: TokenStore, *, pairs: int, ranks: Ranks = ONE_PROCESS
) -> tuple[OpenedRun, str]:
    """Return a run whose batch size is a number, and a line for the screen if that was chosen here.

    ``pairs`` is the number of training pairs, of which the store may hold a part. Of several processes, the first
    decides.
    """
    if run.recipe.training.batch_size != "auto":
        return run, ""
    is_gpu = run.runtime.device.startswith("cuda")

    def decided() -> str:
        cost = _cost_of_a_step(run, model, store)
        free = torch.cuda.mem_get_info(run.runtime.device)[0] if is_gpu else free_memory()
        longest = int(np.maximum(store.source_lengths, store.target_lengths).max()) + 1
        places = int((np.maximum(store.source_lengths, store.target_lengths) + 1).sum()) * pairs // max(len(store), 1)
        found = chosen_size(cost, free=free, longest=longest, places=places, is_gpu=is_gpu)
        return f"{found.tokens} {found.to_text()}"

    size, _, text = ranks.from_first(decided).partition(" ")
    recipe, of_rate = scaled_rate(_with_size(run.recipe, int(size)), run.batch_of_rate)
    return replace(run, recipe=recipe, batch_of_rate=None), text + of_rate


def scaled_rate(recipe: Recipe, batch_of_rate: int | None) -> tuple[Recipe, str]:
    """Return a recipe with the learning rate for its batch, and the words for the screen.

    The rate that a preset chose for a batch of so many tokens grows with the root of the size, as in the grid itself. A
    rate of the user, or of a fixed preset (None), stays.
    """
    size, rate = recipe.training.known_batch_size, recipe.training.learning_rate
    if batch_of_rate is None:
        return recipe, "" if size == _USUAL else "; training.learning_rate is not scaled with it"
    if size == batch_of_rate:
        return recipe, ""
    new = float(f"{rate * math.sqrt(size / batch_of_rate):.1e}")
    training = recipe.training.model_copy(update={"learning_rate": new})
    words = f"; the peak rate {rate:g}, which preset auto chose for {counted(batch_of_rate, 'token')}, becomes {new:g}"
    return recipe.model_copy(update={"training": training}), words


def chosen_size(
    cost: Callable[[int], float], *, free: int | None, longest: int, places: int, is_gpu: bool
) -> BatchSize:
    """Return the size of a batch in padded tokens: what is wanted here, halved until it fits.

    Args:
        cost: bytes of a step with a batch of so many padded tokens.
        free: bytes that are free now; None if unknown.
        longest: tokens of the longest pair, which must fit into a batch.
        places: tokens of the longer sides of an epoch.
        is_gpu: whether large batches are faster.

    Raises:
        ConfigError: memory is too short for the longest pair.
    """
    wanted = _USUAL
    if is_gpu:
        while wanted < _LARGEST and places / (2 * wanted) >= _LEAST_STEPS_PER_EPOCH:
            wanted *= 2
    size = wanted = max(wanted, longest)
    while free is not None and cost(size) > _SHARE * free and size // 2 >= longest:
        size //= 2
    needs = f"which needs about {cost(size) / 2**30:.2f} GiB"
    if free is None:
        return BatchSize(size, "the usual size of a processor; the free memory is unknown")
    if cost(size) > _SHARE * free:
        raise ConfigError(
            f"training.batch_size = 'auto': a batch of {counted(size, 'token')} needs "
            f"about {cost(size) / 2**30:.2f} GiB and "
            f"{free / 2**30:.2f} GiB are free; use a smaller preset, a lower training.max_length, or end other programs"
        )
    has = f"and {free / 2**30:.1f} GiB are free"
    if size < wanted:
        return BatchSize(size, f"less than {wanted:,} because memory is short: {needs}, {has}")
    if not is_gpu:
        return BatchSize(size, f"the usual size on a processor, {needs}, {has}")
    limit = "the largest" if wanted >= _LARGEST else f"the largest with {_LEAST_STEPS_PER_EPOCH} steps an epoch"
    return BatchSize(size, f"{limit}, {needs}, {has}")


def _with_size(recipe: Recipe, size: int) -> Recipe:
    training = recipe.training.model_copy(update={"batch_size": size})
    return recipe.model_copy(update={"training": training})


def _cost_of_a_step(run: OpenedRun, model: Transformer, store: TokenStore) -> Callable[[int], float]:
    """Return the bytes of a step by its padded tokens: a line through two measurements, and the state beside it.

    The state is the gradients, the two moments of Adam and the moving average, four numbers of 4 bytes for each weight.
    """
    sizes, found = [], []
    is_training = model.training
    model.train()
    for tokens in _PROBES:
        stream = _stream(run, model, store, tokens)
        rows = np.argsort(-np.maximum(store.source_lengths, store.target_lengths), kind="stable")
        longer = np.maximum(store.source_lengths[rows[0]], store.target_lengths[rows[0]]) + 1
        batch = stream.load(np.resize(rows, max(1, tokens // int(longer))))
        sizes.append(batch.num_padded_tokens)
        found.append(
            _bytes_for_backward(
                lambda batch=batch: training_loss(  # type: ignore[misc]
                    model, batch, config=run.recipe.training, runtime=run.runtime
                )[0],
                is_gpu=run.runtime.device.startswith("cuda"),
            )
        )
        model.zero_grad(set_to_none=True)
    model.train(is_training)
    slope = max((found[1] - found[0]) / (sizes[1] - sizes[0]), 0.0) if sizes[1] > sizes[0] else found[0] / sizes[0]
    state = 16 * sum(parameter.numel() for parameter in model.parameters())
    return lambda tokens: state + found[0] + slope * max(0, tokens - sizes[0])


def _stream(run: OpenedRun, model: Transformer, store: TokenStore, tokens: int) -> BatchStream:
    return BatchStream(
        store,
        config=run.recipe.training.model_copy(update={"batch_size": tokens}),
        specials=model.config.specials,
        start_id=model.start_id,
        device=run.runtime.torch_device(),
    )


def _bytes_for_backward(forward: Callable[[], torch.Tensor], *, is_gpu: bool) -> int:
    """Return the bytes that a step needs beside the weights and the state of the optimiser.

    On a GPU they are measured. On a processor they are counted: what the forward pass keeps for the backward pass, and
    half as much again for what both have in hand.
    """
    if is_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        torch.autograd.backward(forward())
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = forward()
    torch.autograd.backward(loss)
    return int(1.5 * sum(kept.values()))


def free_memory() -> int | None:
    """Return the bytes that programs can still take on this machine, within the limit of its control group (Linux)."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
    except OSError:
        found = None
    if found is None:
        pages = os.sysconf_names.get("SC_AVPHYS_PAGES") if hasattr(os, "sysconf_names") else None
        return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") if pages is not None else None
    return min([int(found[1]) * 1024, *_left_in_control_group()])


def _left_in_control_group() -> list[int]:
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = ((folder / name).read_text("ascii").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return []
    return [max(0, int(limit) - int(used))] if limit.isdecimal() and used.isdecimal() else []
