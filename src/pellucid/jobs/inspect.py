"""Look inside from the command line: one sentence becomes a trace, and the trace a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pellucid.errors import BundleError, RequestError
from pellucid.inspection.checks import CheckReport
from pellucid.inspection.opened import OpenedModel
from pellucid.inspection.single_file import StartView, write_page
from pellucid.inspection.trace import Trace
from pellucid.inspection.tracing import trace as make_trace
from pellucid.jobs.models import translator_of
from pellucid.jobs.serve import open_catalogue

__all__ = ["Inspected", "inspect_text", "refuse_name", "write_inspected"]

_PAGES = (".html", ".htm")
_NUMBERS = ".npz"


@dataclass(frozen=True)
class Inspected:
    """A traced sentence, the model it is of, and whether its numbers add up."""

    trace: Trace
    opened: OpenedModel
    report: CheckReport

    def to_text(self) -> str:
        """Return the lines for the screen."""
        lines = [f"{self.trace.source} → {self.trace.text}"]
        tested = f"{len(self.report.identities):,} identities between its numbers tested"
        if self.report.passed:
            lines.append(f"{tested}, all hold")
        else:
            lines.append(f"warning: {tested}, {len(self.report.failures):,} do not hold; do not trust its numbers")
            lines += [f"  {failed.site}: {failed.equation}" for failed in self.report.failures[:5]]
        return "\n".join(lines)


def inspect_text(
    model: Path | None,
    text: str,
    *,
    target: str | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    threads: int = 0,
) -> Inspected:
    """Translate one sentence and trace it.

    Args:
        model: a model folder or a run folder; None is the walkthrough model.
        text: the sentence.
        target: a translation to look at instead of the model's own.
        settings: ``key=value`` of ``[translation]``.
        device: what computes.
        threads: of the processor; 0 is all.

    Raises:
        BundleError: there is no usable model there.
        ConfigError: a setting is unknown or out of range.
        RequestError: the text cannot be traced.
    """
    opened = open_catalogue([model] if model else [], device=device, threads=threads).models[0]
    if settings:
        origin = opened.translator.origin
        if origin is None:
            raise BundleError(f"{model}: was not read as a model folder, so --set has nothing to act on")
        opened = replace(opened, translator=translator_of(origin, settings=settings))
    trace = make_trace(opened.translator, text, target=target)
    return Inspected(trace=trace, opened=opened, report=trace.check())


def refuse_name(output: Path) -> None:
    """Refuse a file whose name does not say what to write, and a folder that is not there, before any work.

    Raises:
        RequestError: it is such a name.
    """
    if output.suffix.lower() not in (*_PAGES, _NUMBERS):
        raise RequestError(
            f"--output {output}: what is written follows the end of the name: .html is the page, .npz the numbers; "
            "with --figure it may be .pdf, .svg or .png"
        )
    if not output.parent.is_dir():
        raise RequestError(f"--output {output}: {output.parent} is no folder; make it, or name another")


def write_inspected(
    inspected: Inspected, output: Path, *, start: StartView | None = None, weights: str | None = None
) -> str:
    """Write a trace as the page in one file (.html), or for other programs (.npz); return what to tell of it.

    Raises:
        RequestError: the name ends in something else; or a view, layer, head or ``weights`` does not exist.
        DataError: the file cannot be written there.
        StoppedError: the disk is full.
    """
    refuse_name(output)
    if output.suffix.lower() == _NUMBERS:
        inspected.trace.save(output)
        return f"wrote {output}; pellucid.Trace.load reads it"
    left_out = write_page(inspected.trace, output, opened=inspected.opened, start=start, weights=weights)
    missing = f"\nleft out, and to be seen with 'pellucid serve': {'; '.join(left_out)}" if left_out else ""
    return f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB); open it in a browser, no server is needed{missing}"
