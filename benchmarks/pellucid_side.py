"""Run pellucid's side of the comparison: the job of ``pellucid train`` with its screen, timed by the stopwatch.

``train_cpu.py`` starts it; read that next.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from stopwatch import Stopwatch

from pellucid.cli.screens.training import TrainingScreen
from pellucid.config import load_recipe
from pellucid.errors import StoppedError
from pellucid.jobs.train import train
from pellucid.training.reporter import StartRecord, StepRecord
from pellucid.version import __version__


class TimedScreen(TrainingScreen):
    """The screen of ``pellucid train`` that also marks the stopwatch at the end of every step."""

    def __init__(self, stopwatch: Stopwatch, facts: dict[str, object]) -> None:
        super().__init__()
        self._stopwatch = stopwatch
        self._facts = facts

    def started(self, record: StartRecord) -> None:
        """Start the clock."""
        super().started(record)
        self._facts["parameters"] = record.num_parameters
        self._facts["train pairs"] = record.num_pairs
        self._stopwatch.mark(0, 0)

    def stepped(self, record: StepRecord) -> None:
        """Mark a step; the record gives its padded tokens only as a speed."""
        super().stepped(record)
        padding = record.padded_tokens_per_second / record.tokens_per_second if record.tokens_per_second else 0.0
        self._stopwatch.mark(record.target_tokens, round(record.target_tokens * padding))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--warmup-steps", type=int, required=True)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args(arguments)

    recipe = load_recipe(options.recipe)
    facts: dict[str, object] = {}
    stopwatch = Stopwatch(warmup_steps=options.warmup_steps, steps=options.steps, seconds=options.seconds)
    try:
        with TimedScreen(stopwatch, facts) as screen:
            train(recipe, options.run, reporter=screen)
    except StoppedError:
        if not stopwatch.is_over:
            raise
    libraries = {name: importlib.metadata.version(name) for name in ("torch", "sentencepiece", "numpy")}
    facts["versions"] = {"pellucid": __version__, **libraries}
    facts["python"] = platform.python_version()
    facts["threads"] = torch.get_num_threads()
    facts["precision"] = load_recipe(options.run / "recipe.toml").training.precision
    facts["nice"] = os.nice(0)
    stopwatch.write(options.result, facts)


if __name__ == "__main__":
    main()
