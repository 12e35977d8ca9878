"""Compile the layers of the computing model where the run is long enough to pay for it.

One encoder layer and one decoder layer are compiled, with symbolic sizes; the other layers have the same code and share
the result, so the time does not grow with their number. Torch keeps it on disk for the next run. What was measured on
an H200 is the whole encoder and decoder compiled with fixed shapes: from 7.5 to 8.0 % of 790 TFLOP/s for small, 17.3 to
23.0 for base and 35.6 to 44.8 for big, after 25 to 33 s of compilation. Compiled layers draw the numbers of dropout in
another way, so a run must be compiled from its first step to its last: the settings decide, never the clock. Read
``updater.py`` next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from pellucid.config import BatchType, TrainingConfig

if TYPE_CHECKING:
    from pellucid.model.transformer import Transformer

__all__ = ["compile_layers", "pays", "uncompile_layers"]

_LEAST_SECONDS: Final = 300.0
"""Of a run: 30 s of compilation against a gain of 7 to 33 %."""
_FLOPS: Final = 1e14
"""Floating-point operations a second with which the length of a run in steps is estimated."""
_TOKENS_OF_SENTENCE: Final = 30


def pays(config: TrainingConfig, model: Transformer, *, batches_per_epoch: int) -> bool:
    """Return whether the run that the settings describe takes long enough on a GPU; only settings and data decide."""
    if config.minutes is not None:
        return config.minutes * 60 >= _LEAST_SECONDS
    steps = config.train_steps or (config.max_epochs or 0) * batches_per_epoch
    tokens = config.known_batch_size * (1 if config.batch_type is BatchType.TOKENS else _TOKENS_OF_SENTENCE)
    return 6 * model.num_parameters() * steps * config.passes * tokens / _FLOPS >= _LEAST_SECONDS


def compile_layers(model: Transformer, *, message: Callable[[str], None]) -> None:
    """Have the layers compiled at their first call; the first call of each stack reports its seconds."""
    for name, stack in (("encoder", model.encoder), ("decoder", model.decoder)):
        for layer in stack.layers:
            layer.compile(dynamic=True)
        if len(stack.layers):
            _report_first_call(stack, name, message)


def uncompile_layers(model: Transformer) -> None:
    """Have the layers run as they are written."""
    for layer in (*model.encoder.layers, *model.decoder.layers):
        layer._compiled_call_impl = None


def _report_first_call(stack: nn.Module, name: str, message: Callable[[str], None]) -> None:
    began: list[float] = []

    def before(module: nn.Module, inputs: Any) -> None:
        began.append(time.monotonic())

    def after(module: nn.Module, inputs: Any, output: Any) -> None:
        message(f"the layers of the {name} are compiled: {time.monotonic() - began[0]:.0f} s, kept on disk")
        for handle in handles:
            handle.remove()

    handles = [stack.register_forward_pre_hook(before), stack.register_forward_hook(after)]
