"""Score the model of a finished run on its test text, and keep the report in the run folder."""

from __future__ import annotations

import os
from collections.abc import Callable

from pellucid.config import Recipe
from pellucid.durable import DISK
from pellucid.evaluation.report import EvaluationReport
from pellucid.jobs.evaluate import evaluate_files
from pellucid.jobs.options.translation import ModelOptions
from pellucid.jobs.prepare import TEST_TEXT
from pellucid.jobs.train import TrainOutcome

__all__ = ["score_on_test"]


def score_on_test(
    recipe: Recipe,
    outcome: TrainOutcome,
    *,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int], None] = lambda done: None,
) -> EvaluationReport | None:
    """Translate the test text of a run and score it; None if the run has none.

    The search is that of ``[translation]``. The report is kept in ``RUN/test_report.json`` and ``test_report.md``.
    """
    run = outcome.model.parent
    text = run / "data" / TEST_TEXT
    if not text.is_file() or os.environ.get("RANK", "0") != "0":  # under torchrun one process scores
        return None
    training = recipe.training
    report = evaluate_files(
        [],
        options=ModelOptions(device=training.device, threads=training.threads),
        test=[str(text)],
        model=outcome.model,
        say=say,
        progress=progress,
    )
    DISK.write_replacing(run / "test_report.json", report.to_json().encode())
    DISK.write_replacing(run / "test_report.md", report.to_markdown().encode())
    return report
