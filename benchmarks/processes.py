r"""Compare one process of two threads with two processes of one thread, alone and beside a busy program.

    python benchmarks/processes.py --recipe recipes/multi30k-de-en.toml --data-dir DATA --output processes

A step has the same batches on both sides, one for each core: one process takes them one after the other with all
threads, and the processes that ``train`` starts take one each and add their gradients. All run in turns; the figure is
the median of the target tokens per second of the steps after the warm-up, from the journal of the run. ``--busy``
programs that only count run beside the training in the second half of each round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from machine import commit, machine_facts, run_watched

from pellucid.durable import DISK
from pellucid.version import __version__

_COUNTING = "n = 0\nwhile True: n += 1"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    sides = {f"1 process x {options.cores} threads": 1, f"{options.cores} processes x 1 thread": options.cores}
    prepared = output / "prepared"
    if not (prepared / "data").exists():
        train(prepared, 1, options, steps=1)
    results: list[dict[str, Any]] = []
    for number in range(options.rounds):
        for busy in sorted({0, options.busy}):
            for side in list(sides) if number % 2 == 0 else list(sides)[::-1]:
                run = output / "run"
                shutil.rmtree(run, ignore_errors=True)
                shutil.copytree(prepared / "data", run / "data")
                with beside(busy):
                    watched = train(run, sides[side], options, steps=options.warmup_steps + options.steps)
                results.append({"side": side, "busy": busy, "round": number + 1, **watched, **speed(run, options)})
                print(f"{side}, {busy} busy: {results[-1]['tokens_per_second']:,.0f} target tokens/s", flush=True)
    facts = {"pellucid": __version__, "commit": commit(), "machine": machine_facts(), "runs": results}
    DISK.write_replacing(output / "processes.json", json.dumps(facts, indent=1).encode())
    text = as_table(results, list(sides))
    DISK.write_replacing(output / "processes.md", f"{text}\n".encode())
    print(text)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--recipe", type=Path, required=True)
    add("--data-dir", type=Path, default=Path())
    add("--output", type=Path, required=True)
    add("--cores", type=int, default=2, help="threads of the one process, and number of the others")
    add("--busy", type=int, default=1, help="programs that count beside the training")
    add("--batch-size", type=int, default=2048, help="padded tokens of a batch")
    add("--steps", type=int, default=40, help="timed steps of a run")
    add("--warmup-steps", type=int, default=5)
    add("--rounds", type=int, default=3)
    add("--precision", choices=["fp32", "bf16"], default="fp32")
    add("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args(arguments)


def train(run: Path, processes: int, options: argparse.Namespace, *, steps: int) -> dict[str, Any]:
    """Train some steps without validations in between, and return what else the machine did."""
    settings = {
        "batch_size": options.batch_size,
        "accum_count": options.cores,
        "threads": options.cores,
        "processes": processes,
        "precision": options.precision,
        "train_steps": steps,
        "valid_steps": steps + 1,
        "valid_bleu_sentences": 0,
        "save_seconds": 1e9,
    }
    command = [sys.executable, "-m", "pellucid", "train"]
    command += ["--recipe", options.recipe, "--data-dir", options.data_dir, "--output", run]
    for setting in [*(f"training.{name}={value}" for name, value in settings.items()), *options.settings]:
        command += ["--set", setting]
    environment = {"OMP_NUM_THREADS": str(options.cores)}
    return asdict(run_watched(command, log=run.with_suffix(".log"), environment=environment, timeout=7200))


@contextmanager
def beside(busy: int) -> Iterator[None]:
    """Keep ``busy`` programs running."""
    programs = [subprocess.Popen([sys.executable, "-c", _COUNTING]) for _ in range(busy)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def speed(run: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return the median speed of the steps after the warm-up."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [row for row in rows if row["kind"] == "step"][options.warmup_steps :]
    return {"tokens_per_second": statistics.median(row["tokens_per_second"] for row in steps)}


def as_table(results: Sequence[Mapping[str, Any]], sides: Sequence[str]) -> str:
    """Return the medians over the rounds as Markdown."""
    lines = ["| busy programs | " + " | ".join(sides) + " | ratio |", "|---" * (len(sides) + 2) + "|"]
    for busy in sorted({run["busy"] for run in results}):
        own = [
            statistics.median(r["tokens_per_second"] for r in results if r["side"] == side and r["busy"] == busy)
            for side in sides
        ]
        lines.append(f"| {busy} | " + " | ".join(f"{value:,.0f}" for value in own) + f" | {own[1] / own[0]:.2f} |")
    lines += ["", f"Target tokens per second, medians; load before the start {os.getloadavg()[0]:.1f}"]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
