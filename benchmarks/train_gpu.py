"""Measure training on a GPU: correctness first, then utilisation in the real loop, then minutes to a BLEU score.

    python benchmarks/train_gpu.py [--data DIR] [--json results/NAME.json]
    python benchmarks/train_gpu.py --device cpu --seconds 0.5        # proves the script; its speeds mean nothing

It takes under four minutes on a CUDA machine. In this order: packed steps against plain steps, graphs against static
steps, and packed steps against themselves; the peak of a bf16 matrix product; then for small, base and big the loop
behind ``pellucid train`` on made-up pairs of natural lengths, packed, with graphs and with compiled layers; with
``--data``, a whole command on Multi30k from raw text, with the sizes and the rate of Wu et al. 2021. Utilisation
counts real tokens only: target tokens a second times the operations of the model for each (reference: Kaplan et al.
2020, with encoder and attention), divided by the measured peak and by 790 TFLOP/s (an H200). Once ``--budget``
seconds are used up, the rest is left out and named. See ``README.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from machine import machine_facts
from sacrebleu.metrics.bleu import BLEU
from torch import Tensor
from training_loop import VOCABULARIES, MadeUpStore, Watch, make_model, run

import pellucid
from pellucid.config import ModelConfig, TrainingConfig, load_recipe
from pellucid.jobs.train import QuietReporter, train
from pellucid.runtime import Precision, Runtime
from pellucid.training.reporter import ValidationRecord
from pellucid.version import __version__

H200_FLOPS = 790e12
RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "multi30k-de-en.toml"
TOLERANCES = {"loss": 1e-4, "weights": 1e-3}
"""Relative for the loss, absolute for weights after twelve steps in float32 with rate 1e-3."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts; return 1 if the fast steps are not the plain steps."""
    options = parse(arguments)
    began = time.monotonic()
    runtime = Runtime.detect(device=options.device)
    runtime.apply()
    result: dict[str, object] = {
        "machine": machine_facts(),
        "device": device_name(runtime),
        "runtime": runtime.to_text(),
        "torch": torch.__version__,
        "pellucid": __version__,
        "settings": {name: str(value) for name, value in vars(options).items()},
    }
    print(f"{result['device']}, torch {torch.__version__}", flush=True)
    with tempfile.TemporaryDirectory(dir=options.work, prefix="train-gpu-") as folder:
        work = Path(folder)
        result["equality"] = equality = measure_equality(work, runtime)
        print(f"equality: {json.dumps(equality)}", flush=True)
        result["peak_tflops"] = peak = measure_peak(runtime) / 1e12
        print(f"matrix product: {peak:,.1f} TFLOP/s", flush=True)
        result["utilisation"] = rows = []
        left_out: list[str] = []
        for preset, method in plan_of(runtime):
            if time.monotonic() - began > options.budget:
                left_out.append(f"{preset}, {method}")
                continue
            rows.append(measure_loop(work / f"{preset}-{method}", preset, method, runtime, options, peak * 1e12))
            print(line_of(rows[-1]), flush=True)
        if options.data is not None:
            result["multi30k"] = quality = measure_quality(work / "multi30k", runtime, options)
            print(f"Multi30k: {json.dumps(quality)}", flush=True)
        result["left_out"] = left_out
    result["seconds"] = time.monotonic() - began
    print(f"left out: {', '.join(left_out) or 'nothing'}; {result['seconds']:.0f} s in all")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if not all(part["is_equal"] for part in equality.values()):
        print("the fast steps are NOT the plain steps: the speeds above do not count", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--device", default="cuda")
    add("--batch-size", type=int, default=24_576, help="padded tokens of the longer side")
    add("--seconds", type=float, default=8.0, help="of each run after its first 100 steps")
    add("--budget", type=float, help="seconds after which no further run of the loop begins (190; with --data 115)")
    add("--data", type=Path, default=None, help="folder of Multi30k: {train,valid,test2016}.{de,en}")
    add("--steps", type=int, default=5000, help="of the command on Multi30k")
    add("--work", type=Path, default=shared_memory(), help="folder for the runs (default: shared memory, if any)")
    add("--json", type=Path, default=None, help="write the figures here")
    options = parser.parse_args(arguments)
    options.budget = options.budget or (190.0 if options.data is None else 115.0)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device; --device cpu proves the script")
    return options


def plan_of(runtime: Runtime) -> list[tuple[str, str]]:
    """Return presets and ways to make steps, the most telling first."""
    if runtime.device == "cpu":
        return [("tiny", "packed"), ("tiny", "static"), ("tiny", "eager")]
    methods = ("packed", "graph", "compiled", "eager")
    return [(preset, method) for method in methods for preset in ("small", "base", "big")]


# Equality


def measure_equality(work: Path, runtime: Runtime) -> dict[str, dict[str, object]]:
    """Train the same tiny model in several ways for twelve steps, and compare losses and weights.

    Static and packed steps differ from plain ones by rounding only, without dropout. A graph has the numbers of the
    static steps, with dropout too; and a run of packed steps has the same numbers again.
    """
    fp32 = Runtime(runtime.device, Precision.FP32, runtime.threads, "for the comparison")
    fast = "static" if runtime.device == "cpu" else "graph"
    comparisons = {
        "packed and eager, fp32": (fp32, "packed", "eager", 0.0),
        f"{fast} and static, fp32, dropout": (fp32, fast, "static", 0.1),
        f"packed twice, {runtime.precision}, dropout": (runtime, "packed", "packed", 0.1),
    }
    found: dict[str, dict[str, object]] = {}
    for name, (precision, one, other, dropout) in comparisons.items():
        runs = [
            short_run(work / f"{len(found)}-{number}-{method}", precision, method, dropout)
            for number, method in enumerate((one, other))
        ]
        (losses, weights), (plain_losses, plain_weights) = runs
        loss = max(abs(a - b) / abs(b) for a, b in zip(losses, plain_losses, strict=True))
        weight = max(float((a - b).abs().max()) for a, b in zip(weights, plain_weights, strict=True))
        is_equal = loss <= TOLERANCES["loss"] and weight <= TOLERANCES["weights"]
        found[name] = {"loss": loss, "weights": weight, "is_equal": is_equal, "steps": len(losses)}
    return found


def short_run(folder: Path, runtime: Runtime, method: str, dropout: float) -> tuple[list[float], list[Tensor]]:
    """Return the losses of twelve steps and the last weights. Every shape comes back, so graphs are captured."""
    store = MadeUpStore(pairs=120, vocabulary=97, mean_length=9, seed=2)
    watch = Watch()
    model = make_model("tiny", dropout=dropout, attention_dropout=dropout)
    config = TrainingConfig(
        train_steps=12, warmup_steps=1, batch_size=1024, adam_epsilon=1e-3, valid_bleu_sentences=0, step_method=method
    )
    run(folder, model, store, config, runtime, watch)
    return [record.loss for record in watch.steps], [weight.detach().cpu() for weight in model.parameters()]


# Speed


def measure_peak(runtime: Runtime) -> float:
    """Return the operations a second of a large matrix product in bf16, the best of some."""
    is_gpu = runtime.device != "cpu"
    size = 8192 if is_gpu else 256
    left, right = (torch.randn(size, size, device=runtime.device, dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(8):
        began = time.perf_counter()
        for _ in range(10):
            left @ right
        if is_gpu:
            torch.cuda.synchronize()
        best = max(best, 10 * 2 * size**3 / (time.perf_counter() - began))
    return best


def measure_loop(
    folder: Path, preset: str, method: str, runtime: Runtime, options: argparse.Namespace, peak: float
) -> dict[str, object]:
    """Run the loop of ``pellucid train`` on made-up pairs, and return its speeds."""
    is_gpu = runtime.device != "cpu"
    model = make_model(preset)
    store = MadeUpStore(pairs=100_000 if is_gpu else 400, vocabulary=VOCABULARIES[preset], mean_length=25, seed=1)
    watch = Watch(first=100 if is_gpu else 5, seconds=options.seconds)
    config = TrainingConfig(
        train_steps=1_000_000,
        batch_size=options.batch_size if is_gpu else 512,
        valid_bleu_sentences=0,
        valid_steps=1_000_000,
        save_seconds=1e9,
        keep_checkpoint=1,
        step_method=method,
    )
    began = time.monotonic()
    run(folder, model, store, config, runtime, watch)
    flops = flops_of_token(model.config, store)
    speeds = watch.speeds()
    return {
        "preset": preset,
        "method": method,
        "parameters": model.num_parameters(),
        "batch_size": config.batch_size,
        "gflop_per_target_token": flops / 1e9,
        **speeds,
        "share_of_peak": speeds["target_tokens_per_second"] * flops / peak,
        "share_of_790_tflops": speeds["target_tokens_per_second"] * flops / H200_FLOPS,
        "gib": torch.cuda.max_memory_allocated() / 2**30 if is_gpu else None,
        "seconds_in_all": time.monotonic() - began,
        "messages": watch.messages,
    }


def flops_of_token(config: ModelConfig, store: MadeUpStore) -> float:
    """Return the operations of forward and backward for each target token, end of sentence included."""
    d, ff, layers = config.d_model, config.d_feedforward, config.num_decoder_layers
    source, target = (float(lengths.mean()) + 1 for lengths in (store.source_lengths, store.target_lengths))
    encoder = config.num_encoder_layers * (4 * d * d + 2 * d * ff)
    keys_and_values = layers * 2 * d * d  # of the cross-attention, once for each source token
    decoder = layers * (8 * d * d + 2 * d * ff) - keys_and_values
    ratio = source / target
    products = (encoder + keys_and_values) * ratio + decoder + config.target_vocab_size * d
    attention = config.num_encoder_layers * source * ratio + layers * (target / 2 + source)
    return 6 * products + 12 * d * attention


# Quality


def measure_quality(folder: Path, runtime: Runtime, options: argparse.Namespace) -> dict[str, object]:
    """Train on Multi30k, the whole command from raw text, and score the test set."""
    recipe = load_recipe(
        RECIPE,
        [
            'preset="small"',
            f"training.train_steps={options.steps}",
            f"training.valid_steps={max(1, options.steps // 2)}",
            f"training.warmup_steps={options.steps // 4}",
            f'training.device="{runtime.device}"',
            f"training.batch_size={512 if runtime.device == 'cpu' else 4096}",
            "training.learning_rate=5e-3",
            *(f"model.{side}_layers=4" for side in ("num_encoder", "num_decoder")),
            *("model.d_model=128", "model.d_feedforward=256", "model.dropout=0.3"),
        ],
    )
    recipe = recipe.model_copy(update={"data": recipe.data.below(options.data)})
    screen = Screen()
    began = time.monotonic()
    outcome = train(recipe, folder, reporter=screen)
    seconds = time.monotonic() - began
    sources, references = (
        (options.data / f"test2016.{side}").read_text(encoding="utf-8").splitlines() for side in ("de", "en")
    )
    translator = pellucid.load(folder, device=runtime.device)
    texts = [translation.text for translation in translator.translate(sources)]
    bleu = BLEU(lowercase=True)
    score = bleu.corpus_score(texts, [references])
    return {
        "steps": outcome.result.steps,
        "seconds": seconds,
        "test2016": score.score,
        "signature": str(bleu.get_signature()),
        "valid": [(round(record.seconds, 1), record.scores.get("bleu")) for record in screen.validations],
        "messages": screen.messages,
    }


class Screen(QuietReporter):
    """Remembers the validations."""

    def __init__(self) -> None:
        self.validations: list[ValidationRecord] = []
        self.messages: list[str] = []
        super().__init__(self.messages.append)

    def validated(self, record: ValidationRecord) -> None:
        """Remember a validation."""
        self.validations.append(record)


def device_name(runtime: Runtime) -> str:
    """Return the name of the GPU, or that of the processor."""
    is_gpu = runtime.device != "cpu"
    return torch.cuda.get_device_name(runtime.torch_device()) if is_gpu else str(machine_facts()["processor"])


def shared_memory() -> Path | None:
    """Return the folder of shared memory if there is one: a checkpoint of preset big has 3 GB."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() and os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize > 32 << 30 else None


def line_of(row: dict[str, object]) -> str:
    """Return a measurement as a line."""
    return (
        f"{row['preset']}, {row['method']}: {row['target_tokens_per_second']:,.0f} target tokens/s, "
        f"{row['milliseconds_per_step']:.1f} ms a step, {row['share_of_peak']:.1%} of the measured peak, "
        f"{row['share_of_790_tflops']:.1%} of 790 TFLOP/s; first {row['first_steps']} steps "
        f"{row['first_steps_tokens_per_second']:,.0f} tokens/s"
    )


if __name__ == "__main__":
    raise SystemExit(main())
