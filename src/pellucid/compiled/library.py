"""Load the C files of training, whose work is divided among the threads of torch.

Between two operations of torch, its threads wait busily for the next one. Threads of our own would share the cores
with them: with the default of OpenMP, two took as long as one (docs/log.md, 2026-11-28: threads and shapes of a step).
So the C files get the function with which OpenMP gives work to the threads of torch; where there is none, they start
threads of their own.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Final

import torch

from pellucid.errors import EngineUnavailableError

__all__ = ["open_library", "threads_of_torch"]

_TORCH: Final = Path(torch.__file__).parent / "lib" / f"libtorch_cpu.{'dylib' if sys.platform == 'darwin' else 'so'}"


def open_library(path: Path, *, prefix: str, what: str, record: type[ctypes.Structure]) -> ctypes.CDLL:
    """Load a compiled C file that includes ``team.h``, and let it use the threads of torch.

    Its functions begin with ``prefix``. ``what`` it is stands in errors; ``record`` is the twin of its record ``Job``.

    Raises:
        EngineUnavailableError: the library cannot be loaded, or its record is not that of Python.
    """
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise EngineUnavailableError(f"the compiled {what} {path} cannot be loaded: {error}") from None
    if library[f"{prefix}_job_size"]() != ctypes.sizeof(record):
        raise EngineUnavailableError(
            f"{path}: its record is not that of this version; remove the file, and it is compiled again"
        )
    library.team_uses.argtypes = [ctypes.c_void_p]
    library.team_uses.restype = None
    library.team_uses(threads_of_torch())
    return library


@cache
def threads_of_torch() -> int | None:
    """Return the address of ``GOMP_parallel`` in the OpenMP with which torch is linked; None if it has none.

    A lookup in a loaded library also looks into those that it is linked with, so it finds no other OpenMP.
    """
    try:
        return ctypes.cast(ctypes.CDLL(str(_TORCH)).GOMP_parallel, ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None
