"""Decide how a run computes attention between short sentences: compiled for this machine, or by torch's operations.

Both give the same result up to rounding. Read ``model/kernels/short_attention.py`` for the first.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.errors import ConfigError, EngineUnavailableError
from pellucid.jobs.opening import OpenedRun
from pellucid.jobs.run_folder import recorded_facts
from pellucid.model.attention import use_short_attention
from pellucid.model.kernels.short_attention import MOST_POSITIONS, load_short_attention
from pellucid.model.transformer import Transformer

__all__ = ["choose_attention"]


def choose_attention(run: OpenedRun, model: Transformer, *, say: Callable[[str], None] = lambda text: None) -> str:
    """Let the model take the attention of the run, and return a line for the screen; it is empty on a GPU.

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
        return ""
    if wanted == "torch":
        return "attention: by torch's operations, as requested"
    facts = recorded_facts(run.output)
    if wanted == "auto" and facts is not None and facts.runtime.get("attention") != "compiled":
        return "attention: by torch's operations, as this run began"
    try:
        load_short_attention(say)
    except EngineUnavailableError as error:
        if wanted == "compiled":
            raise ConfigError(f"training.attention = 'compiled' is not possible: {error}") from None
        return f"attention: by torch's operations, which are slower for short sentences, because {error}"
    use_short_attention(model)
    return f"attention: compiled for this machine, for sentences of up to {MOST_POSITIONS} tokens"
