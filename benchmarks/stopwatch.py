"""One stopwatch for both sides of a race: what each step saw, by the wall clock.

Standard library only, since each side runs it in its own environment. A mark is made at one and the
same point of every step, so the time between two marks holds everything the training loop does:
reading and padding batches, the step itself, the optimiser, logging. Read ``train_cpu.py`` next.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from pathlib import Path


class Stopwatch:
    """Count target tokens between marks, and stop the run by Ctrl-C's own signal when enough was seen.

    The first ``warmup_steps`` marks are not counted. Then either ``steps`` more are, or as many as begin
    within ``seconds``. Tokens of a step are the real target tokens with end of sentence; padded tokens
    are rows times the longer of the two padded sides.
    """

    def __init__(self, *, warmup_steps: int, steps: int | None, seconds: float | None) -> None:
        self.warmup_steps = warmup_steps
        self.steps = steps
        self.seconds = seconds
        self.marks: list[tuple[float, int, int]] = []
        self.is_over = False
        # Shells start background jobs with this signal ignored, and a child inherits that.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def mark(self, target_tokens: int, padded_tokens: int) -> None:
        """Note the clock and the tokens of the step that has just ended."""
        if self.is_over:
            return
        self.marks.append((time.perf_counter(), target_tokens, padded_tokens))
        counted = len(self.marks) - 1 - self.warmup_steps
        if counted < 1:
            return
        elapsed = self.marks[-1][0] - self.marks[self.warmup_steps][0]
        if (self.steps and counted >= self.steps) or (self.seconds and elapsed >= self.seconds):
            self.is_over = True
            os.kill(os.getpid(), signal.SIGINT)

    def result(self) -> dict[str, float]:
        """Return what was counted after the warm-up; times in seconds.

        Raises:
            RuntimeError: the run ended before a step could be counted.
        """
        counted = self.marks[self.warmup_steps + 1 :]
        if not counted:
            raise RuntimeError(f"the run ended after {len(self.marks)} steps, within the warm-up")
        began = self.marks[self.warmup_steps][0]
        seconds = counted[-1][0] - began
        times = [mark[0] for mark in self.marks[self.warmup_steps :]]
        between = sorted(after - before for before, after in itertools.pairwise(times))
        target = sum(mark[1] for mark in counted)
        padded = sum(mark[2] for mark in counted)
        return {
            "steps": len(counted),
            "seconds": seconds,
            "target_tokens": target,
            "padded_tokens": padded,
            "target_tokens_per_second": target / seconds,
            "padded_tokens_per_second": padded / seconds,
            "median_step_seconds": between[len(between) // 2],
        }

    def write(self, path: Path, facts: dict[str, object]) -> None:
        """Write the result and what the side knows of itself."""
        path.write_text(json.dumps({**self.result(), "facts": facts}, indent=1), encoding="utf-8")
