"""The live view of a training run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from pellucid.cli.console import SECONDS_BETWEEN_PLAIN_LINES, Bar, Screen, draws_bars
from pellucid.errors import counted
from pellucid.terminal import line_of
from pellucid.training.reporter import SavedRecord, StartRecord, StepRecord, ValidationRecord

__all__ = ["TrainingScreen"]

_STEPS_OF_THE_BAR = 1000


class TrainingScreen(Screen):
    """Show the progress of a run; use it as a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._last_line = 0.0
        self._last_count = ""
        self._last_count_time = 0.0

    def counted(self, what: str, done: int) -> None:
        """Show the progress of the preparation."""
        now = time.monotonic()
        if now - self._last_count_time >= 2 or (what != self._last_count and self._last_count):
            self._last_count_time = now
            self.message(f"{what}: {done:,}")
        self._last_count = what
        self._last_count_time = self._last_count_time or now

    def started(self, record: StartRecord) -> None:
        """Show the size and the budget of the run."""
        begin = f"continuing at step {record.first_step:,}" if record.first_step else "training"
        budget = "until stopped"
        if record.minutes:
            budget = f"{counted(record.minutes, 'minute')} in total"
        if record.train_steps:
            budget = counted(record.train_steps, "step")
        if record.stop_at_exact_match is not None:
            budget = f"until {record.stop_at_exact_match:.0%} of the validation sentences are right, at most {budget}"
        self.message(
            f"{begin}: {counted(record.num_parameters, 'parameter')}, {counted(record.num_pairs, 'pair')} in "
            f"{counted(record.batches_per_epoch, 'batch')} an epoch, {budget}"
        )
        if draws_bars():
            self._bar = Bar(total=_STEPS_OF_THE_BAR)

    def stepped(self, record: StepRecord) -> None:
        """Show a step on the bar, or as a line if the last line is ten seconds old."""
        if record.skipped:
            self.message(f"step {record.step:,} skipped: {record.skipped}")
        line = _step_line(record)
        if self._bar is not None:
            self._bar.update(int(record.fraction * _STEPS_OF_THE_BAR), line)
            return
        now = time.monotonic()
        if now - self._last_line >= SECONDS_BETWEEN_PLAIN_LINES:
            self._last_line = now
            self.message(line)

    def validated(self, record: ValidationRecord) -> None:
        """Show scores and a sample translation."""
        scores = "".join(f"  {_score(name, value)}" for name, value in record.scores.items())
        best = "  best so far" if record.is_best else ""
        self.message(
            f"validation at step {record.step:,}: loss {record.loss:.3f}  nll {record.nll:.3f}{scores}{best}"
            f"  ({record.took_seconds:.1f} s)"
        )
        for name, text in record.samples.items():
            self.message(f"    {name:<10} {line_of(text)}")

    def saved(self, record: SavedRecord) -> None:
        """Show nothing, because saves are frequent."""


def _score(name: str, value: float) -> str:
    if name == "bleu_share":
        return f"on {value:.0%} of the sentences, because most translations do not end yet"
    return f"{value:.1%} exactly right" if name == "exact_match" else f"{name} {value:.2f}"


def _step_line(record: StepRecord) -> str:
    left = f"  {_minutes(record.seconds_left)} left" if record.seconds_left is not None else ""
    is_padded = record.padded_tokens_per_second > record.tokens_per_second
    padded = f" ({record.padded_tokens_per_second:,.0f} padded)" if is_padded else ""
    return (
        f"step {record.step:,}  loss {record.loss:.3f}  rate {record.learning_rate:.2e}  "
        f"{record.tokens_per_second:,.0f} tokens/s{padded}  epoch {record.epoch}{left}"
    )


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
