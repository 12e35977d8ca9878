"""Look inside from the command line: trace one sentence, and write the trace to a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.analysis.attention_picture import refuse_heads
from pellucid.analysis.checks import CheckReport, check
from pellucid.analysis.effect import Effect, edit_trace
from pellucid.analysis.health import health_of
from pellucid.analysis.measured import measured_for
from pellucid.config import ModelConfig
from pellucid.errors import RequestError, counted
from pellucid.jobs.comparing.inspect import Other, compare_with
from pellucid.jobs.comparing.surface import Comparison, compare
from pellucid.jobs.serve import InsideOptions
from pellucid.page.catalogue import OpenedModel
from pellucid.page.samples import sample_of
from pellucid.page.single_file import StartView, write_page
from pellucid.terminal import line_of
from pellucid.tracing.editing.text import parse_edits
from pellucid.tracing.file import save_trace
from pellucid.tracing.making import trace as make_trace
from pellucid.tracing.record import Trace
from pellucid.tracing.sites import AttentionKind, refuse_outside
from pellucid.translation.constraints import max_length_of
from pellucid.translation.translator import Translator

__all__ = ["Inspected", "Picture", "inspect_text", "refuse_name", "write_inspected"]

_PAGES = (".html", ".htm")
_NUMBERS = ".npz"
_DIFFERENCES = ".json"


@dataclass(frozen=True)
class Inspected:
    """The trace of a sentence, its model, and the report whether its numbers add up."""

    trace: Trace
    opened: OpenedModel
    report: CheckReport
    effect: Effect | None = None
    """What the edits do, if there are any; ``trace`` is then the one after the edits."""
    comparison: Comparison | None = None
    """With another sentence, model or snapshot; with edits, of the translation before them and after them."""

    def to_text(self) -> str:
        """Return the lines for the screen."""
        lines = [f"{line_of(self.trace.source)} → {line_of(self.trace.text)}"]
        if self.effect is not None:
            lines += [line_of(line) for line in str(self.effect).splitlines()]
        tested = f"{counted(len(self.report.identities), 'identity')} between its numbers tested"
        if self.report.passed:
            lines.append(f"{tested}, all hold")
        else:
            lines.append(f"warning: {tested}, {len(self.report.failures):,} do not hold; its numbers are unreliable")
            lines += [f"  {failed.site}: {failed.equation}" for failed in self.report.failures[:5]]
        return "\n".join([*lines, *self._signs()])

    def _signs(self) -> list[str]:
        """Return the signs of health that are raised, each with what it was worth when it was measured."""
        measurement = measured_for(self.trace)
        signs = health_of(self.trace, training_words=self.opened.training_words, measured=measurement.measured)
        raised = [sign for sign in signs if sign.is_raised]
        if not raised:
            return [
                f"none of {counted(len(signs), 'sign')} of a bad translation is "
                "raised; that is no proof that it is right"
            ]
        lines = [f"{len(raised)} of {counted(len(signs), 'sign')} of a bad translation raised:"]
        for sign in raised:
            worth = f"; {sign.worth.to_text()}" if sign.worth else ""
            lines.append(line_of(f"  {sign.name} {sign.value:.3g} (limit {sign.threshold:.3g}): {sign.text}{worth}"))
        return [*lines, line_of(measurement.to_text())]


@dataclass(frozen=True)
class Picture:
    """Whose attention a figure or the terminal shows; None leaves the choice to the picture."""

    kind: str | None = None
    layer: int | None = None
    heads: tuple[int, ...] | None = None

    def refuse_misfit(self, config: ModelConfig) -> None:
        """Refuse a kind, layer or head that a model does not have, before anything is computed.

        Raises:
            RequestError: there is none, or a head is named twice.
        """
        kind = AttentionKind.named(self.kind or "cross")
        if self.layer is not None:
            refuse_outside("layer", self.layer, kind.layers(config))
        if self.heads is not None:
            refuse_heads(self.heads, config.num_heads)


def inspect_text(
    model: Path | None,
    text: str,
    *,
    options: InsideOptions = InsideOptions(),
    target: str | None = None,
    picture: Picture | None = None,
    start: StartView | None = None,
    step: int | None = None,
    edits: Sequence[str] = (),
    other: Other | None = None,
) -> Inspected:
    """Translate one sentence and trace it; refuse a picture, view or step that does not exist before that.

    Args:
        model: a model folder or a run folder; None is the walkthrough model.
        text: the sentence.
        options: of the model.
        target: a translation to inspect instead of the model's.
        picture: the picture that a figure or the terminal will show.
        start: the first view of the page.
        step: the decoder step that will be shown. The translation decides how many steps there are; a step that no
            translation of this sentence can have is refused before it.
        edits: texts of edits, see ``tracing/editing/text.py``; each may have several, separated by semicolons.
        other: with what the sentence is compared; ``target`` and ``options`` are for both.

    Raises:
        BundleError: the folder has no usable model.
        ConfigError: a setting is unknown or out of range.
        RequestError: the text cannot be traced; or ``picture``, ``start`` or ``step`` does not exist.
    """
    opened = options.open(model)
    config = opened.translator.model.config
    if start is not None:
        start.checked(config)
    if picture is not None:
        picture.refuse_misfit(config)
    if step is not None:
        _refuse_step(
            step, _most_steps(opened.translator, text, target), whose="a translation of this sentence can have"
        )
    samples = [sample] if edits and (sample := sample_of(opened)) else []
    chosen = [edit for given in edits for edit in parse_edits(given, samples=samples)]
    before = make_trace(opened.translator, text, target=target)
    effect = edit_trace(before, chosen, samples=samples) if chosen else None
    trace = effect.after if effect else before
    if step is not None:
        _refuse_step(step, trace.tokens.target_length, whose="this translation has")
    found = compare(before, trace) if effect else None
    if other is not None:
        found = compare_with(other, trace, model, options=options, target=target)
    return Inspected(trace=trace, opened=opened, report=check(trace), effect=effect, comparison=found)


def _refuse_step(step: int, count: int, *, whose: str) -> None:
    if not 0 <= step < count:
        raise RequestError(f"--step {step}: {whose} steps 0 to {count - 1}, one for each piece and the end")


def _most_steps(translator: Translator, text: str, target: str | None) -> int:
    """Return the number of steps of a given translation, or the largest number that a search can return."""
    if target is not None:
        return len(translator.tokenizer.encode_target([target])[0]) + 1
    length = len(translator.tokenizer.encode_source([text])[0]) + 1
    longest = translator.model.config.max_positions
    return max_length_of(length, config=translator.config, stepper_max_length=longest)


def refuse_name(output: Path, *, is_compared: bool = False) -> None:
    """Refuse an output file with an unknown ending or in a missing folder, before any work.

    A comparison can be written as .json.

    Raises:
        RequestError: it has one of these faults.
    """
    if output.suffix.lower() == _DIFFERENCES and not is_compared:
        raise RequestError(f"--output {output}: .json is for a comparison; add --compare or --edit, or write .npz")
    if output.suffix.lower() not in (*_PAGES, _NUMBERS, _DIFFERENCES):
        raise RequestError(
            f"--output {output}: the ending must be .html for the page or .npz for the numbers; with --figure, .pdf, "
            ".svg or .png; with --compare, .json"
        )
    if not output.parent.is_dir():
        raise RequestError(f"--output {output}: {output.parent} is not a folder; create it, or name another")


def write_inspected(
    inspected: Inspected, output: Path, *, start: StartView | None = None, weights: str | None = None
) -> str:
    """Write a trace as the page in one file (.html), or for other programs (.npz); return a message about it.

    A comparison is part of the page, and can be written alone (.json).

    Raises:
        RequestError: the ending is unknown; or a view, layer, head or ``weights`` does not exist.
        DataError: the file cannot be written there.
        StoppedError: the disk is full.
    """
    comparison = inspected.comparison
    refuse_name(output, is_compared=comparison is not None)
    if comparison is not None and output.suffix.lower() == _DIFFERENCES:
        comparison.to_json(output)
        return f"wrote {output}"
    if output.suffix.lower() == _NUMBERS:
        save_trace(inspected.trace, output)
        return f"wrote {output}; pellucid.Trace.load reads it"
    beside = comparison.second if comparison is not None and inspected.effect is None else None
    left_out = write_page(inspected.trace, output, opened=inspected.opened, start=start, weights=weights, beside=beside)
    missing = f"\nleft out; 'pellucid serve' shows them: {'; '.join(left_out)}" if left_out else ""
    return f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB); open it in a browser, no server is needed{missing}"
