"""Run pellucid with minutes of processor time in place of minutes of the clock.

    python benchmarks/processor_minutes.py train ... --minutes 4

On a machine that others use, the same command then does about the same work whatever they do. It only suits a run of
one process, since the others have clocks of their own. ``time_to_score.py`` starts it.
"""

from __future__ import annotations

import queue  # noqa: F401
import subprocess  # noqa: F401
import threading  # noqa: F401
import time

from stopwatch import processor_seconds


def count_processor_time() -> None:
    """Replace the clock of what is imported from now on.

    The standard modules that are imported above have taken the real clock already, so that their waits end as usual.
    """
    time.monotonic = processor_seconds


def main() -> None:
    count_processor_time()
    from pellucid.cli.main import run

    run()


if __name__ == "__main__":
    main()
