"""``pellucid.compare``: two traces, everything that they have in common, and the signed difference.

Read ``inspect.py`` next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from pellucid.analysis.comparison import record as comparing
from pellucid.analysis.comparison.report import lines_of, quantities_of, records_of
from pellucid.jobs.loading import NONE, takes
from pellucid.page.notebook import mime_bundle
from pellucid.page.single_file import StartView, write_page
from pellucid.terminal import line_of
from pellucid.tracing.file import write_whole
from pellucid.tracing.record import Trace

__all__ = ["Comparison", "compare"]


class Comparison(comparing.Comparison):
    """The difference of two traces; ``print(comparison)`` sums it up.

    In a notebook, the page appears with the view "Compare".
    """

    def __str__(self) -> str:
        return "\n".join(map(line_of, lines_of(self)))

    def to_records(self) -> dict[str, object]:
        """Return the summary, and the largest difference of every site or the reason why it has none, for JSON."""
        return records_of(self) | {"quantities": quantities_of(self)}

    def to_json(self, path: str | Path) -> None:
        """Write the records to a file.

        Raises:
            DataError: the file cannot be written.
            StoppedError: the disk is full.
        """
        write_whole(Path(path), (json.dumps(self.to_records(), ensure_ascii=False, indent=1) + "\n").encode())

    def to_html(self, path: str | Path, *, weights: str | None = None) -> tuple[str, ...]:
        """Write the page of the first trace with this comparison as one file; return the omitted parts.

        Raises:
            RequestError: ``weights`` is wrong (see ``Trace.to_html``), or a trace has no model.
        """
        start = StartView(view="compare")
        return write_page(self.first, Path(path), start=start, weights=weights, beside=self.second)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Show the comparison in a notebook: the page in a frame, and a text where frames are not shown."""
        return mime_bundle(self.first, beside=self.second) | {"text/plain": str(self)}


@takes(first=Trace, second=Trace, layers=(dict, NONE), heads=str)
def compare(
    first: Trace,
    second: Trace,
    *,
    layers: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    heads: str = "auto",
) -> Comparison:
    """Compare two traces: of two sentences, two models or snapshots, or before and after an edit.

    ``compare(first, second)[site]`` is second minus first in float64, for every site and for ``probabilities``, on the
    pieces and heads that belong together: weights are [matched heads, matched rows, matched columns].
    ``comparison.reason(site)`` says why a site has none, ``comparison.plan`` what is matched. ``comparison.heads`` has
    the heads that differ most first, and ``comparison.step_log_probabilities`` [matched steps, 2, 2] the
    log-probabilities of both translations in both traces.

    Args:
        first: a trace.
        second: another one.
        layers: for ``encoder`` or ``decoder``, the pairs (layer of the first, layer of the second); a stack that is not
            named has its layers matched by their share of the depth.
        heads: ``number`` matches heads by their numbers; ``rows`` by the mean cosine of their matched rows of weights,
            so that the sum over the heads of a layer is the largest possible; ``auto`` is ``number`` if both traces are
            of the same weights, otherwise ``rows``.

    Raises:
        RequestError: ``layers`` or ``heads`` has a wrong value.
    """
    made = comparing.compare(first, second, layers=layers, heads=heads)
    return Comparison(**{field.name: getattr(made, field.name) for field in fields(made)})
