"""The functions of ``import pellucid``: the same jobs as those of the command line, without a screen.

Every function checks the types of its arguments first, so that a wrong type causes a clear message here, not an obscure
error deep in the library.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Final, ParamSpec, Self, TypeVar

from pellucid.analysis.checks import CheckReport, check
from pellucid.analysis.heads import HeadShares, head_shares
from pellucid.config import Recipe
from pellucid.config import load_recipe as read_recipe
from pellucid.errors import RequestError
from pellucid.figures.plots import Plots
from pellucid.jobs.models import EngineName, EnginePrecision, open_translator
from pellucid.jobs.train import QuietReporter, TrainOutcome
from pellucid.jobs.train import train as train_job
from pellucid.page.notebook import mime_bundle
from pellucid.page.single_file import StartView, write_page
from pellucid.tracing import record
from pellucid.tracing.file import load_trace, save_trace
from pellucid.tracing.making import trace as make_trace
from pellucid.translation.translator import Translator

__all__ = ["Trace", "load", "load_recipe", "trace", "train"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_PATH: Final = (str, os.PathLike)
_NONE: Final = type(None)
_LOG: Final = logging.getLogger("pellucid")
_MAKERS: Final = {Recipe: "pellucid.load_recipe", Translator: "pellucid.load"}


def _takes(
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
    words = {_NONE: "None", os.PathLike: "Path"}
    several = kinds if isinstance(kinds, tuple) else (kinds,)
    names = " or ".join(words.get(kind, kind.__name__) for kind in several)
    makers = [f", which {maker} returns" for kind, maker in _MAKERS.items() if kind in several]
    return names + "".join(makers)


@_takes(path=_PATH, device=str, threads=int, engine=str, precision=str)
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


@_takes(recipe=Recipe, output=_PATH, init_from=(*_PATH, _NONE), say=Callable)  # type: ignore[arg-type]
def train(
    recipe: Recipe,
    output: str | Path,
    *,
    init_from: str | Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> TrainOutcome:
    """Train with a recipe into a run folder, or continue the run in that folder.

    ``say`` receives sentences about the progress.

    Raises:
        PellucidError: the text, a setting or the run folder is wrong; the class says which.
        StoppedError: training stopped early; the same call continues it.
    """
    reporter = QuietReporter(say)
    return train_job(recipe, Path(output), init_from=Path(init_from) if init_from else None, reporter=reporter)


@_takes(path=_PATH, settings=(list, tuple))
def load_recipe(path: str | Path, settings: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe file and apply ``key=value`` settings on top.

    Raises:
        ConfigError: the file is missing, is not TOML, or has wrong values; the message lists all problems.
        RequestError: an argument has the wrong type.
    """
    return read_recipe(Path(path), settings)


class Trace(record.Trace):
    """Everything that a model did with a sentence; ``trace["decoder.3.cross_attention.weights"]`` is an array.

    The record itself does not import the rooms that use traces. Each method here is one call to such a room, so this
    class also lists what Python code can do with a trace.
    """

    @classmethod
    def of(cls, trace: record.Trace) -> Self:
        """Return a record with the methods of this class."""
        return cls(**{field.name: getattr(trace, field.name) for field in fields(trace)})

    @property
    def plot(self) -> Plots:
        """Figures for papers: ``trace.plot.attention(layer=5).savefig("fig.pdf")``; requires the extra ``plots``."""
        return Plots(self)

    def check(self) -> CheckReport:
        """Test every identity that must hold between the stored numbers; a failure is reported, not raised."""
        return check(self)

    def head_shares(self, place: str) -> HeadShares:
        """Return the part that each head of an attention, such as ``decoder.3.cross_attention``, adds to its output.

        Raises:
            RequestError: there is no such attention, or no model is attached.
        """
        return head_shares(self, place)

    def save(self, path: str | Path) -> None:
        """Write everything except the model to one .npz file, which contains numbers and JSON but no code.

        Raises:
            DataError: the file cannot be written.
            StoppedError: the disk is full.
        """
        save_trace(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that ``save`` wrote; ``attach`` gives the trace its model again.

        Raises:
            DataError: the file is missing, damaged or not a trace.
        """
        return cls.of(load_trace(Path(path)))

    def to_html(
        self,
        path: str | Path,
        *,
        view: str | None = None,
        kind: str | None = None,
        layer: int | None = None,
        heads: Sequence[int] = (),
        weights: str | None = None,
    ) -> tuple[str, ...]:
        """Write the page of this trace as one file that needs no server and no network; return the omitted parts.

        Args:
            path: the HTML file.
            view: the first view, such as ``attention``.
            kind: ``encoder``, ``decoder`` or ``cross``.
            layer: counted from 0.
            heads: counted from 0.
            weights: attention weights: ``none``, ``layer`` (of the first view) or ``all``; None includes what fits.

        Raises:
            RequestError: the view, kind, layer, head or weights do not exist, or no model is attached.
        """
        start = StartView(view=view, kind=kind, layer=layer, heads=heads)
        return write_page(self, Path(path), start=start, weights=weights)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Show the trace in a notebook: the page in a frame, and a text and a picture where frames are not shown."""
        return mime_bundle(self)


def _on_the_surface(make: Callable[_Parameters, record.Trace]) -> Callable[_Parameters, Trace]:
    """Wrap a function that returns a trace so that it returns a ``pellucid.Trace``."""

    @wraps(make)
    def wrapped(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Trace:
        return Trace.of(make(*args, **kwargs))

    return wrapped


trace = _takes(translator=Translator, text=str, edits=(list, tuple), level=str, target=(str, _NONE))(
    _on_the_surface(make_trace)
)
