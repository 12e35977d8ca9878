"""What the trials of a machine share: the facts that decide the time of a step, made-up text, and a timed pass.

A trial runs forward and backward passes of the very model for about a second. Read ``precision.py`` and ``sharing.py``
next.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from pellucid.config import TrainingConfig
from pellucid.model.attention import has_short_attention
from pellucid.runtime import Runtime
from pellucid.text.batching import Batch
from pellucid.training.batches import TensorBatch, to_tensors
from pellucid.training.packed.gradients import choose_packed, takes_packed
from pellucid.training.regularisers import training_loss

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["GradientPass", "batch_to_time", "gradient_pass", "made_up_batch", "pass_seconds", "step_facts"]

GradientPass = Callable[[TensorBatch], object]
"""Leaves the gradients of a batch in the parameters of a model."""

_LENGTH: Final = 24
"""Tokens of every made-up sentence."""
_LONG_PASS_SECONDS: Final = 0.3
"""A pass that takes longer is not made larger for most trials."""


def step_facts(model: Transformer, config: TrainingConfig, runtime: Runtime) -> dict[str, object]:
    """Return what decides the time of a step."""
    shape = model.config
    rates = (shape.dropout, shape.attention_dropout, shape.activation_dropout)
    return {
        "processor": _processor(),
        "torch": torch.__version__,
        "layers": [shape.num_encoder_layers, shape.num_decoder_layers],
        "d_model": shape.d_model,
        "d_feedforward": shape.d_feedforward,
        "heads": shape.num_heads,
        "pieces": [shape.source_vocab_size, shape.target_vocab_size],
        "has_dropout": [rate > 0 for rate in rates],
        "batch": [config.known_batch_size, config.batch_type.value],
        "passes": config.passes,
        "threads": runtime.threads,
        "attention": "compiled" if has_short_attention(model) else "torch",
        "steps": "packed" if takes_packed(model, config=config, runtime=runtime, keeps=None) else "eager",
    }


def _processor() -> str:
    """Return the name of the processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    name = found[1] if found else platform.processor() or platform.machine()
    return f"{name} {torch.backends.cpu.get_cpu_capability()}"


def batch_to_time(
    model: Transformer,
    seconds: Callable[[TensorBatch], float],
    *,
    tokens: int,
    most_tokens: int,
    long_seconds: float = _LONG_PASS_SECONDS,
) -> tuple[TensorBatch, float]:
    """Return a made-up batch that is doubled from ``tokens`` until its pass takes ``long_seconds``, and its seconds."""
    tokens = min(tokens, most_tokens)
    batch = made_up_batch(model, tokens)
    while (took := seconds(batch)) < long_seconds and tokens < most_tokens:
        tokens = min(2 * tokens, most_tokens)
        batch = made_up_batch(model, tokens)
    return batch, took


def gradient_pass(model: Transformer, *, config: TrainingConfig, runtime: Runtime) -> GradientPass:
    """Return the forward and backward pass that a new run makes."""
    packed = choose_packed(model, config=config, runtime=runtime, keeps=None, message=lambda text: None)
    if packed is not None:
        return lambda batch: packed.add(batch, target_tokens=batch.num_target_tokens)

    def by_autograd(batch: TensorBatch) -> None:
        loss, _ = training_loss(model, batch, config=config, runtime=runtime)
        loss.backward()  # type: ignore[no-untyped-call]

    return by_autograd


def pass_seconds(model: Transformer, batch: TensorBatch, make: GradientPass, *, clock: Callable[[], float]) -> float:
    """Return the time of a pass. The optimiser's work is left out: it is the same for all."""
    began = clock()
    make(batch)
    took = clock() - began
    model.zero_grad(set_to_none=True)
    return took


def made_up_batch(model: Transformer, tokens: int) -> TensorBatch:
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
