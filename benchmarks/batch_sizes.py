"""Measure what a sentence costs the engine and the translator around it, by the number of sentences together.

    python benchmarks/batch_sizes.py MODEL [--threads 1] [--set beam_size=1]

Figures are processor time for each sentence, the least of several rounds, so that other work on the machine has little
effect: of the engine (C), of the translator with it (tokens, flags, text), and the share of Python. A server adds what
``serve_load.py`` shows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serve_load import SENTENCES

from pellucid.jobs.models import open_translator
from pellucid.translation.engines.native import engine
from pellucid.translation.translator import Translator

SIZES = (1, 4, 8, 16, 32)
SENTENCES_IN_ALL = 420


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Return the function with its processor time added to the only element of ``spent``."""

    def call(*arguments: Any, **named: Any) -> Any:
        begun = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[0] += time.process_time() - begun

    return call


def cost_of(translator: Translator, size: int, spent: list[float], *, rounds: int) -> tuple[float, float]:
    """Return the milliseconds of a sentence: all of it, and the engine alone."""
    texts = [SENTENCES[number % len(SENTENCES)] for number in range(SENTENCES_IN_ALL)]
    found = []
    for _ in range(rounds):
        spent[0], begun = 0.0, time.process_time()
        for first in range(0, len(texts), size):
            translator.translate(texts[first : first + size])
        found.append((time.process_time() - begun, spent[0]))
    return min(all for all, _ in found) / len(texts) * 1000, min(own for _, own in found) / len(texts) * 1000


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], help="a whole number for a setting: beam_size=1")
    given = parser.parse_args()
    settings = {name: int(value) for name, _, value in (one.partition("=") for one in given.set)}
    spent = [0.0]
    engine.run_search = timed(engine.run_search, spent)
    translator = open_translator(given.model, threads=given.threads).with_settings(**settings)
    translator.translate(SENTENCES)
    print("| sentences together | translator, ms | engine, ms | Python | engine, sentences/s |\n|---|---|---|---|---|")
    for size in SIZES:
        whole, own = cost_of(translator, size, spent, rounds=given.rounds)
        print(f"| {size} | {whole:.2f} | {own:.2f} | {1 - own / whole:.0%} | {1000 / own:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
