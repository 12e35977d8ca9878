"""Adam, the learning rate schedules, and gradient clipping.

Schedules are pure functions of the progress of a run (``Progress``). The paper's settings are in
Vaswani et al. 2017, section 5.3. Read ``averaging.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from pellucid.config import DecayMethod, TrainingConfig

__all__ = ["LATEST_DECAY_START", "Progress", "clip_gradients", "gradient_norm", "learning_rate_at", "make_optimiser"]

LATEST_DECAY_START: Final = 0.5
"""``linear_to_zero`` starts to fall at half the budget at the latest, even if the warm-up is longer."""


@dataclass(frozen=True)
class Progress:
    """The progress of a run before a step.

    ``step`` is the number of the next step, from 1. ``fraction`` is the used part of the budget, 0 to 1.
    ``warmup_end_fraction`` is the value of ``fraction`` at the end of the warm-up, None before.
    """

    step: int
    fraction: float = 0.0
    warmup_end_fraction: float | None = None


def learning_rate_at(progress: Progress, *, config: TrainingConfig, d_model: int) -> float:
    """Return the learning rate of a step.

    Every schedule rises linearly over ``warmup_steps``. ``linear_to_zero`` then falls linearly and
    reaches 0 at the end of the budget; if the warm-up is longer than half the budget, the rate never
    exceeds the line that falls from there.
    """
    step = max(progress.step, 1)
    warmup = max(config.warmup_steps, 1)
    ramp = step / warmup
    peak = config.learning_rate
    match config.decay_method:
        case DecayMethod.NOAM:
            return peak / math.sqrt(d_model) * min(1.0 / math.sqrt(step), step / (warmup * math.sqrt(warmup)))
        case DecayMethod.INVERSE_SQRT:
            return peak * min(ramp, math.sqrt(warmup / step))
        case DecayMethod.CONSTANT:
            return peak * min(ramp, 1.0)
        case DecayMethod.LINEAR_TO_ZERO:
            start = progress.warmup_end_fraction
            start = LATEST_DECAY_START if start is None else min(start, LATEST_DECAY_START)
            line = (1.0 - min(progress.fraction, 1.0)) / (1.0 - start)
            return peak * min(ramp, line, 1.0)


def make_optimiser(parameters: Iterable[nn.Parameter], *, config: TrainingConfig) -> torch.optim.AdamW:
    """Return Adam with decoupled weight decay on matrices only; the caller sets the rate before every step.

    The fused implementation takes 5.7 ms per step (two cores, 7.6 million weights), the plain loop 17 ms
    and ``foreach`` 21 ms.
    """
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=True,
    )


def gradient_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together, a scalar tensor."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
    return norm


def clip_gradients(gradients: Sequence[Tensor], norm: float, *, max_norm: float) -> None:
    """Scale gradients of the given norm down to ``max_norm``, in place; 0 disables clipping."""
    if max_norm > 0 and norm > max_norm:
        torch._foreach_mul_(list(gradients), max_norm / norm)
