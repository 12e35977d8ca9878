"""Measure translation on a GPU: the device engine beside the eager one, Hugging Face and CTranslate2; under 4 minutes.

    python benchmarks/translate_gpu.py --json benchmarks/results/gpu.json
    python benchmarks/translate_gpu.py --device cpu                         # proves the script, with tiny shapes

First it proves that the engine is right: the ids of the shipped model's translations, in float32 and in bf16, beside
those of the eager path on the same device. Then it measures shapes with random weights and 32,000 pieces: sentences of
25 tokens, every translation of as many tokens. A side runs at its best batch size, after a run to warm up; figures are
medians of the rounds. Without ``--device cpu``, a missing GPU is an error.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from machine import machine_facts

from pellucid.bundle import load_bundle
from pellucid.config import ModelConfig, SpecialIds, TranslationConfig
from pellucid.config.model import PRESETS
from pellucid.model.transformer import Transformer
from pellucid.runtime import Runtime
from pellucid.sample.corpus import build_corpus
from pellucid.translation.constraints import Constraints
from pellucid.translation.engines.device.engine import DeviceEngine
from pellucid.translation.engines.engine import Engine, SearchRequest
from pellucid.translation.engines.torch_engine import TorchEngine
from pellucid.translation.stepper import ModelStepper
from pellucid.translation.units import Unit
from pellucid.version import __version__

WALKTHROUGH = Path(sys.modules["pellucid"].__file__ or "").parent / "sample" / "walkthrough" / "model"
TINY = {
    "d_model": 32, "num_heads": 2, "d_feedforward": 64, "num_encoder_layers": 2, "num_decoder_layers": 2
}  # fmt: skip
Rows = list[list[int]]


@dataclass(frozen=True)
class Task:
    """Sentences of one length, searched with one beam; every translation has as many tokens as its source."""

    shape: str
    sentences: int
    length: int
    beam_size: int

    @property
    def name(self) -> str:
        """What the screen calls it."""
        return f"{self.shape}, {self.sentences} sentences of {self.length} tokens, beam {self.beam_size}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--device", default="cuda", help="cuda, cuda:1 ...; cpu proves the script with tiny shapes")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=180, help="begin no further task after this time")
    add("--idle", action="store_true", help="also measure the share of the time without a kernel, by torch's profiler")
    add("--without", nargs="+", default=[], metavar="SIDE", help="sides to leave out")
    add("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    runtime = Runtime.detect(device=options.device)
    runtime.apply()
    device, is_tiny = torch.device(runtime.device), runtime.device == "cpu"
    began = time.perf_counter()
    print(f"{device_name(device)}, torch {torch.__version__}", flush=True)
    with torch.inference_mode():
        equal = [equivalence(device, dtype, count=12 if is_tiny else 400) for dtype in (torch.float32, torch.bfloat16)]
        tasks = tiny_tasks() if is_tiny else gpu_tasks()
        results = []
        for task in tasks:
            if time.perf_counter() - began > options.seconds:
                print(f"{task.name}: left out, because {options.seconds:.0f} s are over", flush=True)
                continue
            results.append(measure(task, device, options))
    if options.json:
        versions = {"pellucid": __version__, "torch": torch.__version__, "transformers": version("transformers")}
        record = {
            "machine": machine_facts(),
            "device": device_name(device),
            "versions": versions,
            "settings": {key: str(value) for key, value in vars(options).items() if key != "json"},
            "equivalence": equal,
            "tasks": results,
            "seconds": time.perf_counter() - began,
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def gpu_tasks() -> list[Task]:
    base = [Task("base", count, 25, beam) for count in (256, 512) for beam in (5, 1)]
    return [*base, Task("big", 512, 25, 4)]


def tiny_tasks() -> list[Task]:
    return [Task("tiny", 6, 5, 2), Task("tiny", 6, 5, 1)]


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"


# --- is it right? --------------------------------------------------------------------------------------------------


def equivalence(device: torch.device, dtype: torch.dtype, *, count: int) -> dict[str, Any]:
    """Compare the device engine with the eager path on the same device, by the shipped model on sentences it knows.

    In float32 all ids have to be equal; in bf16 each step rounds in its own way, and the share says how often it shows.
    """
    bundle = load_bundle(WALKTHROUGH, device=device)
    exact = eager(bundle.model)
    engine = DeviceEngine(deepcopy(bundle.model).to(dtype), say=lambda text: print(text, flush=True))
    eos = bundle.tokenizer.specials.eos
    texts = [pair.source for pair in build_corpus(seed=7, train_size=0, valid_size=0, test_size=count).test]
    rows = [[*ids, eos] for ids in bundle.tokenizer.encode_source(texts)]
    found: dict[str, Any] = {"dtype": str(dtype).removeprefix("torch."), "sentences": len(rows)}
    for beam_size in (1, 4, 5):
        request = request_of(rows, TranslationConfig(beam_size=beam_size), bundle.model.config.specials)
        ours, theirs = dict(engine.search(request)), dict(exact.search(request))
        same = [place for place in theirs if ours[place][0].ids == theirs[place][0].ids]
        apart = [abs(ours[place][0].score - theirs[place][0].score) for place in same]
        found[f"beam {beam_size}"] = {"equal_ids": len(same) / len(rows), "largest_difference": max(apart, default=0.0)}
        print(
            f"{found['dtype']}, beam {beam_size}: {len(same)} of {len(rows)} translations have the ids of the eager "
            f"path in float32; scores differ by at most {max(apart, default=0.0):.1e}",
            flush=True,
        )
        if dtype is torch.float32 and len(same) < len(rows):
            raise SystemExit("the device engine and the eager path find different translations in float32")
    return found


def request_of(
    rows: Rows, config: TranslationConfig, specials: SpecialIds, forbidden: Sequence[int] | None = None
) -> SearchRequest:
    never = tuple(sorted({specials.pad, specials.bos} - {specials.eos})) if forbidden is None else tuple(forbidden)
    rules = Constraints(eos_id=specials.eos, forbidden_ids=never, min_length=config.min_length)
    units = [Unit(place, 0, tuple(ids)) for place, ids in enumerate(rows)]
    return SearchRequest(units, config, rules, key_of=tuple)


def eager(model: Transformer) -> Engine:
    return TorchEngine(lambda: ModelStepper(model), (model,))


# --- how fast is it? -----------------------------------------------------------------------------------------------


def measure(task: Task, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Measure every side of a task."""
    model = random_model(task.shape)
    generator = np.random.default_rng(1)
    vocabulary = model.config.target_vocab_size
    rows = [[*generator.integers(4, vocabulary, task.length).tolist(), 3] for _ in range(task.sentences)]
    sides: dict[str, Callable[[], Iterator[tuple[str, Callable[[], int]]]]] = {
        "pellucid device": lambda: ours(task, model, rows, device, is_eager=False),
        "pellucid eager": lambda: ours(task, model, rows, device, is_eager=True),
        "huggingface": lambda: hugging_face(task, model, rows, device),
        "ctranslate2": lambda: ctranslate2(task, model, rows, device),
    }
    print(task.name, flush=True)
    results: dict[str, Any] = {"task": task.name, "sides": {}}
    for name, open_side in sides.items():
        if name in options.without:
            continue
        figures = best_setting(open_side, task, device, options)
        results["sides"][name] = figures
        print(f"  {name:16}{shown(figures)}", flush=True)
    return results


