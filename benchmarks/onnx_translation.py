"""Compare the speed of onnxruntime with that of pellucid's stepper: one model, one search, the same sentences.

    pellucid export runs/de-en --format onnx --output de-en-onnx
    python benchmarks/onnx_translation.py runs/de-en de-en-onnx test.de [--beam 1 --beam 5] [--json result.json]

Both sides use the same tokenizer, batches and search. They run alternately, so that a busy machine slows both;
the best round of each counts, by wall time and by processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from machine import available_cores, machine_facts

from pellucid.jobs.models import open_translator
from pellucid.translation.translator import Translator
from pellucid.version import __version__


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("model", type=Path, help="a model folder or a run folder")
    add("onnx", type=Path, help="its export")
    add("sentences", type=Path, help="source sentences, one per line")
    add("--count", type=int, default=200, help="number of sentences from the start of the file")
    add("--beam", type=int, action="append", help="can be repeated (default: 1 and 5)")
    add("--batch", type=int, action="append", help="source tokens of a batch; 1: one sentence (can be repeated)")
    add("--rounds", type=int, default=3)
    add("--threads", type=int, default=available_cores())
    add("--json", type=Path, default=None, help="write the figures here")
    options = parser.parse_args(arguments)
    texts = options.sentences.read_text(encoding="utf-8").splitlines()[: options.count]
    sides = {
        "pellucid": open_translator(options.model, device="cpu", threads=options.threads),
        "onnxruntime": open_translator(options.onnx, device="cpu", threads=options.threads),
    }
    print(f"{len(texts)} sentences, {options.threads} threads; target tokens per second, including the end of sentence")
    races = []
    for beam_size in options.beam or [1, 5]:
        for batch_size in options.batch or [sides["pellucid"].config.batch_size]:
            races.append(race(sides, texts, options.rounds, beam_size=beam_size, batch_size=batch_size))
            print(line_of(races[-1]))
    if options.json:
        versions = {"pellucid": __version__, **{name: version(name) for name in ("torch", "onnxruntime")}}
        settings = {name: str(value) for name, value in vars(options).items() if name != "json"}
        record = {"settings": settings, "versions": versions, "machine": machine_facts(), "races": races}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def race(sides: dict[str, Translator], texts: Sequence[str], rounds: int, **settings: int) -> dict[str, object]:
    """Run the sides alternately; return the best round of each, and the number of equal translations."""
    best: dict[str, dict[str, float]] = {name: {"seconds": float("inf"), "cpu_seconds": float("inf")} for name in sides}
    found: dict[str, list[str]] = {}
    tokens = 0
    for translator in sides.values():
        translator.translate(texts[:3], **settings)
    for _ in range(rounds):
        for name, translator in sides.items():
            began, cpu_began = time.perf_counter(), time.process_time()
            results = translator.translate(texts, **settings)
            taken = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}
            best[name] = {key: min(value, taken[key]) for key, value in best[name].items()}
            found[name] = [result.text for result in results]
            tokens = sum(len(result.tokens) + 1 for result in results)
    same = sum(a == b for a, b in zip(*found.values(), strict=True))
    return {**settings, "tokens": tokens, "same_translations": same, "sentences": len(texts), "best": best}


def line_of(result: dict[str, object]) -> str:
    """Return a line for the screen."""
    best, tokens = result["best"], result["tokens"]
    parts = [
        f"{name} {tokens / times['seconds']:,.0f} ({tokens / times['cpu_seconds']:,.0f} per processor second)"
        for name, times in best.items()  # type: ignore[attr-defined]
    ]
    same = f"{result['same_translations']} of {result['sentences']} translations are equal"
    return f"beam {result['beam_size']}, batches of {result['batch_size']} tokens: {'; '.join(parts)}; {same}"


if __name__ == "__main__":
    main()
