"""The functions of ``import pellucid``: the same jobs as those of the command line, without a screen.

Every function checks the types of its arguments first, so that a wrong type causes a clear message here, not an obscure
error deep in the library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from typing import ParamSpec, Self

from pellucid.analysis.attribution.alti import Contributions
from pellucid.analysis.attribution.methods import attribute_trace, contributions
from pellucid.analysis.attribution.record import Attribution
from pellucid.analysis.checks import CheckReport, check
from pellucid.analysis.effect import Effect, edit_trace
from pellucid.analysis.head_effects import head_effects
from pellucid.analysis.heads import HeadShares, head_shares
from pellucid.analysis.lens import LogitLens, logit_lens
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
from pellucid.tracing.editing.sample import Sample
from pellucid.tracing.editing.text import Edit, parse_edits
from pellucid.tracing.file import load_trace, save_trace
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.predictions import Array
from pellucid.tracing.searching import record as searching
from pellucid.tracing.searching.making import search_tree as make_tree
from pellucid.translation.translator import Translator

__all__ = ["SearchTree", "Trace", "attribute", "load", "load_recipe", "search_tree", "trace", "train"]

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

    def edit(self, *edits: Edit | str, samples: Sequence[Sample] = ()) -> Effect:
        """Translate the sentence again with edits, and compare: ``trace.edit("encoder.5.self_attention.head.3=zero")``.

        Args:
            edits: records or texts, see ``tracing/editing/text.py``; a text may have several, separated by semicolons.
            samples: samples of sentence pairs that texts name as ``mean:...``.

        Raises:
            RequestError: an edit does not fit, the trace has edits already, or no model is attached.
        """
        made = [
            one for edit in edits for one in (parse_edits(edit, samples=samples) if isinstance(edit, str) else [edit])
        ]
        effect = edit_trace(self, made, samples=samples)
        return replace(effect, after=Trace.of(effect.after))

    def head_effects(self) -> Array:
        """Return the change of the log-probability of every piece when one head is off, [heads, steps].

        The heads are those of all attentions, in the order of ``analysis.head_effects.heads_of``.

        Raises:
            RequestError: no model is attached.
        """
        return head_effects(self)

    def head_shares(self, place: str) -> HeadShares:
        """Return the part that each head of an attention, such as ``decoder.3.cross_attention``, adds to its output.

        Raises:
            RequestError: there is no such attention, or no model is attached.
        """
        return head_shares(self, place)

    def attribute(
        self,
        *,
        method: str = "alti_logit",
        step: int | None = None,
        against: str | None = None,
        quantity: str = "logit",
        points: int | None = None,
    ) -> Attribution:
        """Return how much each source piece and each earlier target piece has to do with what the steps write.

        The arguments are those of ``pellucid.attribute``.
        """
        return attribute_trace(self, method=method, step=step, against=against, quantity=quantity, points=points)

    def contributions(self) -> Contributions:
        """Return the matrices of ALTI+: where the states of every layer come from.

        Raises:
            RequestError: no model is attached, or an edit replaces more than weights or values of an attention.
        """
        return contributions(self)

    def lens(self, *, top: int = 10) -> LogitLens:
        """Return what the decoder would write if it ended after each sub-layer; read its ``caveat``.

        Raises:
            RequestError: no model is attached, or ``top`` is larger than the vocabulary.
        """
        return logit_lens(self, top=top)

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
    translator=Translator,
    text=str,
    edits=(list, tuple),
    level=str,
    target=(str, NONE),
    target_ids=(list, tuple, NONE),
    samples=(list, tuple),
)(_on_the_surface(make_trace))


@takes(
    translator=Translator,
    text=str,
    method=str,
    target=(str, NONE),
    step=(int, NONE),
    against=(str, NONE),
    quantity=str,
    points=(int, NONE),
)
def attribute(
    translator: Translator,
    text: str,
    *,
    method: str = "alti_logit",
    target: str | None = None,
    step: int | None = None,
    against: str | None = None,
    quantity: str = "logit",
    points: int | None = None,
) -> Attribution:
    """Return how much each source piece and each earlier target piece has to do with what the model writes.

    Args:
        translator: has one Transformer.
        text: one sentence.
        method: ``input_x_gradient``, ``integrated_gradients``, ``occlusion``, ``value_zeroing``, ``alti`` or
            ``alti_logit``; see ``pellucid.analysis.attribution``.
        target: a translation to explain instead of the translator's best one.
        step: the step to explain, counted from 0; None explains every step.
        against: explain why the step writes its piece and not this word; requires a step.
        quantity: ``logit`` or ``log_probability``.
        points: of the integral of ``integrated_gradients``; None takes as many as its sums need.

    Raises:
        RequestError: the text cannot be traced; or the method, step, word or quantity does not exist or does not fit.
    """
    trace = make_trace(translator, text, target=target, level="tokens")
    return attribute_trace(trace, method=method, step=step, against=against, quantity=quantity, points=points)


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
