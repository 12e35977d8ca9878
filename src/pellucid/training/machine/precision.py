"""Choose between float32 and bfloat16 for the matrix products by timing a step of the very model.

No flag of a processor answers the question: with AVX512-BF16 alone, one processor multiplies bfloat16 at half the speed
of float32, and another trains 1.4 times as fast with it (docs/log.md, 2026-11-22 and 2026-11-26). So forward and
backward passes of both precisions run in turns for about a second. The result is kept in the user's cache folder under
the names of the processor and of torch's version. Read ``trainer.py`` next.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import torch

from pellucid.config import TrainingConfig
from pellucid.runtime import Precision, Runtime, keeping_memory
from pellucid.training.batches import TensorBatch
from pellucid.training.machine.records import remember, remembered
from pellucid.training.machine.trials import GradientPass, batch_to_time, gradient_pass, pass_seconds, step_facts

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["PrecisionTrial", "precision_trial"]

_TRIAL_SECONDS: Final = 1.0
_MOST_TURNS: Final = 5
_FIRST_TOKENS: Final = 512
_NEEDED_GAIN: Final = 1.03
"""Bfloat16 must be so many times as fast as float32, because it rounds more coarsely."""
_KIND: Final = "precision"
"""Of the record in the cache folder."""


@dataclass(frozen=True)
class PrecisionTrial:
    """The processor seconds of the same forward and backward pass in both precisions."""

    fp32_seconds: float
    bf16_seconds: float
    is_remembered: bool = False
    """Whether an earlier run measured it."""

    @property
    def precision(self) -> Precision:
        """The precision to take."""
        return Precision.BF16 if self.fp32_seconds >= _NEEDED_GAIN * self.bf16_seconds else Precision.FP32

    def applied_to(self, runtime: Runtime) -> Runtime:
        """Return the runtime with the precision of this trial and its reason."""
        when = "measured earlier on this machine" if self.is_remembered else "measured now"
        reason = (
            f"a step of this model takes {1000 * self.fp32_seconds:.0f} ms of processor time in fp32 and "
            f"{1000 * self.bf16_seconds:.0f} in bf16 ({when})"
        )
        return replace(runtime, precision=self.precision, reason=reason)


def precision_trial(model: Transformer, *, config: TrainingConfig, runtime: Runtime) -> PrecisionTrial:
    """Return the remembered trial for this machine and this shape of model, or measure it and remember it.

    If the cache folder cannot be written, the next run measures again.
    """
    facts = step_facts(model, config, runtime)
    try:
        found = remembered(_KIND, facts) or {}
        fp32, bf16 = (float(found[f"{name}_seconds"]) for name in ("fp32", "bf16"))
        return PrecisionTrial(fp32, bf16, is_remembered=True)
    except (KeyError, TypeError, ValueError):  # absent, or not written by this version
        pass
    was_training = model.training
    trial = _measure(model.train(), config=config, runtime=runtime)
    model.train(was_training)
    remember(_KIND, facts, {"fp32_seconds": trial.fp32_seconds, "bf16_seconds": trial.bf16_seconds})
    return trial


def _measure(model: Transformer, *, config: TrainingConfig, runtime: Runtime) -> PrecisionTrial:
    """Time both precisions in turns, and take the least time of each: other programs only make a step slower."""
    with torch.random.fork_rng(devices=[]), keeping_memory(runtime.device):
        began = time.perf_counter()
        wide, narrow = (
            gradient_pass(model, config=config, runtime=replace(runtime, precision=precision))
            for precision in (Precision.FP32, Precision.BF16)
        )
        batch, wide_seconds = batch_to_time(
            model,
            lambda batch: _seconds(model, batch, wide),
            tokens=_FIRST_TOKENS,
            most_tokens=config.known_batch_size,
        )
        first_seconds = _seconds(model, batch, narrow)  # the first pass of a precision prepares its kernels
        if first_seconds > max(_TRIAL_SECONDS, 2 * wide_seconds):  # without hardware for it, bfloat16 is very slow
            return PrecisionTrial(wide_seconds, first_seconds)
        least = [float("inf"), float("inf")]
        for turn in range(_MOST_TURNS):
            if turn and time.perf_counter() - began > _TRIAL_SECONDS:
                break
            least = [
                min(before, _seconds(model, batch, make)) for before, make in zip(least, (wide, narrow), strict=True)
            ]
        return PrecisionTrial(least[0], least[1])


def _seconds(model: Transformer, batch: TensorBatch, make: GradientPass) -> float:
    """Return the processor time of a pass, which hardly depends on other programs."""
    return pass_seconds(model, batch, make, clock=time.process_time)
