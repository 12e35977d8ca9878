"""Compare a file that is translated in parts with the same file as a stream, with the native engine.

    python benchmarks/bulk_speed.py --preset small --threads 2

The weights are random, and translations are about as long as their sources. Both ways take turns; the figures are the
medians of seconds by the clock and of processor seconds, so that other work on the machine shows as a difference
between the two.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pellucid.bundle import save_bundle
from pellucid.config import PRESETS, ModelConfig, TokenizerConfig
from pellucid.jobs import translate as job
from pellucid.jobs.options.translation import TranslationOptions
from pellucid.model.transformer import Transformer
from pellucid.sample.corpus import build_corpus
from pellucid.text.corpus import SentencePair
from pellucid.text.tokenizer import train_tokenizer


def write_model(folder: Path, preset: str, lines: int) -> None:
    """Write a model with random weights and a text for it."""
    corpus = build_corpus(seed=3, train_size=max(lines, 3000), valid_size=0, test_size=0)
    pairs = [SentencePair(pair.source, pair.target, line, 0) for line, pair in enumerate(corpus.train)]
    tokenizer = train_tokenizer(lambda: pairs, TokenizerConfig(), seed=1, threads=1)
    shape = ModelConfig.model_validate(PRESETS[preset]).with_vocabulary(
        source_size=tokenizer.source_vocab_size,
        target_size=tokenizer.target_vocab_size,
        specials=tokenizer.specials,
    )
    torch.manual_seed(1)
    model = Transformer(shape).eval()
    save_bundle(folder / "model", model, tokenizer=tokenizer, card="", source_language="en", target_language="fr")
    (folder / "in").write_text("".join(pair.source + "\n" for pair in pairs[:lines]), encoding="utf-8")


def seconds_of(run: Callable[[], object]) -> tuple[float, float]:
    """Return seconds by the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lines", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder, options.preset, options.lines)
        print("| beam | way | lines/s | processor seconds |\n|---|---|---|---|")
        for beam_size in options.beams:
            settings = [f"beam_size={beam_size}", "max_length_factor=1.0", "max_length_constant=3"]

            def translate(output: Path, is_stream: bool, settings: list[str] = settings) -> None:
                can_be_read_twice = job.can_be_read_twice
                if is_stream:
                    job.can_be_read_twice = lambda file: False
                try:
                    job.translate_file(
                        folder / "model",
                        str(folder / "in"),
                        output=output,
                        format=job.OutputFormat.TEXT,
                        options=TranslationOptions(settings=settings, threads=options.threads, engine="native"),
                    )
                finally:
                    job.can_be_read_twice = can_be_read_twice

            found: dict[str, list[tuple[float, float]]] = {"stream": [], "parts": []}
            for turn in range(options.rounds + 1):
                for way, seconds in found.items():
                    measured = seconds_of(lambda way=way: translate(folder / way, way == "stream"))
                    if turn:  # the first compiles and prepares
                        seconds.append(measured)
            same = (folder / "stream").read_bytes() == (folder / "parts").read_bytes()
            for way, seconds in found.items():
                clock, processor = map(statistics.median, zip(*seconds, strict=True))
                print(f"| {beam_size} | {way} | {options.lines / clock:,.0f} | {processor:.2f} |")
            ratios = [a[0] / b[0] for a, b in zip(found["stream"], found["parts"], strict=True)]
            print(f"beam {beam_size}: parts are {statistics.median(ratios):.2f} times as fast; same output: {same}")


if __name__ == "__main__":
    main()
