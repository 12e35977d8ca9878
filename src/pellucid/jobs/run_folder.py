"""Check a run folder before a run writes into it, and its model before the run reports it.

A folder may come from a stranger: links in it are refused, and its checkpoints say with which settings the run was
made. The model of a run is verified as ``translate`` verifies it, and written again from a checkpoint if it is damaged.
Read ``train.py`` next.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pellucid.bundle import load_bundle
from pellucid.config import BatchLengths, Recipe
from pellucid.durable import DISK, refuse_links
from pellucid.errors import CheckpointError, DataError, IncompatibleModelError, PellucidError
from pellucid.model.transformer import Transformer
from pellucid.training.checkpoints import list_checkpoints, step_of, verify_checkpoint
from pellucid.training.reporter import NewBest
from pellucid.training.resuming import refuse_changes
from pellucid.training.state import RunFacts, TrainingState, load_averages, newest_state

__all__ = ["continued_batches", "mend_model", "recorded_batches", "recorded_facts", "refuse_occupied", "settings_of"]

_WRITTEN: Final = (
    ".lock",
    "bad-steps.json",
    "checkpoints",
    "data",
    "demo.json",
    "fine_tuning.json",
    "metrics.jsonl",
    "model",
    "probes",
    "promise.json",
    "recipe.toml",
    "snapshots",
    "tensorboard",
    "test_report.json",
    "test_report.md",
    "text",
    "text.json",
    "text_report.json",
)
"""Everything that ``train`` and ``demo`` write in a run folder."""


def settings_of(recipe: Recipe) -> dict[str, object]:
    """Return the settings that a checkpoint records; the text is recorded by content, and a promise decides nothing."""
    return recipe.model_dump(mode="json", exclude={"data", "promise"})


def refuse_occupied(recipe: Recipe, output: Path) -> None:
    """Refuse an output folder that a run with this recipe may not use, before anything in it changes.

    The folder itself may be a link: the person who typed its name chose it.

    Raises:
        DataError: it is a file, contains links where a run writes, or contains a model without checkpoints.
        IncompatibleModelError: the run in it has other settings.
    """
    if output.exists() and not output.is_dir():
        raise DataError(f"{output}: is a file; --output names the folder of a run")
    refuse_links(output / name for name in _WRITTEN)
    has_begun = bool(list_checkpoints(output / "checkpoints"))
    if not has_begun and any((output / name).exists() for name in ("model.toml", "model/model.toml")):
        raise DataError(
            f"{output}: holds a model but no checkpoints, so its run cannot be continued, and a new run would replace "
            "the model; give another --output, or remove the model"
        )
    if (facts := recorded_facts(output)) is not None:
        new = settings_of(continued_batches(recipe, output))
        refuse_changes(output, old_settings=facts.settings, new_settings=new, old_data={}, new_data={})


def continued_batches(recipe: Recipe, output: Path) -> Recipe:
    """Return a recipe whose ``auto`` is what the run in the folder began with, for the size and lengths of batches."""
    facts = recorded_facts(output)
    table = facts.settings.get("training") if facts else None
    if not isinstance(table, dict):
        return recipe
    training, size, lengths = recipe.training, table.get("batch_size"), table.get("batch_lengths")
    if training.batch_size == "auto" and isinstance(size, int) and size > 0:
        training = training.model_copy(update={"batch_size": size})
    if training.batch_lengths is BatchLengths.AUTO and lengths in list(BatchLengths):
        training = training.model_copy(update={"batch_lengths": BatchLengths(lengths)})
    return recipe.model_copy(update={"training": training})


def recorded_facts(output: Path) -> RunFacts | None:
    """Return the facts of the newest readable checkpoint, including its settings; None if there is none.

    ``recipe.toml`` is for people. Every continuation writes it again, so a damaged one does no harm.
    """
    found = newest_state(output / "checkpoints")
    return found[1] if found else None


def recorded_batches(output: Path) -> int:
    """Return the batches of a step of the run in a folder; 0 if it has not begun, or if an older version began it."""
    found = newest_state(output / "checkpoints")
    return found[0].batches_per_step if found else 0


def mend_model(
    output: Path, model: Transformer, *, keep: NewBest, is_finished: bool, say: Callable[[str], None]
) -> None:
    """Verify ``model/`` of a run; if it is missing or damaged, write it again from a checkpoint.

    Args:
        output: the run folder.
        model: has the architecture of the run; it is not changed.
        keep: writes the model folder.
        is_finished: whether a model is required; before the first validation there is none yet.
        say: receives the fault and the repair.

    Raises:
        CheckpointError: the model is missing or damaged, and every checkpoint is damaged.
    """
    folder, found = output / "model", newest_state(output / "checkpoints")
    state = found[0] if found else TrainingState()
    if not is_finished and state.best_step is None and not folder.exists():
        return
    if (problem := _problem(folder)) is None:
        return
    twin = copy.deepcopy(model)
    step = _load_best(output / "checkpoints", twin, best_step=state.best_step, problem=problem)
    # Remove only the files that make it a model folder; notes that somebody put there stay.
    for name in ("model.toml", "tokenizer") if folder.is_dir() else ("",):
        DISK.remove(folder / name)
    is_best = step == state.best_step
    keep(twin.eval(), {"step": step, **(state.best if is_best else {})})
    load_bundle(folder)
    which = (
        "the best of this run" if is_best else f"because the checkpoint of the best step, {state.best_step}, is damaged"
    )
    say(f"{problem}; the model is written again from the checkpoint of step {step:,}, {which}")


def _problem(folder: Path) -> str | None:
    try:
        load_bundle(folder)
    except PellucidError as error:
        return str(error)
    return None


def _load_best(parent: Path, model: Transformer, *, best_step: int | None, problem: str) -> int:
    """Load the averages of the best checkpoint, or else of the newest sound one; return its step."""
    newest_first = list_checkpoints(parent)[::-1]
    problems = [problem]
    for folder in sorted(newest_first, key=lambda folder: step_of(folder) != best_step):
        try:
            verify_checkpoint(folder)
            load_averages(folder, model)
        except (CheckpointError, IncompatibleModelError) as error:
            problems.append(str(error))
        else:
            return step_of(folder)
    raise CheckpointError(
        "\n".join(problems)
        + "\nso this run has no sound model, and no checkpoint to restore it from; start a new run with another "
        "--output"
    )
