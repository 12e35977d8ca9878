"""Measure how long a process of pellucid takes before its first result: imports, help, one sentence.

    python benchmarks/start_time.py

Each command runs once to fill the caches (compiled Python files, the compiled engine, the prepared model), and then
``--rounds`` times in turns with the others. The wall clock depends on what else the machine does, the processor time
much less; of both, the least and the median are printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

MODEL = Path(__file__).resolve().parents[1] / "src" / "pellucid" / "sample" / "walkthrough"
SENTENCE = "The cat is very tired.\n"


def commands(model: Path) -> dict[str, list[str]]:
    """Return what is measured, by its name."""
    python, verb = sys.executable, [sys.executable, "-m", "pellucid"]
    translate = [*verb, "translate", str(model), "--device", "cpu"]
    return {
        "python alone": [python, "-c", "pass"],
        "import pellucid": [python, "-c", "import pellucid"],
        "pellucid --help": [*verb, "--help"],
        "translate, native int8": translate,
        "translate, native fp32": [*translate, "--precision", "fp32"],
        "translate, torch": [*translate, "--engine", "torch"],
    }


def seconds_of(command: list[str]) -> tuple[float, float]:
    """Run a command; return its seconds by the wall clock and of the processor."""
    # Compiled Python files are part of an installation.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, input=SENTENCE, text=True, capture_output=True, check=True, env=environment)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure all commands in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands(given.model)}
    for number in range(given.rounds + 1):
        for name, command in commands(given.model).items():
            measured = seconds_of(command)
            if number:
                times[name].append(measured)
    print(f"{'':24} {'wall s: least':>14} {'median':>8} {'processor s: least':>20} {'median':>8}")
    for name, rows in times.items():
        walls, processors = zip(*rows, strict=True)
        print(
            f"{name:24} {min(walls):14.3f} {statistics.median(walls):8.3f} "
            f"{min(processors):20.3f} {statistics.median(processors):8.3f}"
        )


if __name__ == "__main__":
    main()
