"""Answers about two traces: ``beside/{other}``, a path below ``api/traces/{id}``.

    beside/{other}                 which pieces, layers and heads belong together, and what differs: see
                                   ``analysis/comparison/report.py``
    beside/{other}/...             the same paths as for a trace itself, about the other one

``other`` is the id of a trace, or ``before`` for the trace before the edits, which then is the first of the two.
Read ``serving/app.py`` next.
"""

from __future__ import annotations

from pellucid.analysis.comparison.record import compare
from pellucid.analysis.comparison.report import records_of
from pellucid.page.answers import Answer, json_answer
from pellucid.page.answers_model import short_provenance
from pellucid.tracing.record import Trace

__all__ = ["BEFORE", "comparison_answer"]

BEFORE = "before"
"""The name of the trace before the edits, where an id could stand."""


def comparison_answer(first: Trace, second: Trace, *, names: tuple[str | None, str | None]) -> Answer:
    """Answer ``beside/{other}``; ``names`` are the ids of both models on the page."""
    records = records_of(compare(first, second))
    for side, trace, name in (("first", first, names[0]), ("second", second, names[1])):
        record = records[side]
        if isinstance(record, dict):
            record |= {"model": name, "provenance": short_provenance(trace.provenance)}
            del record["model_folder"]
    return json_answer(records)
