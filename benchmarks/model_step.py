"""Time one training step, part by part: forward, loss and projection, backward, clipping, Adam, averaging.

    python benchmarks/model_step.py [--preset small] [--length 16] [--profile] [--json before.json]

It measures only pellucid, on random ids without reading, batching or a journal, to compare before and after a change.
All parts are timed in one process, and the median of each is shown, so that a short disturbance has no effect.
``train_cpu.py`` compares the whole loop with another tool.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from machine import available_cores, machine_facts
from torch.utils.flop_counter import FlopCounterMode

from pellucid.config import PRESETS, ModelConfig, TrainingConfig
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime
from pellucid.text.batching import Batch
from pellucid.training.averaging import MovingAverage
from pellucid.training.batches import TensorBatch, to_tensors
from pellucid.training.loss import batch_loss, precision_context, smoothed_cross_entropy
from pellucid.training.optimisation import clip_gradients, gradient_norm, make_optimiser

PARTS = ("encode", "decode", "project", "loss", "backward", "clip", "adam", "average")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--preset", action="append", choices=list(PRESETS), help="can be repeated (default: tiny, small, base)")
    add("--batch-size", type=int, default=2048, help="padded tokens of the longer side")
    add(
        "--length", type=int, default=16, help="tokens of the longest sentence; the shortest has three quarters of that"
    )
    add("--vocab-size", type=int, default=8000)
    add("--steps", type=int, default=30, help="timed steps, after five steps that are not timed")
    add("--threads", type=int, default=2)
    add("--precision", choices=["fp32", "bf16"], default="fp32")
    add("--profile", action="store_true", help="also show the slowest operations")
    add("--json", type=Path, default=None, help="write the figures here")
    options = parser.parse_args(arguments)
    if options.threads > available_cores():
        parser.error(f"--threads {options.threads}, but only {available_cores()} cores are available")
    runtime = Runtime.detect(device="cpu", precision=options.precision, threads=options.threads)
    runtime.apply()
    print(
        f"{runtime.threads} threads, {runtime.precision}: {runtime.reason}; load {os.getloadavg()[0]} before the start"
    )
    print("milliseconds, medians\n" + row(["preset", *PARTS, "step", "tokens/s", "GFLOP/s"]))
    figures = {}
    for preset in options.preset or ["tiny", "small", "base"]:
        step = Step(preset, options, runtime)
        figures[preset] = step.measure(options.steps)
        print(
            row(
                [preset, *(f"{figures[preset][part]:.1f}" for part in (*PARTS, "step"))]
                + [f"{figures[preset][name]:,.0f}" for name in ("target_tokens_per_second", "gflop_per_second")]
            )
        )
        if options.profile:
            print(step.profile())
    if options.json:
        settings = {k: v for k, v in vars(options).items() if k != "json"}
        record = {"settings": settings, "precision": runtime.precision, "machine": machine_facts(), "presets": figures}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def row(cells: Sequence[str]) -> str:
    """Return cells as columns."""
    return "".join(f"{cell:>10}" for cell in cells)


class Step:
    """A model, its optimiser and one batch."""

    def __init__(self, preset: str, options: argparse.Namespace, runtime: Runtime) -> None:
        torch.manual_seed(1)
        sizes = {"source_vocab_size": options.vocab_size, "target_vocab_size": options.vocab_size}
        self.model = Transformer(ModelConfig.model_validate(PRESETS[preset] | sizes)).train()
        self.config = TrainingConfig()
        self.runtime = runtime
        self.optimiser = make_optimiser(self.model, config=self.config)
        self.average = MovingAverage(self.model, decay=self.config.average_decay)
        self.batch = made_up_batch(options.batch_size, options.length, self.model)
        self.updates = 0

    def run(self, note: Callable[[str], None]) -> None:
        """Perform one step, as ``training.update`` does, and call ``note`` after each part."""
        batch, model = self.batch, self.model
        with precision_context(self.runtime):
            memory = model.encode(batch.source_ids, source_mask=batch.source_mask)
            note("encode")
            hidden = model.decode(batch.target_input_ids, memory, source_mask=batch.source_mask)
            note("decode")
            logits = model.project(hidden.flatten(0, 1).index_select(0, batch.target_positions))
            note("project")
        smoothing = self.config.label_smoothing
        loss, _ = smoothed_cross_entropy(logits, batch.target_ids, label_smoothing=smoothing, may_overwrite_logits=True)
        note("loss")
        torch.autograd.backward(loss, grad_tensors=loss.new_tensor(1.0 / batch.num_target_tokens))
        note("backward")
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        clip_gradients(gradients, float(gradient_norm(gradients)), max_norm=self.config.max_grad_norm)
        note("clip")
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        note("adam")
        self.updates += 1
        self.average.update(self.updates)
        note("average")

    def measure(self, steps: int) -> dict[str, float]:
        """Return the median milliseconds of each part and of whole steps, and the resulting speeds."""
        for _ in range(5):
            self.run(lambda part: None)
        times: dict[str, list[float]] = {part: [] for part in (*PARTS, "step")}
        for _ in range(steps):
            began = last = time.perf_counter()

            def note(part: str) -> None:
                nonlocal last
                now = time.perf_counter()
                times[part].append(now - last)
                last = now

            self.run(note)
            times["step"].append(last - began)
        seconds = {part: statistics.median(values) for part, values in times.items()}
        return {part: 1000 * value for part, value in seconds.items()} | {
            "target_tokens_per_second": self.batch.num_target_tokens / seconds["step"],
            "gflop_per_second": self.flop() / seconds["step"] / 1e9,
        }

    def flop(self) -> int:
        """Count the floating-point operations of the matrix products of forward and backward."""
        with FlopCounterMode(display=False) as counter:
            loss, _ = batch_loss(self.model, self.batch, label_smoothing=0.1, runtime=self.runtime)
            loss.backward()
        self.optimiser.zero_grad(set_to_none=True)
        return int(counter.get_total_flops())

    def profile(self) -> str:
        """Return torch's table of the operations of three steps, the slowest first."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            for _ in range(3):
                self.run(lambda part: None)
        return str(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=60))


def made_up_batch(batch_size: int, length: int, model: Transformer) -> TensorBatch:
    """Return a batch of random ids of similar lengths, with end of sentence and padding."""
    generator = np.random.default_rng(1)
    specials, count = model.config.specials, max(1, batch_size // length)
    lengths = generator.integers(max(2, length * 3 // 4), length + 1, size=(2, count))
    lengths[:, 0] = length
    positions = np.arange(length)
    sides = []
    for own, vocabulary in zip(lengths, (model.config.source_vocab_size, model.config.target_vocab_size), strict=True):
        ids = generator.integers(4, vocabulary, size=(count, length))
        ids[np.arange(count), own - 1] = specials.eos
        sides.append(np.where(positions < own[:, None], ids, specials.pad))
    source, target = sides
    masks = positions < lengths[:, :, None]
    inputs = np.concatenate([np.full((count, 1), model.start_id), target[:, :-1]], axis=1)
    batch = Batch(
        source_ids=source,
        target_input_ids=np.where(masks[1], inputs, specials.pad),
        target_output_ids=target,
        source_mask=masks[0],
        target_mask=masks[1],
        indices=np.arange(count),
        num_target_tokens=int(lengths[1].sum()),
        num_padded_tokens=count * length,
    )
    return to_tensors(batch, device=torch.device("cpu"))


if __name__ == "__main__":
    main()
