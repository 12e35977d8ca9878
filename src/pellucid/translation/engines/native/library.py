"""Load ``engine.c``, compiled for this machine. Read ``layout.py`` next."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from pellucid.compiled.compiler import compiled_library
from pellucid.errors import EngineUnavailableError, counted
from pellucid.translation.engines.native import layout

__all__ = ["SOURCE", "Library", "load_library"]

SOURCE: Final = Path(__file__).with_name("engine.c")


class Library:
    """The entry points of ``engine.c``, with their types.

    Raises:
        EngineUnavailableError: the library cannot be loaded, or its records are not those of ``layout.py``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise EngineUnavailableError(f"the compiled engine {path} cannot be loaded: {error}") from None
        library.engine_sizes.argtypes = [ctypes.c_int32]
        for number, record in enumerate(layout.RECORDS):
            if library.engine_sizes(number) != ctypes.sizeof(record):
                raise EngineUnavailableError(
                    f"{path}: the record {record.__name__} has "
                    f"{counted(library.engine_sizes(number), 'byte')} in C and "
                    f"{ctypes.sizeof(record)} in Python; remove the file, and it is compiled again"
                )
        library.engine_new_worker.argtypes = [ctypes.c_void_p, *[ctypes.c_int32] * 3]
        library.engine_new_worker.restype = ctypes.c_void_p
        library.engine_end_worker.argtypes = [ctypes.c_void_p]
        library.engine_end_worker.restype = None
        library.engine_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        library.engine_run.restype = None
        self.columns: int = library.engine_columns()
        """Outputs of a linear map that stand together in the packed weights."""
        self.new_worker = library.engine_new_worker
        self.end_worker = library.engine_end_worker
        self.run = library.engine_run


def load_library(say: Callable[[str], None] = lambda text: None) -> Library:
    """Return the engine for this machine; compile it where the cache folder does not hold it yet.

    ``say`` is called with a sentence before it is compiled, which takes seconds.

    Raises:
        EngineUnavailableError: there is no compiler, or it fails; the message says which and why.
    """
    return _loaded(compiled_library(SOURCE, what="the native engine", say=say))


@cache
def _loaded(path: Path) -> Library:
    return Library(path)
