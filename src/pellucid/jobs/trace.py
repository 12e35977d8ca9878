"""``pellucid.Trace``: the record of a trace together with what the other rooms do with one.

The record itself (``tracing/record.py``) knows no room above its own. Here every method is one call to the room that
does the work, so this file is also the list of what can be done with a trace from Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Self

from pellucid.analysis.checks import CheckReport, check
from pellucid.analysis.heads import HeadShares, head_shares
from pellucid.figures.plots import Plots
from pellucid.page.notebook import mime_bundle
from pellucid.page.single_file import StartView, write_page
from pellucid.tracing import record
from pellucid.tracing.file import load_trace, save_trace

__all__ = ["Trace"]


class Trace(record.Trace):
    """What a model did with a sentence; ``trace["decoder.3.cross_attention.weights"]`` is an array."""

    @classmethod
    def of(cls, trace: record.Trace) -> Self:
        """Return a record with the methods of this class."""
        return cls(**{field.name: getattr(trace, field.name) for field in fields(trace)})

    @property
    def plot(self) -> Plots:
        """Figures for papers: ``trace.plot.attention(layer=5).savefig("fig.pdf")``; requires the extra ``plots``."""
        return Plots(self)

    def check(self) -> CheckReport:
        """Test every identity that must hold between the stored numbers; never raises for one that does not."""
        return check(self)

    def head_shares(self, place: str) -> HeadShares:
        """Return what each head of an attention, such as ``decoder.3.cross_attention``, adds to its output.

        Raises:
            RequestError: there is no such attention, or the model is not at hand.
        """
        return head_shares(self, place)

    def save(self, path: str | Path) -> None:
        """Write it all but the model to one file, .npz, that holds numbers and JSON and nothing executable.

        Raises:
            DataError: the file cannot be written there.
            StoppedError: the disk is full.
        """
        save_trace(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``save`` wrote; the model is not at hand until ``attach``.

        Raises:
            DataError: the file is missing, damaged or no trace.
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
        """Write the page of this trace as one file that needs no server and no network; return what it leaves out.

        Args:
            path: of the HTML file.
            view: what it opens with, such as ``attention``.
            kind: ``encoder``, ``decoder`` or ``cross``.
            layer: counted from 0.
            heads: counted from 0.
            weights: of the attention: ``none``, of the ``layer`` it opens with, or ``all``; None is as many as fit.

        Raises:
            RequestError: the view, kind, layer, head or weights do not exist, or the model is not at hand.
        """
        start = StartView(view=view, kind=kind, layer=layer, heads=heads)
        return write_page(self, Path(path), start=start, weights=weights)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Show it in a notebook: the page in a frame, and a text and a picture for what shows no frames."""
        return mime_bundle(self)
