"""``pellucid.load``, and the check of arguments of the functions of ``import pellucid``.

It stands apart from ``surface.py``, so that a program that translates does not import torch.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from pellucid.config import Recipe
from pellucid.errors import RequestError
from pellucid.jobs.models import EngineName, EnginePrecision, open_translator
from pellucid.translation.translator import Translator

__all__ = ["NONE", "PATH", "load", "takes"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
PATH: Final = (str, os.PathLike)
NONE: Final = type(None)
_LOG: Final = logging.getLogger("pellucid")
_MAKERS: Final = {Recipe: "pellucid.load_recipe", Translator: "pellucid.load"}


def takes(
    **kinds: type | tuple[type, ...],
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Refuse a call with a missing argument, or with an argument of another type than these."""

    def refusing(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        signature = inspect.signature(function)

        @wraps(function)
        def checked(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                wanted = ", ".join(signature.parameters)
                raise RequestError(f"pellucid.{function.__name__}: {error}; it takes {wanted}") from None
            for name, value in given.items():
                if name in kinds and not isinstance(value, kinds[name]):
                    raise RequestError(
                        f"pellucid.{function.__name__}: {name} = {_shown(value)} is of type {type(value).__name__}; "
                        f"give {_in_words(kinds[name])}"
                    )
            return function(*args, **kwargs)

        return checked

    return refusing


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _in_words(kinds: type | tuple[type, ...]) -> str:
    words = {NONE: "None", os.PathLike: "Path"}
    several = kinds if isinstance(kinds, tuple) else (kinds,)
    names = " or ".join(words.get(kind, kind.__name__) for kind in several)
    makers = [f", which {maker} returns" for kind, maker in _MAKERS.items() if kind in several]
    return names + "".join(makers)


@takes(path=PATH, device=str, threads=int, engine=str, precision=str)
def load(
    path: str | Path,
    *,
    device: str = "auto",
    threads: int = 0,
    engine: str = EngineName.AUTO,
    precision: str = EnginePrecision.AUTO,
) -> Translator:
    """Load a model folder, a run folder, or an ONNX folder that pellucid exported.

    On a processor the native engine translates, a C file that is compiled for this machine at its first use, with
    weights rounded to 8 bits; ``precision="fp32"`` keeps them exact, and ``engine="torch"`` computes with the model
    itself, as everything does that looks into it. The logger ``pellucid`` says at level INFO which engine was taken.

    ``threads=0`` keeps the number of threads of this process: the one that ``torch.set_num_threads``, OMP_NUM_THREADS
    or MKL_NUM_THREADS set, or else torch's default, the physical cores that the process may use. A process that is
    forked afterwards translates with the loaded model on one thread.

    Raises:
        BundleError: the folder has no usable model; the message says why.
        EngineUnavailableError: the native engine is asked for and cannot be compiled here.
        RequestError: an argument has the wrong type.
    """
    return open_translator(
        Path(path), device=device, threads=threads, engine=engine, precision=precision, say=_LOG.info
    )
