"""Compare from the command line: the trace of ``inspect`` with that of another sentence, model or snapshot.

Read ``cli/inspect.py`` next.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pellucid.jobs.comparing.surface import Comparison, compare
from pellucid.jobs.serve import InsideOptions
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.record import Trace

__all__ = ["Other", "compare_with"]


@dataclass(frozen=True)
class Other:
    """With what a trace is compared; what is None is as in the trace."""

    text: str | None = None
    model: Path | None = None
    """A model folder or a run folder."""
    snapshot: int | None = None
    """Step of a snapshot of the run."""


def compare_with(
    other: Other,
    trace: Trace,
    model: Path | None,
    *,
    options: InsideOptions,
    target: str | None = None,
) -> Comparison:
    """Trace what a trace is compared with, and compare both.

    Args:
        other: what is compared.
        trace: the first trace.
        model: its folder; None is the walkthrough model.
        options: of both.
        target: the translation to inspect in both, instead of what each model writes.

    Raises:
        BundleError: the other folder has no usable model.
        RequestError: there is no such snapshot, or the text cannot be traced.
        ConfigError: a setting is unknown or out of range.
    """
    translator = trace.translator
    if translator is None or other.model is not None or other.snapshot is not None:
        translator = options.open(other.model or model, snapshot=other.snapshot).translator
    return compare(trace, make_trace(translator, trace.source if other.text is None else other.text, target=target))
