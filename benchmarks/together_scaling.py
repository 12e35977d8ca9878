r"""Translate the same file with one process of one thread and with two of them together, each on a core of its own.

    python benchmarks/together_scaling.py --preset small --lines 20000 --rounds 5

The weights are random, and translations are about as long as their sources. Both ways take turns. The figures are
sentences per second by the clock, and processor seconds for a thousand sentences; ``ratio`` is the speed of both
processes over that of one, at best the number of processes. On a busy machine compare the processor seconds only. Time
counts from the start of the processes to the end of the last, so a file has to take a minute or more.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bulk_speed import write_model


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--beam", type=int, default=5)
    options = parser.parse_args(arguments)
    numbers = (1, options.processes)
    found: dict[int, list[tuple[float, float]]] = {number: [] for number in numbers}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, options.preset, options.lines)
        translate(folder, 1, options)  # compiles and prepares
        for turn in range(options.rounds):
            for number in numbers if turn % 2 == 0 else numbers[::-1]:
                found[number].append(translate(folder, number, options))
        outputs = {(folder / f"out{number}").read_bytes() for number in numbers}
    print("| processes | sentences/s | processor seconds per 1,000 sentences |\n|---|---|---|")
    for number, times in found.items():
        clock, processor = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| {number} | {options.lines / clock:,.0f} | {1000 * processor / options.lines:.2f} |")
    pairs = list(zip(*found.values(), strict=True))
    by_clock = statistics.median(one[0] / many[0] for one, many in pairs)
    by_processor = statistics.median(one[1] / many[1] for one, many in pairs)
    print(f"ratio by the clock {by_clock:.2f}; by processor time, if each has a core, {numbers[1] * by_processor:.2f}")
    print(f"same output: {len(outputs) == 1}; load now {os.getloadavg()[0]:.1f}")


def translate(folder: Path, processes: int, options: argparse.Namespace) -> tuple[float, float]:
    """Return seconds by the clock and of the processors."""
    output = folder / f"out{processes}"
    shutil.rmtree(output.with_name(f"{output.name}.parts"), ignore_errors=True)
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pellucid", "translate", str(folder / "model"), str(folder / "in")]
    command += ["--output", str(output), "--engine", "native", "--threads", "1", "--together"]
    command += ["--beam-size", str(options.beam), "--set", "max_length_factor=1.0", "--set", "max_length_constant=3"]
    cores = sorted(os.sched_getaffinity(0))
    before, clock = processor_seconds(), time.perf_counter()
    running = [
        subprocess.Popen(
            command,
            stderr=subprocess.DEVNULL,
            preexec_fn=partial(os.sched_setaffinity, 0, {cores[number % len(cores)]}),
        )
        for number in range(processes)
    ]
    statuses = [process.wait() for process in running]
    assert statuses == [0] * processes, statuses
    return time.perf_counter() - clock, processor_seconds() - before


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
