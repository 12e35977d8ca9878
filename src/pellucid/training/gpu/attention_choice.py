"""Choose the kernel of attention on a GPU by a measurement, once for each device and shape of head.

Torch chooses a kernel for every call by fixed rules, and its first choice on new GPUs is cuDNN, which plans 0.2 s for
every new shape: batches of sentences have new shapes all the time, and training ran at a tenth of its speed (one H200,
docs/log.md, 2026-11-26). So cuDNN never takes part, and a trial orders the others: flash attention, which takes no mask
of padding; the memory-efficient kernel; and separate products. The order is kept in the user's cache folder under the
names of the device and of torch's version. Read ``shapes.py`` next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from pellucid.durable import DISK, cache_folder
from pellucid.model.attention import fused_attention
from pellucid.runtime import Precision, Runtime
from pellucid.untrusted import parse_json, read_at_most

if TYPE_CHECKING:
    from pellucid.config import ModelConfig

__all__ = ["AttentionChoice", "Kernel", "attention_kernels", "choose_attention", "chosen_attention"]

_TRIAL_LENGTH: Final = 32
_TRIAL_TOKENS: Final = 8192
_TRIAL_CALLS: Final = 20
_LARGEST_RECORD: Final = 1 << 16


class Kernel(StrEnum):
    """A way to compute attention on a GPU."""

    FLASH = "flash"
    EFFICIENT = "memory-efficient"
    MATH = "separate products"


_BACKENDS: Final = {
    Kernel.FLASH: SDPBackend.FLASH_ATTENTION,
    Kernel.EFFICIENT: SDPBackend.EFFICIENT_ATTENTION,
    Kernel.MATH: SDPBackend.MATH,
}
_ORDERS: Final[tuple[tuple[Kernel, ...], ...]] = (
    (Kernel.FLASH, Kernel.EFFICIENT, Kernel.MATH),
    (Kernel.EFFICIENT, Kernel.MATH),
    (Kernel.FLASH, Kernel.MATH),
    (Kernel.MATH,),
)
"""The orders of the trial. Every one ends with the kernel that can compute any call."""


@dataclass(frozen=True)
class AttentionChoice:
    """The kernels in the order in which they are tried; the first that can compute a call does."""

    order: tuple[Kernel, ...]
    milliseconds: float
    """Of the trial: the attentions of one encoder and one decoder layer, forward and backward."""
    is_remembered: bool = False
    """Whether an earlier run measured it."""

    def to_text(self) -> str:
        """Return the line for the screen."""
        origin = "measured by an earlier run on this device" if self.is_remembered else "the fastest of a trial"
        return f"attention: {', then '.join(self.order)} ({origin}; never cuDNN, which plans for every new shape)"


Timer = Callable[[Sequence[Kernel]], float]
"""Returns the milliseconds of one round of the trial with an order of kernels."""


def choose_attention(config: ModelConfig, runtime: Runtime, *, timer: Timer | None = None) -> AttentionChoice | None:
    """Return the fastest order of kernels for a model on a GPU, from the cache or by a trial; None on a processor."""
    if timer is None:
        if not runtime.device.startswith("cuda"):
            return None
        trial = _Trial(config, runtime)
        timer = trial.milliseconds
    key = _key(config, runtime)
    folder = cache_folder()
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = None if folder is None else folder / f"attention-{name}.json"
    if path is not None and (found := _read(path, key)) is not None:
        return found
    seconds = {order: timer(order) for order in _ORDERS}
    best = min(_ORDERS, key=lambda order: seconds[order])
    choice = AttentionChoice(best, seconds[best])
    if path is not None:
        _write(path, key, choice)
    return choice


@contextmanager
def attention_kernels(choice: AttentionChoice | None) -> Iterator[None]:
    """Use the chosen kernels in this process, and afterwards those that were allowed before; None changes nothing."""
    if choice is None:
        yield
        return
    with sdpa_kernel([_BACKENDS[kernel] for kernel in choice.order], set_priority=True):
        yield


@contextmanager
def chosen_attention(config: ModelConfig, runtime: Runtime, *, message: Callable[[str], None]) -> Iterator[None]:
    """Choose the kernels for a model, say which, and use them; on a processor do nothing."""
    choice = choose_attention(config, runtime)
    if choice is not None:
        message(choice.to_text())
    with attention_kernels(choice):
        yield


class _Trial:
    """The attentions of an encoder layer and a decoder layer on random numbers."""

    def __init__(self, config: ModelConfig, runtime: Runtime) -> None:
        self._device = runtime.torch_device()
        dtype = torch.bfloat16 if runtime.precision is Precision.BF16 else torch.float32
        rows = max(1, _TRIAL_TOKENS // _TRIAL_LENGTH)
        shape = (rows, config.num_heads, _TRIAL_LENGTH, config.d_model // config.num_heads)
        generator = torch.Generator(self._device).manual_seed(0)  # the generator of the run stays as it is
        self._inputs = [
            torch.randn(shape, dtype=dtype, device=self._device, generator=generator, requires_grad=True)
            for _ in range(3)
        ]
        lengths = torch.arange(rows, device=self._device) % (_TRIAL_LENGTH // 2) + _TRIAL_LENGTH // 2
        self._mask = (torch.arange(_TRIAL_LENGTH, device=self._device) < lengths[:, None])[:, None, None, :]

    def milliseconds(self, order: Sequence[Kernel]) -> float:
        with sdpa_kernel([_BACKENDS[kernel] for kernel in order], set_priority=True):
            for _ in range(3):
                self._round()
            begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            begin.record()
            for _ in range(_TRIAL_CALLS):
                self._round()
            end.record()
            end.synchronize()
        return float(begin.elapsed_time(end)) / _TRIAL_CALLS

    def _round(self) -> None:
        queries, keys, values = self._inputs
        contexts = [
            fused_attention(queries, keys, values, may_attend=self._mask),
            fused_attention(queries, keys, values, may_attend=None, is_causal=True),
            fused_attention(queries, keys, values, may_attend=self._mask),
        ]
        torch.autograd.grad(contexts, self._inputs, grad_outputs=contexts)


def _key(config: ModelConfig, runtime: Runtime) -> dict[str, object]:
    """Return what the fastest kernel depends on."""
    device = "cpu" if runtime.device == "cpu" else torch.cuda.get_device_name(runtime.torch_device())
    return {
        "device": device,
        "torch": torch.__version__,
        "precision": runtime.precision.value,
        "heads": config.num_heads,
        "d_head": config.d_model // config.num_heads,
    }


def _read(path: Path, key: dict[str, object]) -> AttentionChoice | None:
    """Return the stored choice, or None: a file that cannot be believed is measured again."""
    try:
        table: Any = parse_json(read_at_most(path, _LARGEST_RECORD))
        order = tuple(map(Kernel, table["order"]))
        is_right = table["key"] == key and order in _ORDERS
        return AttentionChoice(order, float(table["milliseconds"]), is_remembered=True) if is_right else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(path: Path, key: dict[str, object], choice: AttentionChoice) -> None:
    record = {"key": key, **asdict(choice)}
    del record["is_remembered"]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        DISK.write_replacing(path, json.dumps(record, indent=1).encode())
    except OSError:
        return  # without a cache folder, every run measures
