"""What ``import pellucid`` offers: ``load`` and ``train``, without a screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pellucid.config import Recipe
from pellucid.jobs.models import open_translator
from pellucid.jobs.train import QuietReporter, TrainOutcome
from pellucid.jobs.train import train as train_job
from pellucid.translation.translator import Translator

__all__ = ["load", "train"]


def load(path: str | Path, *, device: str = "auto", threads: int = 0) -> Translator:
    """Load a model folder or a run folder.

    Raises:
        BundleError: there is no usable model there; the message says why.
    """
    return open_translator(Path(path), device=device, threads=threads)


def train(
    recipe: Recipe,
    output: str | Path,
    *,
    init_from: str | Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> TrainOutcome:
    """Train by a recipe into a run folder, or continue the run that is there.

    ``say`` receives sentences about the progress.

    Raises:
        PellucidError: the text, a setting or the run folder is wrong; the class says which.
        StoppedError: stopped early; the same call continues.
    """
    reporter = _SayingReporter(say)
    return train_job(recipe, Path(output), init_from=Path(init_from) if init_from else None, reporter=reporter)


class _SayingReporter(QuietReporter):
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def message(self, text: str) -> None:
        self._say(text)
