"""Compare a finished run with what its recipe promises, for ``pellucid train --check``.

The margin below a promised score is twice its spread over seeds; where only one seed was measured, it is half of the
95 % interval of this evaluation, so the same test set with other sentences would decide alike. Read
``pellucid.config.promise`` for the figures, and ``evaluate.py`` for the scores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pellucid.config import CorpusConfig, DataConfig, Promise, PromisedScore, Recipe, load_recipe
from pellucid.durable import DISK
from pellucid.errors import ConfigError, counted
from pellucid.evaluation.metrics import MetricName
from pellucid.evaluation.report import EvaluationReport
from pellucid.jobs.choosing.preset import settings_in_words
from pellucid.jobs.evaluate import evaluate_files
from pellucid.jobs.options.translation import ModelOptions
from pellucid.jobs.run_folder import settings_of
from pellucid.jobs.train import TrainOutcome
from pellucid.text.corpus import verify_corpora
from pellucid.training.resuming import differences

__all__ = ["PromiseCheck", "ScoreCheck", "changed_settings", "check_promise", "promise_of"]

MISSED_STATUS: Final = 3
"""Exit status of ``--check`` if the promise did not hold, or nothing could be compared with it."""
_FEWER_STEPS: Final = 0.95
_DEVIATIONS: Final = 2.0


@dataclass(frozen=True)
class ScoreCheck:
    """One promised score beside the measured one, both in percent."""

    metric: str
    promised: float
    measured: float
    margin: float
    margin_origin: str
    problem: str = ""
    """Why the two cannot be compared; empty if they can."""
    more_is_better: bool = True

    @property
    def holds(self) -> bool:
        """Whether the measured score is at most ``margin`` worse than the promised one."""
        worse = self.promised - self.measured if self.more_is_better else self.measured - self.promised
        return worse <= self.margin

    def to_text(self) -> str:
        """Return the line for the screen."""
        label = MetricName(self.metric).label if self.metric in list(MetricName) else "exact match"
        figures = f"{label}: promised {self.promised:.2f}, measured {self.measured:.2f}"
        if self.problem:
            return f"{figures}: not compared, {self.problem}"
        verdict = "holds" if self.holds else "missed"
        return f"{figures}: {verdict} (margin {self.margin:.2f}, {self.margin_origin})"


@dataclass(frozen=True)
class PromiseCheck:
    """The result of ``--check``."""

    scores: tuple[ScoreCheck, ...]
    not_measured: str
    explanations: tuple[str, ...]
    """What can explain a miss."""
    test_set: str
    report: str
    """The evaluation, for the screen."""

    @property
    def holds(self) -> bool | None:
        """Whether every score that can be compared holds; None if there is none."""
        compared = [score for score in self.scores if not score.problem]
        return all(score.holds for score in compared) if compared else None

    @property
    def exit_status(self) -> int:
        """The status for the command line: 0, or 3 if scores were promised and nothing shows that they hold."""
        return 0 if self.holds or self.not_measured else MISSED_STATUS

    def to_text(self) -> str:
        """Return the evaluation and the verdict for the screen."""
        lines = [self.report.rstrip(), "", *(score.to_text() for score in self.scores)]
        if self.not_measured:
            lines.append(f"the recipe promises no score ({self.not_measured}), so there is nothing to compare")
        elif self.holds is None:
            lines.append(
                "none of the promised scores can be compared with these, so nothing shows that the promise held "
                f"(exit status {MISSED_STATUS})"
            )
        elif self.holds:
            left = sum(bool(score.problem) for score in self.scores)
            but = f"; {counted(left, 'score')} could not be compared" if left else ""
            lines.append(f"the promise of the recipe held on {self.test_set}{but}")
        else:
            lines.append(f"the promise of the recipe did NOT hold on {self.test_set} (exit status {MISSED_STATUS})")
            lines += [f"  possible reason: {text}" for text in self.explanations]
            if not self.explanations:
                lines.append("  no reason is known: the settings and the steps are those of the recipe")
        return "\n".join(lines)


def promise_of(recipe: Recipe, *, place: str) -> Promise:
    """Return the promise of a recipe after checking its test set, so that ``--check`` cannot fail after the training.

    Raises:
        ConfigError: the recipe promises nothing.
        DataError: the test set is missing, not parallel or not text.
    """
    if recipe.promise is None:
        raise ConfigError(
            f"{place}: has no table [promise], so --check has nothing to compare; add the table, or leave --check out"
        )
    test = CorpusConfig(src=recipe.promise.test_src, tgt=recipe.promise.test_tgt, name="promise.test")
    verify_corpora(DataConfig(train=(test,)))
    return recipe.promise


def changed_settings(path: Path, recipe: Recipe) -> tuple[str, ...]:
    """Return a line for every setting in which a recipe differs from its file, the length of the run included."""
    written = load_recipe(path)
    lines = differences(settings_of(written), settings_of(recipe))
    minutes, promise = recipe.training.minutes, written.promise
    if promise is not None and written.training.minutes is None:
        lines = [line for line in lines if not line.startswith("training.minutes:")]
        if minutes is not None and minutes < promise.minutes:
            lines.append(f"training.minutes: the promise has {promise.minutes:g}, this run {minutes:g}")
    return tuple(lines)


def check_promise(
    recipe: Recipe,
    promise: Promise,
    outcome: TrainOutcome,
    *,
    changes: Sequence[str] = (),
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] = lambda done: None,
) -> PromiseCheck:
    """Evaluate the model of a run on the promised test set, compare, and keep the result in ``RUN/promise.json``.

    The model computes in float32, as it did when the promise was measured.
    """
    training = recipe.training
    report = evaluate_files(
        [promise.test_tgt],
        options=ModelOptions(device=training.device, threads=training.threads, precision="fp32"),
        src=promise.test_src,
        model=outcome.model,
        say=say,
        progress=progress,
    )
    check = PromiseCheck(
        scores=tuple(_compared(score, report) for score in promise.scores),
        not_measured=promise.not_measured,
        explanations=_explanations(promise, outcome, changes),
        test_set=str(promise.test_src),
        report=report.to_text(),
    )
    record = asdict(check) | {"holds": check.holds}
    place = outcome.model.parent / "promise.json"
    DISK.write_replacing(place, json.dumps(record, ensure_ascii=False, indent=1).encode())
    return check


def _compared(promised: PromisedScore, report: EvaluationReport) -> ScoreCheck:
    more_is_better = not promised.metric.startswith("ter")
    if promised.metric == "exact_match":
        share = report.exact_match
        measured, signature = 100 * share, ""
        half = 196 * math.sqrt(max(share * (1 - share), 1 / report.sentences) / report.sentences)
    else:
        name = MetricName(promised.metric)
        measured, signature = report.scores[name].value, report.scores[name].signature
        half = (report.intervals[name].high - report.intervals[name].low) / 2
    margin, origin = half, "half of the 95 % interval of this evaluation; one seed was measured"
    if promised.spread is not None:
        margin, origin = _DEVIATIONS * promised.spread, "twice the spread over seeds"
    return ScoreCheck(
        promised.metric,
        promised.value,
        measured,
        margin,
        origin,
        problem=_other_signature(promised.signature, signature),
        more_is_better=more_is_better,
    )


def _other_signature(promised: str, measured: str) -> str:
    """Return why two signatures forbid a comparison; another version of sacreBLEU alone does not."""
    if not promised:
        return ""
    one, other = (
        [part for part in text.split("|") if not part.startswith("version:")] for text in (promised, measured)
    )
    return "" if one == other else f"because the promised signature is {promised} and the measured one {measured}"


def _explanations(promise: Promise, outcome: TrainOutcome, changes: Sequence[str]) -> tuple[str, ...]:
    result, lines = outcome.result, [f"another setting than the recipe's: {change}" for change in changes]
    here = settings_in_words(load_recipe(outcome.model.parent / "recipe.toml")) if promise.chosen else ""
    if here != promise.chosen:
        lines.append(f"preset auto chose other settings: {here}; in the promised run {promise.chosen}")
    if promise.steps is not None and result.steps < _FEWER_STEPS * promise.steps:
        lines.append(
            f"fewer steps: {result.steps:,} here, {promise.steps:,} in the promised run; a slower or busier machine "
            f"needs more minutes (promised on: {promise.hardware})"
        )
    if promise.target_tokens is not None and result.target_tokens < _FEWER_STEPS * promise.target_tokens:
        lines.append(
            f"less text seen: {counted(result.target_tokens, 'target token')}, {promise.target_tokens:,} promised"
        )
    if result.skipped_steps or result.rollbacks:
        lines.append(
            f"numbers that were not finite: {counted(result.skipped_steps, 'step')} "
            f"skipped, {counted(result.rollbacks, 'return')}"
        )
    lines += [f"seen while it trained: {warning}" for warning in outcome.warnings]
    if promise.note:
        lines.append(f"about the promise: {promise.note}")
    return tuple(lines)
