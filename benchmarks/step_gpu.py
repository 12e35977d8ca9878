"""Time one training step of fixed shapes on a GPU, apart from the loop, and name its kernels.

    python benchmarks/step_gpu.py [--presets small,base,big] [--methods packed,graph] [--json results/NAME.json]
    python benchmarks/step_gpu.py --device cpu --presets tiny        # proves the script; its speeds mean nothing

The batches are those of ``train_gpu.py``; the three whose longest sentences are at a quarter, a half and three quarters
of all batches are repeated. A time is the least mean of three rounds of twenty steps, after the first two steps, of
which the second captures the graph. Kernels are those of an eager step. A preset takes 5 to 15 seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from machine import machine_facts
from torch.profiler import ProfilerActivity, profile
from train_gpu import H200_FLOPS, device_name, flops_of_token
from training_loop import VOCABULARIES, MadeUpStore, make_model

from pellucid.config import TrainingConfig
from pellucid.runtime import Runtime
from pellucid.training.averaging import MovingAverage
from pellucid.training.gpu.attention_choice import attention_kernels, choose_attention
from pellucid.training.gpu.graphs import StepRunner
from pellucid.training.gpu.shapes import ShapeGrid
from pellucid.training.gpu.step import StaticStep
from pellucid.training.inputs import RunInputs, stream_of
from pellucid.training.optimisation import make_optimiser
from pellucid.training.reporter import SilentReporter

ROUNDS, STEPS = 3, 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every preset with every method, and print a line and the longest kernels for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--presets", default="small,base,big")
    parser.add_argument("--methods", default="packed,graph", help="packed and graph (padded batches)")
    parser.add_argument("--batch-size", type=int, default=24_576, help="padded tokens of the longer side")
    parser.add_argument("--kernels", type=int, default=12, help="to print for each")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    options = parser.parse_args(arguments)
    runtime = Runtime.detect(device=options.device)
    runtime.apply()
    rows = []
    for method in options.methods.split(","):
        for preset in options.presets.split(","):
            rows.append(measure(preset, runtime, is_packed=method == "packed", batch_size=options.batch_size))
            print(line_of(rows[-1]), flush=True)
            for name, count, microseconds in rows[-1]["kernels"][: options.kernels]:
                print(f"    {microseconds:8.0f} us {count:6.0f}  {name[:100]}")
    if options.json:
        found = {"machine": machine_facts(), "device": device_name(runtime), "torch": torch.__version__, "steps": rows}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(preset: str, runtime: Runtime, *, is_packed: bool, batch_size: int) -> dict[str, object]:
    """Return times, utilisation and kernels of the steps of three batches."""
    is_gpu = runtime.device != "cpu"
    store = MadeUpStore(pairs=100_000 if is_gpu else 400, vocabulary=VOCABULARIES[preset], mean_length=25, seed=1)
    config = TrainingConfig(train_steps=1000, batch_size=batch_size if is_gpu else 512)
    model = make_model(preset).to(runtime.torch_device()).train()
    inputs = RunInputs(
        model=model,
        store=store,
        valid_store=store,
        tokenizer=store,
        config=config,
        runtime=runtime,
        run_folder=Path(),
        settings={},
        reporter=SilentReporter(),
    )
    lengths = store.source_lengths, store.target_lengths
    batches = stream_of(inputs).first_epoch()
    grid = ShapeGrid.for_batches(batches, *lengths, is_packed=is_packed)
    order = np.argsort([int(store.source_lengths[rows].max()) for rows in batches])
    chosen = [batches[order[len(order) * quarter // 4]] for quarter in (1, 2, 3)]
    average = MovingAverage(model, decay=config.average_decay, tail=config.average_tail)
    step = StaticStep.of_run(
        inputs, optimiser=make_optimiser(model, config=config), average=average, is_packed=is_packed
    )
    step.adopt_optimiser()
    runner = StepRunner(step, device=runtime.torch_device(), captures=is_gpu, message=print)
    found = []
    with attention_kernels(choose_attention(model.config, runtime)):
        for rows in chosen:
            shape = grid.shape_of(rows, *lengths)
            began = time.perf_counter()
            for _ in range(2):
                runner.run(rows, shape, learning_rate=1e-4)
            wait(is_gpu)
            first = time.perf_counter() - began
            seconds = timed(lambda rows=rows, shape=shape: runner.run(rows, shape, learning_rate=1e-4), is_gpu)
            tokens = int(store.target_lengths[rows].sum()) + len(rows)
            found.append({"shape": list(shape), "tokens": tokens, "seconds": seconds, "first_two_steps": first})
        feed = step.corpus.buffers(shape)
        step.corpus.fill(feed, rows, shape)
        kernels = kernels_of(lambda: step.run(feed, shape), is_gpu)
    speed = sum(one["tokens"] for one in found) / sum(one["seconds"] for one in found)
    return {
        "preset": preset,
        "method": "packed" if is_packed else "graph",
        "grid": grid.to_text(),
        "batches": found,
        "milliseconds": 1000 * sum(one["seconds"] for one in found) / len(found),
        "share_of_790_tflops": speed * flops_of_token(model.config, store) / H200_FLOPS,
        "gib": torch.cuda.max_memory_allocated() / 2**30 if is_gpu else None,
        "kernels": kernels,
    }


def timed(run: Callable[[], None], is_gpu: bool) -> float:
    """Return the seconds of a step: the least mean of some rounds."""
    means = []
    for _ in range(ROUNDS if is_gpu else 1):
        wait(is_gpu)
        began = time.perf_counter()
        for _ in range(STEPS if is_gpu else 1):
            run()
        wait(is_gpu)
        means.append((time.perf_counter() - began) / (STEPS if is_gpu else 1))
    return min(means)


def kernels_of(run: Callable[[], None], is_gpu: bool) -> list[tuple[str, float, float]]:
    """Return name, calls and microseconds of the kernels of a step, the longest first; none on a processor."""
    if not is_gpu:
        return []
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(2):
            run()
        wait(is_gpu)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for event in profiler.events() or ():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            sums[event.name][0] += 0.5
            sums[event.name][1] += event.device_time_total / 2
    return sorted(((name, *both) for name, both in sums.items()), key=lambda row: -row[2])


def wait(is_gpu: bool) -> None:
    if is_gpu:
        torch.cuda.synchronize()


def line_of(row: dict[str, object]) -> str:
    """Return a measurement as a line."""
    return (
        f"{row['preset']}, {row['method']}: {row['milliseconds']:.2f} ms a step, "
        f"{row['share_of_790_tflops']:.1%} of 790 TFLOP/s; {row['grid']}; "
        f"{sum(count for _, count, _ in row['kernels']):.0f} kernels"
    )


if __name__ == "__main__":
    raise SystemExit(main())
