"""Time the steps of both sides of a comparison, by wall time or by processor time.

This module uses only the standard library, since each side runs it in a separate environment. Each step is
marked at the same point, so the time between two marks includes everything that the training loop does:
reading and padding batches, the step itself, the optimiser, logging. Read ``train_cpu.py`` next.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path


def processor_seconds() -> float:
    """Return the processor time of all threads of this process, and of its child processes that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


CLOCKS = {"wall": time.perf_counter, "processor": processor_seconds}


class Stopwatch:
    """Count target tokens between marks, and stop the run with SIGINT after enough steps.

    The first ``warmup_steps`` marks are not counted. After them, ``steps`` marks are counted, or those
    within ``seconds``. The tokens of a step are target tokens with end of sentence, without padding;
    padded tokens are rows times the longer of the two padded sides. ``clock`` returns seconds.
    """

    def __init__(
        self,
        *,
        warmup_steps: int,
        steps: int | None,
        seconds: float | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.warmup_steps = warmup_steps
        self.steps = steps
        self.seconds = seconds
        self.clock = clock
        self.marks: list[tuple[float, int, int]] = []
        self.is_over = False
        # Shells ignore this signal in background jobs, and child processes inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def mark(self, target_tokens: int, padded_tokens: int) -> None:
        """Record the time and the tokens of the step that has just ended."""
        if self.is_over:
            return
        self.marks.append((self.clock(), target_tokens, padded_tokens))
        counted = len(self.marks) - 1 - self.warmup_steps
        if counted < 1:
            return
        elapsed = self.marks[-1][0] - self.marks[self.warmup_steps][0]
        if (self.steps and counted >= self.steps) or (self.seconds and elapsed >= self.seconds):
            self.is_over = True
            os.kill(os.getpid(), signal.SIGINT)

    def result(self) -> dict[str, float]:
        """Return the counts after the warm-up; times are in seconds.

        Raises:
            RuntimeError: the run ended within the warm-up.
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
        """Write the result and the facts of this side."""
        path.write_text(json.dumps({**self.result(), "facts": facts}, indent=1), encoding="utf-8")
