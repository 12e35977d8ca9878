"""Adam and Muon, the learning rate schedules, and gradient clipping.

Schedules are pure functions of the progress of a run (``Progress``). The paper's settings are in
Vaswani et al. 2017, section 5.3. Read ``averaging.py`` next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from pellucid.config import DecayMethod, Optimizer, TrainingConfig
from pellucid.training.muon import StackedMuon
from pellucid.training.processes.ranks import ONE_PROCESS, Ranks

__all__ = [
    "LATEST_DECAY_START",
    "Progress",
    "clip_gradients",
    "gradient_norm",
    "learning_rate_at",
    "make_optimiser",
    "moments_of",
    "set_learning_rate",
]

LATEST_DECAY_START: Final = 0.5
"""``linear_to_zero`` and ``cosine_to_zero`` start to fall at half the budget at the latest, in spite of the warm-up."""


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

    Every schedule rises linearly over ``warmup_steps``. ``linear_to_zero`` and ``cosine_to_zero`` then fall and
    reach 0 at the end of the budget; if the warm-up is longer than half the budget, the rate never
    exceeds the curve that falls from there.
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
            return peak * min(ramp, _left_of_decay(progress))
        case DecayMethod.COSINE_TO_ZERO:
            return peak * min(ramp, 0.5 - 0.5 * math.cos(math.pi * _left_of_decay(progress)))
        case DecayMethod.STABLE_THEN_LINEAR:
            return peak * min(ramp, (1.0 - min(progress.fraction, 1.0)) / config.decay_share, 1.0)


def _left_of_decay(progress: Progress) -> float:
    """Return the part of the fall that is left: 1 at the end of the warm-up, 0 at the end of the budget."""
    start = progress.warmup_end_fraction
    start = LATEST_DECAY_START if start is None else min(start, LATEST_DECAY_START)
    return min(1.0, (1.0 - min(progress.fraction, 1.0)) / (1.0 - start))


class _MuonAndAdam(torch.optim.Optimizer):
    """Muon for some weights and Adam for the others, as one optimiser with one table of states."""

    def __init__(self, muon: StackedMuon, adam: torch.optim.AdamW) -> None:
        super().__init__([*muon.param_groups, *adam.param_groups], {})
        self._parts = (muon, adam)
        for part in self._parts:
            part.state = self.state

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Change the weights by both rules."""
        for part in self._parts:
            part.step(closure)


def make_optimiser(model: nn.Module, *, config: TrainingConfig, ranks: Ranks = ONE_PROCESS) -> torch.optim.Optimizer:
    """Return the optimiser of the settings; the caller sets the rate before every step with ``set_learning_rate``.

    The processes ``ranks`` share the work of Muon, and all get the same weights.

    With Muon, it changes the weights of all linear maps. Queries, keys and values have a matrix each, so they are made
    orthogonal apart, as they must be. Embeddings and the output table are no linear maps here.
    """
    weights = list(model.parameters())
    if config.optimizer is Optimizer.ADAM:
        return _adam(weights, config)
    matrices = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    muon = StackedMuon(
        matrices,
        lr=config.learning_rate,
        momentum=config.muon_momentum,
        weight_decay=config.muon_weight_decay,
        ranks=ranks,
    )
    for group in muon.param_groups:
        group["rate_factor"] = (config.muon_learning_rate or config.learning_rate) / config.learning_rate
    chosen = {id(matrix) for matrix in matrices}
    return _MuonAndAdam(muon, _adam([weight for weight in weights if id(weight) not in chosen], config))


def _adam(weights: Sequence[nn.Parameter], config: TrainingConfig) -> torch.optim.AdamW:
    """Return Adam with decoupled weight decay on matrices only.

    The fused implementation takes 5.7 ms per step (two cores, 7.6 million weights), the plain loop 17 ms
    and ``foreach`` 21 ms.
    """
    groups = [
        {"params": [weight for weight in weights if weight.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in weights if weight.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=True,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the rate of the next step; groups with a rate of their own get it in the same proportion to their peak."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group.get("rate_factor", 1.0)


def moments_of(optimiser: torch.optim.Optimizer) -> Mapping[Tensor, tuple[str, ...]]:
    """Return the names of the tensors that the optimiser keeps for each weight after its first step."""
    adam, muon = ("exp_avg", "exp_avg_sq", "step"), ("momentum_buffer",)
    return {
        weight: muon if "momentum" in group else adam for group in optimiser.param_groups for weight in group["params"]
    }


def gradient_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return the Euclidean norm of all gradients together, a scalar tensor."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
    return norm


def clip_gradients(gradients: Sequence[Tensor], norm: float, *, max_norm: float) -> None:
    """Scale gradients of the given norm down to ``max_norm``, in place; 0 disables clipping."""
    if max_norm > 0 and norm > max_norm:
        torch._foreach_mul_(list(gradients), max_norm / norm)
