"""One model from several checkpoints of a run: the mean of their weights (Vaswani et al. 2017, section 6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cmp_to_key
from pathlib import Path

from pellucid.bundle import load_bundle, save_bundle
from pellucid.errors import CheckpointError, ConfigError, counted
from pellucid.model.transformer import Transformer
from pellucid.training.averaging import average_weights
from pellucid.training.checkpoints import list_checkpoints, step_of, verify_checkpoint
from pellucid.training.state import read_state
from pellucid.training.validation import is_better

__all__ = ["average_run"]


def average_run(run: Path, output: Path, *, last: int | None = None, best: int | None = None) -> str:
    """Average the last or the best checkpoints of a run; all of them if no number is given; return a message.

    The best are those with the best validations; checkpoints that were saved between validations do not count.

    Raises:
        ConfigError: both numbers are given, or one is not positive, or the output exists already.
        CheckpointError: the run has fewer checkpoints; ``training.keep_checkpoint`` says how many it keeps.
    """
    if last is not None and best is not None:
        raise ConfigError("--last and --best: give one of them")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output}: exists already; --output names a new folder")
    wanted = last if last is not None else best
    if wanted is not None and wanted < 1:
        raise ConfigError(f"--{'last' if last is not None else 'best'} {wanted}: give a positive number")
    if not (run / "checkpoints").is_dir():
        what = "not a run folder" if run.is_dir() else "no such folder"
        if (run / "model.toml").exists():
            what = "a model, not a run"
        raise CheckpointError(f"{run}: {what}; name a folder that `pellucid train` writes, with its checkpoints in it")
    # Step 0 is left out: its weights have learnt nothing.
    found = [folder for folder in list_checkpoints(run / "checkpoints") if step_of(folder)]
    if best is not None:
        found = _best_first(found)
    if not found or (wanted is not None and wanted > len(found)):
        kind = " that were saved at a validation" if best is not None else ""
        needed = f"{wanted} requested" if wanted is not None else "an average needs at least one"
        raise CheckpointError(
            f"{run / 'checkpoints'}: holds {counted(len(found), 'checkpoint')}{kind}, {needed}; "
            "training.keep_checkpoint says how many a run keeps"
        )
    chosen = sorted(found[:best] if best is not None else found[-(last or len(found)) :], key=step_of)
    for folder in chosen:
        verify_checkpoint(folder)
    steps = tuple(step_of(folder) for folder in chosen)
    pattern = load_bundle(run)
    its = pattern.description
    model = Transformer(its.model)
    model.load_state_dict(average_weights(chosen))
    shown = ", ".join(f"{step:,}" for step in steps)
    save_bundle(
        output,
        model.eval(),
        tokenizer=pattern.tokenizer,
        card=f"# A translator, {its.source_language} → {its.target_language}\n\n"
        f"The mean of the weights of one run at steps {shown}.\n",
        source_language=its.source_language,
        target_language=its.target_language,
        translation=its.translation,
        facts={"step": steps[-1], "averaged_steps": shown},
        share_of_several_sentences=its.share_of_several_sentences,
    )
    return f"{output}: the mean of the checkpoints at steps {shown}"


def _best_first(folders: list[Path]) -> list[Path]:
    states = [(folder, read_state(folder)[0]) for folder in folders]
    validated = [(folder, state.validation) for folder, state in states if state.validated_step == state.step]

    def order(one: tuple[Path, Mapping[str, float]], other: tuple[Path, Mapping[str, float]]) -> int:
        return is_better(other[1], one[1]) - is_better(one[1], other[1])

    return [folder for folder, _ in sorted(validated, key=cmp_to_key(order))]
