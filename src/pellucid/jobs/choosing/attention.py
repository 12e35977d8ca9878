"""Decide how a run computes attention between short sentences: compiled for this machine, or by torch's operations.

Both give the same result up to rounding. Read ``model/kernels/short_attention.py`` for the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pellucid.errors import ConfigError, EngineUnavailableError
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.run_folder import recorded_facts
from pellucid.model.attention import use_short_attention
from pellucid.model.kernels.short_attention import load_short_attention
from pellucid.model.transformer import Transformer

__all__ = ["AttentionChoice", "choose_attention"]


@dataclass(frozen=True)
class AttentionChoice:
    """The attention of a run."""

    is_compiled: bool
    text: str
    """A line for the screen; empty on a GPU, where there is nothing to choose."""

    def apply_to(self, model: Transformer) -> None:
        """Let the model compute its attention so."""
        if self.is_compiled:
            use_short_attention(model)


def choose_attention(run: OpenedRun, *, say: Callable[[str], None] = lambda text: None) -> AttentionChoice:
    """Choose the attention of a run before its text is read, and compile it where that is still to be done.

    A run that is continued keeps what it began with, because the two round differently.

    Raises:
        ConfigError: ``compiled`` is asked for and not possible.
    """
    wanted = run.recipe.training.attention
    if run.runtime.device != "cpu":
        if wanted == "compiled":
            raise ConfigError(
                f"training.attention = 'compiled' is for a processor, and the device is {run.runtime.device}; "
                "leave it out"
            )
        return AttentionChoice(False, "")
    if wanted == "torch":
        return AttentionChoice(False, "attention: by torch's operations, as requested")
    facts = recorded_facts(run.output)
    if wanted == "auto" and facts is not None and facts.runtime.get("attention") != "compiled":
        return AttentionChoice(False, "attention: by torch's operations, as this run began")
    try:
        load_short_attention(say)
    except EngineUnavailableError as error:
        if wanted == "compiled":
            raise ConfigError(f"training.attention = 'compiled' is not possible: {error}") from None
        reason = f"which are slower for short sentences, because {error}"
        return AttentionChoice(False, f"attention: by torch's operations, {reason}")
    return AttentionChoice(True, "attention: compiled for this machine")
