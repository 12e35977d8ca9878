"""Measure the native engine alone, with random weights of a preset and sentences of a fixed length.

    python benchmarks/native_speed.py --preset small --vocab 8000

Every search ends at the fixed length, so the number of tokens is known. The figures are the processor time of one
thread, the minimum of three rounds, so that other work on the machine has little effect.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from pellucid.config import ModelConfig, SpecialIds
from pellucid.config.model import PRESETS
from pellucid.model.transformer import Transformer
from pellucid.translation.engines.native.jobs import Workers, run_search
from pellucid.translation.engines.native.library import load_library
from pellucid.translation.engines.native.memory import SearchSettings, Sentence
from pellucid.translation.engines.native.preparation import open_prepared, prepare
from pellucid.translation.engines.native.weights import weights_of

ROUNDS = 3
SENTENCES = {1: 400, 5: 150}
"""The sentences of a bulk measurement, by beam size."""


def workers_of(preset: str, vocab_size: int, folder: Path, *, is_int8: bool) -> Workers:
    """Prepare a model with random weights."""
    config = ModelConfig.model_validate(PRESETS[preset]).with_vocabulary(
        source_size=vocab_size, target_size=vocab_size, specials=SpecialIds()
    )
    torch.manual_seed(1)
    library, path = load_library(), folder / "prepared"
    prepare(path, weights_of(Transformer(config).eval()), columns=library.columns, is_int8=is_int8)
    prepared = open_prepared(path, columns=library.columns, is_int8=is_int8)
    assert prepared is not None
    return Workers(library, prepared)


def seconds_of(workers: Workers, *, sentences: int, length: int, beam_size: int) -> float:
    """Return the processor time of a search whose translations all have ``length`` tokens."""
    vocab_size = workers.prepared.config.target_vocab_size
    generator = np.random.default_rng(1)
    wanted = [Sentence([*generator.integers(4, vocab_size, length).tolist(), 3], length) for _ in range(sentences)]
    settings = SearchSettings(beam_size=beam_size, min_length=length - 1, end_id=3, forbidden_ids=(0, 2))
    least = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        run_search(workers, wanted, settings=settings, threads=1)
        least = min(least, time.process_time() - start)
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS))
    parser.add_argument("--vocab", type=int, default=8000)
    parser.add_argument("--weights", default="int8", choices=["int8", "fp32"])
    parser.add_argument("--lengths", type=int, nargs="+", default=[12, 25, 60])
    options = parser.parse_args()
    print("| tokens | beam | bulk, tokens/s on one core | one sentence |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        workers = workers_of(options.preset, options.vocab, Path(folder), is_int8=options.weights == "int8")
        for length in options.lengths:
            for beam_size, sentences in SENTENCES.items():
                bulk = seconds_of(workers, sentences=sentences, length=length, beam_size=beam_size)
                single = seconds_of(workers, sentences=1, length=length, beam_size=beam_size)
                print(
                    f"| {length} | {beam_size} | {sentences * length / bulk:,.0f} | {single * 1000:.2f} ms |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
