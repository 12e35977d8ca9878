"""The device, precision and threads of a computation, as a record that callers pass on.

``Runtime.detect`` chooses what suits the machine and records the reasons. Only ``apply``, which a job calls, changes
settings of the process. Read ``config/`` next.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pellucid.errors import ConfigError, counted

if TYPE_CHECKING:
    import torch

__all__ = [
    "Precision",
    "Runtime",
    "devices_of",
    "has_gpu",
    "is_forked_from_torch",
    "is_lack_of_memory",
    "keeping_memory",
    "let_others_run_at_barriers",
    "module_paths",
    "threads_for",
]

_MOST_THREADS: Final = 1024
_SPINS: Final = 1000
_PRODUCT_CACHES: Final = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""The variables of oneDNN and of torch's interface to it."""
_KEPT_PRODUCTS: Final = 512
_GPU_DEVICES: Final = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""What the drivers of NVIDIA, of Windows' Linux and of AMD make; without them torch finds no GPU."""
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Precision(StrEnum):
    """Number format of the matrix products; weights, optimiser, softmax and loss stay in float32."""

    FP32 = "fp32"
    BF16 = "bf16"


@dataclass(frozen=True)
class Runtime:
    """The device, precision and threads of one run."""

    device: str
    precision: Precision
    threads: int
    reason: str
    """The reason for this precision, for the screen."""
    threads_reason: str = "as requested"
    """The reason for this number of threads, for the screen."""

    @staticmethod
    def detect(*, device: str = "auto", precision: str = "auto", threads: int = 0) -> Runtime:
        """Choose the device and precision for ``auto``, and the threads for 0; other values are taken as they are.

        On a processor, ``auto`` is fp32; a job that trains replaces it with the faster precision of a trial.

        0 threads means the number that torch uses in this process now: from ``torch.set_num_threads``, OMP_NUM_THREADS
        or MKL_NUM_THREADS, otherwise the physical cores available to the process.

        Raises:
            ConfigError: the device is not available, a name is unknown, or the number of threads is out of range.
        """
        import torch

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
        chosen_threads = threads_for(threads)
        chosen_precision, reason = _choose_precision(chosen_device, precision)
        if not threads:
            return Runtime(chosen_device, chosen_precision, chosen_threads, reason, _origin_of_threads())
        return Runtime(chosen_device, chosen_precision, chosen_threads, reason)

    def apply(self) -> None:
        """Change the settings of the whole process. Jobs call this before any computation.

        The number of threads is only set if it differs, and settings of CUDA only on a CUDA device.

        Raises:
            ConfigError: several threads in a process that was forked from one that called this.
        """
        import torch

        if self.threads > 1 and is_forked_from_torch():
            raise ConfigError(
                f"threads = {self.threads}: this process was forked from one that ran pellucid, and a fork does not "
                "copy its threads; use threads = 1 in forked processes, or start them with 'spawn'"
            )
        if self.threads != torch.get_num_threads():
            torch.set_num_threads(self.threads)
        if self.device.startswith("cuda"):
            # cuDNN's attention needs a plan of 0.2 s for every new shape, and batches of sentences have new shapes all
            # the time: with it the first minutes of training ran at a tenth of the speed.
            torch.backends.cuda.enable_cudnn_sdp(False)

    def to_text(self) -> str:
        """Return the device, threads and precision with their reasons, as a line for the screen."""
        return (
            f"{self.device}, {counted(self.threads, 'thread')} ({self.threads_reason}), {self.precision}: {self.reason}"
        )

    def torch_device(self) -> torch.device:
        """Return the device as a torch object."""
        import torch

        return torch.device(self.device)

    def device_name(self) -> str:
        """Return the name of the GPU, or ``cpu``."""
        import torch

        return self.device if self.device == "cpu" else torch.cuda.get_device_name(self.device)

    def describe(self) -> dict[str, str | int]:
        """Return the facts that two runs must share to be equal bit for bit, for the record of a run."""
        import torch

        facts: dict[str, str | int] = {k: v for k, v in asdict(self).items() if not k.endswith("reason")}
        facts["precision"] = self.precision.value
        facts["torch"] = torch.__version__
        facts["python"] = platform.python_version()
        facts["processor"] = torch.backends.cpu.get_cpu_capability()
        facts["machine"] = platform.machine()
        return facts


def has_gpu() -> bool:
    """Return whether torch would find a GPU; torch is imported only where the machine shows a sign of one."""
    is_without = platform.system() == "Linux" and not any(map(os.path.exists, _GPU_DEVICES))
    if is_without or platform.system() == "Darwin":
        return False
    import torch

    return torch.cuda.is_available()


def devices_of(device: str) -> tuple[str, ...]:
    """Return the devices among which work may be divided: all GPUs for ``auto`` and ``cuda``, else the one device."""
    if device not in ("auto", "cuda") or not has_gpu():
        return (device,)
    import torch

    count = torch.cuda.device_count()
    return tuple(f"cuda:{number}" for number in range(count)) if count > 1 else (device,)


