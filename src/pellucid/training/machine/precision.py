"""Choose between float32 and bfloat16 for the matrix products by timing a step of the very model.

No flag of a processor answers the question: with AVX512-BF16 alone, one processor multiplies bfloat16 at half the speed
of float32, and another trains 1.4 times as fast with it (docs/log.md, 2026-11-22 and 2026-11-26). So forward and
backward passes of both precisions run in turns for about a second. The result is kept in the user's cache folder under
the names of the processor and of torch's version. Read ``trainer.py`` next.
"""

from __future__ import annotations

import json
import platform
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from pellucid.config import TrainingConfig
from pellucid.durable import DISK, cache_folder
from pellucid.runtime import Precision, Runtime, keeping_memory
from pellucid.text.batching import Batch
from pellucid.training.batches import TensorBatch, to_tensors
from pellucid.training.loss import batch_loss
from pellucid.untrusted import parse_json, read_at_most

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["PrecisionTrial", "precision_trial"]

_TRIAL_SECONDS: Final = 1.0
_MOST_TURNS: Final = 5
_LENGTH: Final = 24
"""Tokens of every made-up sentence."""
_FIRST_TOKENS: Final = 512
_LONG_STEP_SECONDS: Final = 0.3
"""A step that takes more processor time is not made larger for the trial."""
_NEEDED_GAIN: Final = 1.03
"""Bfloat16 must be so many times as fast as float32, because it rounds more coarsely."""
_LARGEST_RECORD: Final = 1 << 20


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
    path = _record_path()
    trials = _remembered(path)
    shape = _shape(model, config, runtime)
    try:
        fp32, bf16 = (float(trials[shape][f"{name}_seconds"]) for name in ("fp32", "bf16"))
        return PrecisionTrial(fp32, bf16, is_remembered=True)
    except (KeyError, TypeError, ValueError):  # absent, or not written by this version
        pass
    was_training = model.training
    trial = _measure(model.train(), most_tokens=config.known_batch_size, runtime=runtime)
    model.train(was_training)
    _remember(path, shape, trial)
    return trial


def _record_path() -> Path | None:
    folder = cache_folder()
    machine = f"{_processor()} torch {torch.__version__}"
    return folder and folder / "precision" / f"{re.sub(r'[^A-Za-z0-9.+]+', '-', machine).strip('-')[:120]}.json"


def _processor() -> str:
    """Return the name of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    name = found[1] if found else platform.processor() or platform.machine()
    return f"{name} {torch.backends.cpu.get_cpu_capability()}"


def _shape(model: Transformer, config: TrainingConfig, runtime: Runtime) -> str:
    """Return what decides the time of a step, as a line for the record."""
    shape = model.config
    rates = (shape.dropout, shape.attention_dropout, shape.activation_dropout)
    return (
        f"layers {shape.num_encoder_layers}+{shape.num_decoder_layers}, d_model {shape.d_model}, "
        f"d_feedforward {shape.d_feedforward}, heads {shape.num_heads}, "
        f"pieces {shape.source_vocab_size}+{shape.target_vocab_size}, "
        f"dropouts {'/'.join(str(int(rate > 0)) for rate in rates)}, "
        f"batch {config.batch_size} {config.batch_type.value}, threads {runtime.threads}"
    )


def _remembered(path: Path | None) -> dict[str, Any]:
    try:
        found = parse_json(read_at_most(path, _LARGEST_RECORD)) if path else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(path: Path | None, shape: str, trial: PrecisionTrial) -> None:
    if path is None:
        return
    seconds = {"fp32_seconds": trial.fp32_seconds, "bf16_seconds": trial.bf16_seconds}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        DISK.write_replacing(path, json.dumps(_remembered(path) | {shape: seconds}, indent=1).encode())
    except OSError:
        return  # a full or read-only disk costs the next run a second


def _measure(model: Transformer, *, most_tokens: int, runtime: Runtime) -> PrecisionTrial:
    """Time both precisions in turns, and take the least time of each: other programs only make a step slower."""
    wide, narrow = (replace(runtime, precision=precision) for precision in (Precision.FP32, Precision.BF16))
    with torch.random.fork_rng(devices=[]), keeping_memory(runtime.device):
        began = time.perf_counter()
        tokens = min(_FIRST_TOKENS, most_tokens)
        batch = _made_up_batch(model, tokens)
        while (wide_seconds := _seconds(model, batch, wide)) < _LONG_STEP_SECONDS and tokens < most_tokens:
            tokens = min(2 * tokens, most_tokens)
            batch = _made_up_batch(model, tokens)
        first_seconds = _seconds(model, batch, narrow)  # the first pass of a precision prepares its kernels
        if first_seconds > max(_TRIAL_SECONDS, 2 * wide_seconds):  # without hardware for it, bfloat16 is very slow
            return PrecisionTrial(wide_seconds, first_seconds)
        least = {wide.precision: float("inf"), narrow.precision: float("inf")}
        for turn in range(_MOST_TURNS):
            if turn and time.perf_counter() - began > _TRIAL_SECONDS:
                break
            for one in (wide, narrow):
                least[one.precision] = min(least[one.precision], _seconds(model, batch, one))
        return PrecisionTrial(least[Precision.FP32], least[Precision.BF16])


def _seconds(model: Transformer, batch: TensorBatch, runtime: Runtime) -> float:
    """Return the processor time of a forward and a backward pass, which hardly depends on other programs.

    The optimiser does the same work in both precisions.
    """
    began = time.process_time()
    loss, _ = batch_loss(model, batch, label_smoothing=0.1, runtime=runtime)
    loss.backward()  # type: ignore[no-untyped-call]
    took = time.process_time() - began
    model.zero_grad(set_to_none=True)
    return took


def _made_up_batch(model: Transformer, tokens: int) -> TensorBatch:
    """Return sentences of random pieces without padding, with about ``tokens`` tokens on each side."""
    shape = model.config
    length = min(_LENGTH, shape.max_positions, tokens)
    generator = np.random.default_rng(1)
    size = (max(1, tokens // length), length)
    source, target = (generator.integers(v, size=size) for v in (shape.source_vocab_size, shape.target_vocab_size))
    inputs = np.concatenate([np.full((size[0], 1), model.start_id), target[:, :-1]], axis=1)
    real = np.ones(size, dtype=np.bool_)
    count = size[0] * length
    return to_tensors(
        Batch(source, inputs, target, real, real, np.arange(size[0]), count, count),
        device=torch.device("cpu"),
    )