def best_setting(
    open_side: Callable[[], Iterator[tuple[str, Callable[[], int]]]],
    task: Task,
    device: torch.device,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return the figures of a side at its fastest setting, or why it takes no part."""
    best: dict[str, Any] = {"left_out": "it has no setting"}
    try:
        for setting, run in open_side():
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            tokens = run()
            seconds = [timed(run, device) for _ in range(options.rounds)]
            middle = statistics.median(seconds)
            if "seconds" in best and best["seconds"] <= middle:
                continue
            best = {
                "setting": setting,
                "seconds": middle,
                "all_seconds": seconds,
                "tokens_per_second": tokens / middle,
                "milliseconds_a_step": 1e3 * middle / task.length,
                **memory_of(device),
                **(idle_share(run, device) if options.idle else {}),
            }
    except (ImportError, RuntimeError, ValueError, OSError) as error:
        best = best if "seconds" in best else {"left_out": str(error).strip().partition("\n")[0]}
    return best


def timed(run: Callable[[], int], device: torch.device) -> float:
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def memory_of(device: torch.device) -> dict[str, float]:
    if device.type != "cuda":
        return {}
    return {
        "gibibytes": torch.cuda.memory_allocated(device) / 2**30,
        "peak_gibibytes": torch.cuda.max_memory_allocated(device) / 2**30,
    }


def idle_share(run: Callable[[], int], device: torch.device) -> dict[str, float]:
    """Return the share of the time in which no kernel runs: launches, and what the processor does between them.

    A profiler that was on may slow down all that is measured later in the process.
    """
    if device.type != "cuda":
        return {}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        began = time.perf_counter()
        run()
        torch.cuda.synchronize(device)
        seconds = time.perf_counter() - began
    busy = sum(event.self_device_time_total for event in profiler.key_averages()) / 1e6
    return {"idle_share": max(0.0, 1 - busy / seconds)} if busy else {}


def shown(figures: dict[str, Any]) -> str:
    if "left_out" in figures:
        return f"left out: {figures['left_out']}"
    parts = [f"{figures['tokens_per_second']:10,.0f} tokens/s", f"{figures['milliseconds_a_step']:7.2f} ms a step"]
    if "idle_share" in figures:
        parts.append(f"{100 * figures['idle_share']:3.0f} % without a kernel")
    if "peak_gibibytes" in figures:
        parts.append(f"{figures['gibibytes']:.2f} GiB, at most {figures['peak_gibibytes']:.2f}")
    return ", ".join([*parts, figures["setting"]])


# --- the sides -----------------------------------------------------------------------------------------------------


def random_model(shape: str) -> Transformer:
    """Return a model with random weights, by the name of a preset or ``tiny`` for the processor."""
    size = 500 if shape == "tiny" else 32_000
    config = ModelConfig.model_validate(TINY if shape == "tiny" else PRESETS[shape])
    torch.manual_seed(1)
    return Transformer(config.with_vocabulary(source_size=size, target_size=size, specials=SpecialIds())).eval()


def ours(
    task: Task, model: Transformer, rows: Rows, device: torch.device, *, is_eager: bool
) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield each setting of a pellucid engine, and what runs it and returns how many tokens it wrote."""
    config = TranslationConfig(
        beam_size=task.beam_size,
        min_length=task.length - 1,
        max_length_factor=1e-9,
        max_length_constant=task.length,
        batch_size=task.sentences * (task.length + 1),
    )
    request = request_of(rows, config, model.config.specials)
    for dtype in (torch.float32, torch.bfloat16) if is_eager else (torch.bfloat16,):
        moved = deepcopy(model).to(device, dtype)
        engine = eager(moved) if is_eager else DeviceEngine(moved, say=lambda text: print(text, flush=True))

        def run(engine: Engine = engine) -> int:
            return sum(len(found[0].ids) for _, found in engine.search(request) if not isinstance(found, str))

        yield str(dtype).removeprefix("torch."), run


def batches(task: Task) -> list[int]:
    return sorted({min(task.sentences, size) for size in (128, 256, 512)}, reverse=True)


def hugging_face(
    task: Task, model: Transformer, rows: Rows, device: torch.device
) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield ``generate`` of a MarianMT model of the same shape in bf16, for each batch size."""
    from transformers import MarianConfig, MarianMTModel

    shape, size = model.config, model.config.target_vocab_size
    layers = {"encoder_layers": shape.num_encoder_layers, "decoder_layers": shape.num_decoder_layers}
    sizes = {f"{side}_ffn_dim": shape.d_feedforward for side in ("encoder", "decoder")}
    heads = {f"{side}_attention_heads": shape.num_heads for side in ("encoder", "decoder")}
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 0}
    config = MarianConfig(
        vocab_size=size, decoder_vocab_size=size, d_model=shape.d_model, max_length=None, **layers, **sizes, **heads,
        **special, forced_eos_token_id=None, scale_embedding=True, activation_function="relu",
    )  # fmt: skip
    theirs = MarianMTModel(config).to(device, torch.bfloat16).eval()
    ids = torch.tensor(rows, device=device)
    mask = torch.ones_like(ids)

    def run(batch: int) -> int:
        tokens = 0
        for first in range(0, len(rows), batch):
            found = theirs.generate(
                input_ids=ids[first : first + batch],
                attention_mask=mask[first : first + batch],
                num_beams=task.beam_size,
                do_sample=False,
                min_new_tokens=task.length,
                max_new_tokens=task.length,
            )
            tokens += found.shape[0] * (found.shape[1] - 1)
        return tokens

    for batch in batches(task):
        yield f"bfloat16, batch {batch}", lambda batch=batch: run(batch)  # type: ignore[misc]


def ctranslate2(
    task: Task, model: Transformer, rows: Rows, device: torch.device
) -> Iterator[tuple[str, Callable[[], int]]]:
    """Yield CTranslate2 on the same weights, in float16 on a GPU, for each batch size."""
    library = importlib.import_module("ctranslate2")
    is_on_gpu = device.type == "cuda"
    if is_on_gpu and not library.get_cuda_device_count():
        raise RuntimeError(f"CTranslate2 {library.__version__} finds no CUDA library here")
    with exported(model, "float16" if is_on_gpu else "float32") as folder:
        translator = library.Translator(str(folder), device=device.type, device_index=device.index or 0)
        pieces = [[f"p{number}" for number in row[:-1]] for row in rows]

        def run(batch: int) -> int:
            found = translator.translate_batch(
                pieces,
                beam_size=task.beam_size,
                max_batch_size=batch,
                min_decoding_length=task.length,
                max_decoding_length=task.length,
            )
            return sum(len(one.hypotheses[0]) for one in found)

        for batch in batches(task):
            yield f"{translator.compute_type}, batch {batch}", lambda batch=batch: run(batch)  # type: ignore[misc]


@contextmanager
def exported(model: Transformer, quantization: str) -> Iterator[Path]:
    """Write a model for CTranslate2, with made-up names for its pieces."""
    from pellucid.interop.ctranslate2.writing import _filled

    size = model.config.target_vocab_size
    pieces = ["<pad>", "<unk>", "<s>", "</s>", *(f"p{number}" for number in range(4, size))]
    words = SimpleNamespace(pieces=pieces, piece=lambda number: pieces[number], specials=model.config.specials)
    side = SimpleNamespace(vocabulary=words)
    spec = _filled(model, SimpleNamespace(source=side, target=side))  # type: ignore[arg-type]
    spec.validate()
    spec.optimize(quantization=quantization)
    with tempfile.TemporaryDirectory() as folder:
        spec.save(folder)
        yield Path(folder)


if __name__ == "__main__":
    main()
