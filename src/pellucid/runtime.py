"""Where and how numbers are computed: device, precision, threads, seeds. A value that is passed, never a global.

``Runtime.detect`` finds out what the machine is good at and says why; nothing here changes a
setting of the process until ``apply`` is called by a job. Read ``config/`` next.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pellucid.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["Precision", "Runtime", "is_lack_of_memory"]

_MOST_THREADS: Final = 1024


class Precision(StrEnum):
    """Number format of the matrix products; weights, optimiser, softmax and loss stay in float32."""

    FP32 = "fp32"
    BF16 = "bf16"


@dataclass(frozen=True)
class Runtime:
    """The machine as one run uses it."""

    device: str
    precision: Precision
    threads: int
    reason: str
    """Why this precision, in words for the screen."""

    @staticmethod
    def detect(*, device: str = "auto", precision: str = "auto", threads: int = 0) -> Runtime:
        """Choose device, precision and threads; ``auto`` and 0 are found out, the rest is obeyed.

        Raises:
            ConfigError: the device is not there, or a name is unknown.
        """
        import torch

        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
        chosen_device = device
        if device == "auto":
            chosen_device = "cuda" if torch.cuda.is_available() else "cpu"
        if not re.fullmatch(r"cpu|cuda(:\d+)?", chosen_device):
            raise ConfigError(f"device = {device!r} is unknown; use 'auto', 'cpu', 'cuda' or 'cuda:0', 'cuda:1' ...")
        if chosen_device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"device = {device!r}, but torch {torch.__version__} sees no CUDA device; use 'cpu'")
        index = int(chosen_device.partition(":")[2] or 0)
        if chosen_device.startswith("cuda") and index >= torch.cuda.device_count():
            raise ConfigError(f"device = {device!r}, but torch sees cuda:0 to cuda:{torch.cuda.device_count() - 1}")
        if not 0 <= threads <= _MOST_THREADS:
            raise ConfigError(
                f"threads = {threads}; use a number from 1 to {_MOST_THREADS}, or 0 for all {available} cores"
            )
        chosen_precision, reason = _choose_precision(chosen_device, precision)
        return Runtime(chosen_device, chosen_precision, threads or available, reason)

    def apply(self) -> None:
        """Set the thread count and the allocator of this process. Called by jobs, once, before any computing."""
        import torch

        torch.set_num_threads(self.threads)
        if self.device == "cpu":
            _keep_memory()

    def torch_device(self) -> torch.device:
        """Return the device as torch names it."""
        import torch

        return torch.device(self.device)

    def describe(self) -> dict[str, str | int]:
        """Return what must be equal for two runs to be equal bit for bit, for the record of a run."""
        import torch

        facts: dict[str, str | int] = {k: v for k, v in asdict(self).items() if k != "reason"}
        facts["precision"] = self.precision.value
        facts["torch"] = torch.__version__
        facts["python"] = platform.python_version()
        facts["processor"] = torch.backends.cpu.get_cpu_capability()
        facts["machine"] = platform.machine()
        return facts


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory was too small."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # For memory of the processor torch has no exception of its own, only words (c10/core/impl/alloc_cpu.cpp).
    words = ("not enough memory", "can't allocate memory", "out of memory", "bad_alloc")
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in words)


def _keep_memory() -> None:
    """Let glibc keep freed memory instead of handing each large tensor back to the system.

    A step allocates tensors of tens of megabytes again and again; by default each is mapped anew and
    every page of it faults. Measured: 12 % of a training step (docs/log.md, 2026-11-22). Other C
    libraries have no such call and are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    most_mapped, top_pad, trim_threshold = -4, -2, -1
    mallopt = ctypes.CDLL("libc.so.6").mallopt
    mallopt(most_mapped, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)


def _choose_precision(device: str, precision: str) -> tuple[Precision, str]:
    import torch

    if precision != "auto":
        try:
            return Precision(precision), "as asked"
        except ValueError:
            raise ConfigError(f"precision = {precision!r} is unknown; use 'auto', 'fp32' or 'bf16'") from None
    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported():
            return Precision.BF16, "this GPU multiplies bf16 in hardware"
        return Precision.FP32, "this GPU has no bf16 units"
    # avx512_bf16 alone is not enough: measured on such a processor, bf16 products ran at half the
    # speed of fp32 (docs/log.md, 2026-11-22). Tile units (AMX) are what makes bf16 pay.
    if torch.cpu._is_amx_tile_supported():
        return Precision.BF16, "this processor has AMX tiles for bf16"
    return Precision.FP32, "this processor has no AMX tiles, and without them fp32 is faster than bf16"
