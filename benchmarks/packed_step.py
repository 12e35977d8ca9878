"""Time the gradients of one packed batch on a processor, in turns with another checkout of pellucid.

    python benchmarks/packed_step.py [--preset small] [--threads 2] [--precision bf16] [--against ../before] [--parts]

Each checkout has a process of its own, and the two compute in turns, because the speed of a shared machine can change
by half within a minute: the ratio is the median over pairs of neighbours. ``--parts`` shows where the time goes.
``model_step.py`` times the parts of an eager step, and ``train_cpu.py`` whole training loops.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from pellucid.config import PRESETS, ModelConfig, TrainingConfig
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime, keeping_memory
from pellucid.training.machine.trials import gradient_pass, made_up_batch, pass_seconds
from pellucid.training.packed import processor

NARROW = {"num_encoder_layers": 4, "num_decoder_layers": 4, "d_model": 128, "d_feedforward": 256, "num_heads": 4}
SHAPES = {**PRESETS, "narrow": PRESETS["small"] | NARROW}
HERE = Path(__file__).resolve()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="small", choices=sorted(SHAPES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    parser.add_argument("--tokens", type=int, default=1900, help="of each side of the batch")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--pairs", type=int, default=40, help="batches of each checkout")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--parts", action="store_true", help="also show the time of each kind of operation")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        with keeping_memory("cpu"):
            answer(options)
        return
    own = HERE.parents[1]
    checkouts = [own] if options.against is None else [options.against.resolve(), own]
    workers = [worker(checkout) for checkout in checkouts]
    times: list[list[float]] = [[] for _ in workers]
    for number in range(options.pairs):
        for index in sorted(range(len(workers)), reverse=number % 2 == 1):
            times[index].append(float(asked(workers[index], "batch")))
    for checkout, seconds in zip(checkouts, times, strict=True):
        print(f"{checkout}: median {1000 * statistics.median(seconds):.1f} ms, least {1000 * min(seconds):.1f} ms")
    if len(times) == 2:
        print(f"share of the time of the other: {statistics.median(b / a for a, b in zip(*times, strict=True)):.3f}")
    if options.parts:
        print(asked(workers[-1], "parts").replace(";", "\n"))
    for process in workers:
        process.communicate()


def worker(checkout: Path) -> subprocess.Popen[str]:
    """Start this script with the package of a checkout, and wait until it has warmed up."""
    command = [sys.executable, str(HERE), *sys.argv[1:], "--answer"]
    environment = {"GOMP_SPINCOUNT": "1000", **os.environ, "PYTHONPATH": str(checkout / "src")}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        sys.exit(f"no batch can be computed with the package of {checkout}")
    return process


def asked(process: subprocess.Popen[str], question: str) -> str:
    """Return the line with which a worker answers."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(question + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def answer(options: argparse.Namespace) -> None:
    """Compute a batch for every line that comes in, and answer with its seconds or its parts."""
    step = made_up_step(options)
    for _ in range(5):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "parts":
            print(";".join(parts_of(step)), flush=True)
            continue
        print(step(), flush=True)


def made_up_step(options: argparse.Namespace) -> Callable[[], float]:
    """Return a function that computes the gradients of a made-up batch and returns its seconds."""
    runtime = Runtime.detect(device="cpu", precision=options.precision, threads=options.threads)
    runtime.apply()
    torch.manual_seed(1)
    sizes = {"source_vocab_size": options.vocab_size, "target_vocab_size": options.vocab_size}
    model = Transformer(ModelConfig.model_validate(SHAPES[options.preset] | sizes)).train()
    make = gradient_pass(model, config=TrainingConfig.model_validate({"step_method": "packed"}), runtime=runtime)
    batch = made_up_batch(model, options.tokens)
    return lambda: pass_seconds(model, batch, make, clock=time.perf_counter)


def parts_of(step: Callable[[], object], steps: int = 20) -> Sequence[str]:
    """Return a line for every kind of operation: the functions in C by wrapping them, and torch's by its profiler."""
    seconds: Counter[str] = Counter()

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: Any, **more: Any) -> Any:
            began = time.perf_counter()
            found = function(*inputs, **more)
            seconds[f"C {name}"] += time.perf_counter() - began
            return found

        return run

    names = [name for name in processor.__all__ if not re.search("load|parts", name)]
    real = {name: getattr(processor, name) for name in names}
    for name, function in real.items():
        setattr(processor, name, watched(name, function))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(steps):
            step()
    for name, function in real.items():
        setattr(processor, name, function)
    seconds.update({event.key: event.self_cpu_time_total / 1e6 for event in profile.key_averages()})
    return [f"{1000 * value / steps:9.2f} ms  {name}" for name, value in seconds.most_common(25)]


if __name__ == "__main__":
    main()
