"""One model from several checkpoints of a run: the mean of their weights (Vaswani et al. 2017, section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pellucid.bundle import load_bundle, save_bundle
from pellucid.errors import CheckpointError, ConfigError
from pellucid.model.transformer import Transformer
from pellucid.training.averaging import average_weights
from pellucid.training.checkpoints import list_checkpoints, step_of, verify_checkpoint
from pellucid.training.state import TrainingState, read_state
from pellucid.training.validation import is_better

__all__ = ["AverageOutcome", "average_run"]


@dataclass(frozen=True)
class AverageOutcome:
    """Which checkpoints went into a model, and where it is."""

    output: Path
    steps: tuple[int, ...]

    def to_text(self) -> str:
        """Return the line for the screen."""
        return f"{self.output}: the mean of the checkpoints at steps {', '.join(f'{step:,}' for step in self.steps)}"


def average_run(run: Path, output: Path, *, last: int | None = None, best: int | None = None) -> AverageOutcome:
    """Average the last, or the best, checkpoints that a run has kept; all of them if no number is given.

    The best are those whose own validation scored best; a checkpoint saved between validations has none.

    Raises:
        ConfigError: both numbers were given, or one is not positive, or the output is there already.
        CheckpointError: the run has not kept that many; ``training.keep_checkpoint`` says how many it keeps.
    """
    if last is not None and best is not None:
        raise ConfigError("--last and --best: give one of them")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"{output}: is there already; an average is written to a new folder")
    wanted = last if last is not None else best
    if wanted is not None and wanted < 1:
        raise ConfigError(f"--{'last' if last is not None else 'best'} {wanted}: a positive number is needed")
    if not (run / "checkpoints").is_dir():
        what = (
            "a model, not a run"
            if (run / "model.toml").exists()
            else "not a run folder"
            if run.is_dir()
            else "no such folder"
        )
        raise CheckpointError(f"{run}: {what}; name a folder that `pellucid train` writes, with its checkpoints in it")
    # The checkpoint before the first step holds weights that have learnt nothing.
    found = [folder for folder in list_checkpoints(run / "checkpoints") if step_of(folder)]
    if best is not None:
        found = _best_first(found)
    if not found or (wanted is not None and wanted > len(found)):
        kind = " with a validation of their own" if best is not None else ""
        asked = f", {wanted} asked for" if wanted is not None else ", and an average needs one at least"
        raise CheckpointError(
            f"{run / 'checkpoints'}: holds {len(found)} checkpoints{kind}{asked}; "
            "training.keep_checkpoint says how many a run keeps"
        )
    chosen = sorted(found[:best] if best is not None else found[-(last or len(found)) :], key=step_of)
    for folder in chosen:
        verify_checkpoint(folder)
    steps = tuple(step_of(folder) for folder in chosen)
    pattern = load_bundle(run)
    model = Transformer(pattern.description.model)
    model.load_state_dict(average_weights(chosen))
    its = pattern.description
    told = ", ".join(f"{step:,}" for step in steps)
    save_bundle(
        output,
        model.eval(),
        tokenizer=pattern.tokenizer,
        card=f"# A translator, {its.source_language} → {its.target_language}\n\n"
        f"The mean of the weights of one run at steps {told}.\n",
        source_language=its.source_language,
        target_language=its.target_language,
        translation=its.translation,
        facts={"step": steps[-1], "averaged_steps": told},
        share_of_several_sentences=pattern.description.share_of_several_sentences,
    )
    return AverageOutcome(output, steps)


def _best_first(folders: list[Path]) -> list[Path]:
    states: list[tuple[Path, TrainingState]] = []
    for folder in folders:
        state, _ = read_state(folder)
        if state.validated_step != state.step:
            continue
        place = next((i for i, (_, other) in enumerate(states) if is_better(state.validation, other.validation)), None)
        states.insert(len(states) if place is None else place, (folder, state))
    return [folder for folder, _ in states]