def threads_for(threads: int) -> int:
    """Return how many threads compute: as many as asked for, and for 0 as many as torch uses. Does not import torch.

    Torch uses OMP_NUM_THREADS or MKL_NUM_THREADS, and without them the physical cores that the process may use.

    Raises:
        ConfigError: there are too many, or fewer than none.
    """
    if not 0 <= threads <= _MOST_THREADS:
        raise ConfigError(
            f"threads = {threads}; use 1 to {_MOST_THREADS}, or 0 for the default of torch, {_usual_threads()}"
        )
    return threads or _usual_threads()


def _usual_threads() -> int:
    if "torch" in sys.modules:
        import torch

        return torch.get_num_threads()
    for name in _THREAD_VARIABLES:
        if (value := os.environ.get(name, "").partition(",")[0]).isdecimal() and int(value):
            return min(int(value), _MOST_THREADS)
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
    return len({_core_of(processor) for processor in allowed})


def _core_of(processor: int) -> str:
    """Return what the threads of one physical core have in common."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list").read_text("ascii")
    except OSError:
        return str(processor)


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # For CPU memory torch has no special exception, only these words (c10/core/impl/alloc_cpu.cpp).
    words = ("not enough memory", "can't allocate memory", "out of memory", "bad_alloc")
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in words)


def let_others_run_at_barriers() -> None:
    """Let OpenMP's threads sleep soon while they wait for each other. This must happen before torch is imported.

    A thread that spins at a barrier looks busy to the kernel and shares its core evenly with other programs, so the
    other threads wait for it at every product. A thousand spins, about 20 microseconds, bridge the time between two
    operations, so that a quiet machine need not wake threads all the time. Measured on two cores, forward and backward
    pass of preset tiny with 1,024 tokens in bf16: on a nearly quiet machine 0.07 s, and 0.10 without spinning; beside
    25 busy programs 17 s with the default of libgomp, 1.4 s with a thousand spins, 0.9 s without (docs/log.md,
    2026-11-26). OMP_WAIT_POLICY and GOMP_SPINCOUNT override this; OpenMP libraries other than GCC's ignore it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_SPINS))


@contextmanager
def keeping_memory(device: str) -> Iterator[None]:
    """Let glibc keep freed memory for the length of a training run, and give it back afterwards.

    Every step allocates tensors of tens of megabytes; by default glibc maps each of them again, and every page of it
    faults. Measured: 12 % of a training step (docs/log.md, 2026-11-22). This is not for translation, where shapes do
    not repeat and the kept memory would only grow. With other C libraries, or on a GPU, this does nothing.

    On a processor it also bounds the prepared products that oneDNN keeps, one for each shape of a product in bf16, each
    of about 0.7 MB. Packed steps repeat their shapes; those of padded steps rarely come back, and keeping a thousand of
    them took 2.2 GB (docs/log.md, 2026-11-27 and 2026-11-28: threads and shapes of a step).
    """
    if device == "cpu":
        for variable in _PRODUCT_CACHES:  # read by torch at its first such product
            os.environ.setdefault(variable, str(_KEPT_PRODUCTS))
    if device != "cpu" or platform.libc_ver()[0] != "glibc":
        yield
        return
    most_mapped, top_pad, trim_threshold = -4, -2, -1
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(most_mapped, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 64 << 20)
    try:
        yield
    finally:
        # The defaults of glibc (malloc.c); it has no call to read the current values.
        libc.mallopt(most_mapped, 65536)
        libc.mallopt(trim_threshold, 128 << 10)
        libc.mallopt(top_pad, 128 << 10)
        libc.malloc_trim(0)


def _origin_of_threads() -> str:
    """Return the origin of torch's number of threads."""
    for name in _THREAD_VARIABLES:
        if value := os.environ.get(name):
            return f"{name}={value}"
    return "the current setting of torch; OMP_NUM_THREADS changes it"


class _Forks:
    """Knows the process that torch may use several threads in; those that are forked from it compute on one.

    A fork copies the calling thread only. Without OpenMP's other threads, the first product that needs them would wait
    for ever.
    """

    def __init__(self) -> None:
        self.home = os.getpid()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        if "torch" not in sys.modules:  # so none of its threads was left behind
            self.home = os.getpid()
            return
        import torch

        torch.set_num_threads(1)


def module_paths() -> str:
    """Return this interpreter's paths as PYTHONPATH: a child process must find the packages that this one finds."""
    return os.pathsep.join(path for path in sys.path if path)


@cache
def _forks() -> _Forks:
    return _Forks()


def is_forked_from_torch() -> bool:
    """Return whether this process was forked from one that pellucid ran in, with torch there; watch from now on."""
    return _forks().home != os.getpid()


def _choose_precision(device: str, precision: str) -> tuple[Precision, str]:
    import torch

    if precision != "auto":
        try:
            return Precision(precision), "as requested"
        except ValueError:
            raise ConfigError(f"precision = {precision!r} is unknown; use 'auto', 'fp32' or 'bf16'") from None
    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Precision.BF16, "this GPU multiplies bf16 in hardware"
        return Precision.FP32, "this GPU has no bf16 units"
    # No flag of a processor says which is faster; ``training.machine.precision`` measures it on a step of the model.
    return Precision.FP32, "the usual precision of a processor; training also tries bf16"
