"""The functions of ``import pellucid``: the same jobs as those of the command line, without a screen.

Every function checks the types of its arguments first, so that a wrong type causes a clear message here, not an obscure
error deep in the library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import ParamSpec, Self

from pellucid.analysis.checks import CheckReport, check
from pellucid.analysis.heads import HeadShares, head_shares
from pellucid.config import Recipe
from pellucid.config import load_recipe as read_recipe
from pellucid.figures.plots import Plots
from pellucid.figures.search_tree import tree_text
from pellucid.figures.terminal import TerminalStyle
from pellucid.jobs.loading import NONE, PATH, load, takes
from pellucid.jobs.train import QuietReporter, TrainOutcome
from pellucid.jobs.train import train as train_job
from pellucid.page.notebook import mime_bundle
from pellucid.page.single_file import StartView, write_page
from pellucid.tracing import record
from pellucid.tracing.file import load_trace, save_trace
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.searching import record as searching
from pellucid.tracing.searching.making import search_tree as make_tree
from pellucid.translation.translator import Translator

__all__ = ["SearchTree", "Trace", "load", "load_recipe", "search_tree", "trace", "train"]

_Parameters = ParamSpec("_Parameters")


@takes(recipe=Recipe, output=PATH, init_from=(*PATH, NONE), say=Callable)  # type: ignore[arg-type]
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


@takes(path=PATH, settings=(list, tuple))
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


trace = takes(
    translator=Translator, text=str, edits=(list, tuple), level=str, target=(str, NONE), target_ids=(list, tuple, NONE)
)(_on_the_surface(make_trace))


class SearchTree(searching.SearchTree):
    """Every candidate of every step of a search; ``print(tree.to_text())`` draws it."""

    def to_text(self, *, width: int = 100, ascii_only: bool = False) -> str:
        """Return the tree as lines for a terminal, the best hypothesis as its trunk."""
        return tree_text(self, style=TerminalStyle(width=width, ascii_only=ascii_only))


@takes(translator=Translator, text=str, reference=(str, NONE))
def search_tree(translator: Translator, text: str, *, reference: str | None = None, **settings: object) -> SearchTree:
    """Search for the translation of one sentence, and return every step of it.

    The result of the search is that of ``translator.translate`` on the torch engine, bit for bit.

    Args:
        translator: has one Transformer.
        text: one sentence, short enough to translate in one part.
        reference: a translation to look for in the tree: did the search lose it, or does the model not want it?
        **settings: of ``TranslationConfig``, for this search: ``beam_size=4`` or ``sampling=True``.

    Raises:
        ConfigError: a setting is unknown or wrong.
        RequestError: an argument cannot be used, or the search is one that the tree does not show.
    """
    made = make_tree(translator, text, reference=reference, settings=settings)
    return SearchTree(**{field.name: getattr(made, field.name) for field in fields(made)})
