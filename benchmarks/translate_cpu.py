"""Race pellucid's engines against CTranslate2 and Hugging Face: the same weights, the same text, in turns.

    python benchmarks/translate_cpu.py runs/multi30k test2016.de --reference test2016.en
    python benchmarks/translate_cpu.py --random small base        # random weights, sentences of 12, 25 and 60 pieces

Each engine runs in a process of its own, at its own best setting: CTranslate2 is tried first over instruction sets,
number types, threads and batch sizes, Hugging Face over batch sizes. Then the sides take turns. Figures are medians of
the rounds; ratios are medians of the ratios within a round. ``README.md`` beside this file says how to read them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, cast

from machine import available_cores, machine_facts

from pellucid.version import __version__

HERE = Path(__file__).resolve().parent
LENGTHS = (12, 25, 60)
VOCABULARY = 8000
TRIAL_TEXTS = 200
ISAS = ("", "AVX512")
COMPUTE_TYPES = ("int8", "int8_bfloat16")
CT2_BATCHES = (512, 2048)
HF_BATCHES = (32, 128)


class Side:
    """An engine that is running in its process."""

    def __init__(
        self, name: str, kind: str, options: dict[str, Any], environment: dict[str, str] | None = None
    ) -> None:
        self.name, self.options = name, options
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CT2_")}
        # Waiting threads must sleep while the other sides run.
        inherited |= {"OMP_WAIT_POLICY": "passive"} | (environment or {})
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "translation_side.py"), kind, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=inherited,
            text=True,
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request.

        Raises:
            RuntimeError: the process ended.
        """
        sink, source = cast(IO[str], self.process.stdin), cast(IO[str], self.process.stdout)
        try:
            sink.write(json.dumps(request) + "\n")
            sink.flush()
            line = source.readline()
        except OSError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}: {self.options}")
        return dict(json.loads(line))

    def close(self) -> None:
        """End the process."""
        cast(IO[str], self.process.stdin).close()
        self.process.wait()


@contextmanager
def running(*arguments: Any) -> Iterator[Side]:
    side = Side(*arguments)
    try:
        yield side
    finally:
        side.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=Path, nargs="?", help="a model folder or a run folder")
    add("source", type=Path, nargs="?", help="source sentences, one a line")
    add("--reference", type=Path, help="their translations, for BLEU")
    add("--random", nargs="+", default=[], metavar="PRESET", help="race random weights of these presets instead")
    add("--count", type=int, default=1000, help="sentences in bulk; the first ones")
    add("--alone", type=int, default=100, help="sentences one by one")
    add("--rounds", type=int, default=3)
    add("--lengths", type=int, nargs="+", default=list(LENGTHS), help="pieces of a sentence, with --random")
    add("--threads", type=int, default=available_cores())
    add("--without", nargs="+", default=[], metavar="SIDE", help="sides to leave out")
    add("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    if not options.random and not (options.model and options.source):
        parser.error("give a model and a file of sentences, or --random PRESET")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        races = race_random(options, folder) if options.random else race_model(options, folder)
    if options.json:
        versions = {"pellucid": __version__} | {n: version(n) for n in ("ctranslate2", "transformers", "torch")}
        settings = {key: named(value) for key, value in vars(options).items() if key != "json"}
        record = {"machine": machine_facts(), "versions": versions, "settings": settings, "races": races}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


# --- a trained model ---------------------------------------------------------------------------------------------


def race_model(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    texts = options.source.read_text(encoding="utf-8").splitlines()[: options.count]
    prime(options)
    exported = {kind: export(options.model, kind, folder / kind) for kind in ("ctranslate2", "huggingface")}
    exported = {kind: path for kind, path in exported.items() if path.exists()}
    races = []
    for beam_size in (5, 1):
        bulk = {"texts": texts, "beam_size": beam_size}
        sides = contenders(options, exported, bulk, threads=options.threads)
        races.append(race(f"bulk, beam {beam_size}", sides, bulk, options))
        alone = {"texts": texts[: options.alone], "beam_size": beam_size, "alone": True}
        sides = contenders(options, exported, alone, threads=1)
        races.append(race(f"one sentence, beam {beam_size}, one thread", sides, alone, options))
    return races


def prime(options: argparse.Namespace) -> None:
    """Compile the native engine and prepare the model, which imports torch, so that no side does it."""
    for precision in ("int8", "fp32"):
        with running(
            "", "pellucid", {"model": str(options.model), "engine": "native", "precision": precision, "threads": 1}
        ) as side:
            side.ask({"texts": ["a"], "beam_size": 1})


def export(model: Path, kind: str, output: Path) -> Path:
    format = {"huggingface": "marian"}.get(kind, kind)
    command = [sys.executable, "-m", "pellucid", "export", str(model), "--format", format, "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{kind} is left out: {done.stderr.strip().splitlines()[-1]}", flush=True)
    return output


def contenders(
    options: argparse.Namespace, exported: dict[str, Path], request: dict[str, Any], *, threads: int
) -> list[tuple[Any, ...]]:
    """Return how each side is started: at the setting that was fastest in a short trial of this very task."""
    trial = {**request, "texts": request["texts"][:TRIAL_TEXTS]} if "texts" in request else request
    ours = {"model": str(options.model), "threads": threads}
    found: list[tuple[Any, ...]] = [
        ("pellucid int8", "pellucid", {**ours, "engine": "native", "precision": "int8"}),
        ("pellucid fp32", "pellucid", {**ours, "engine": "native", "precision": "fp32"}),
        ("pellucid torch", "pellucid", {**ours, "engine": "torch", "precision": "fp32"}),
    ]
    found = [one for one in found if one[0] not in options.without]
    if "ctranslate2" in exported and "ctranslate2" not in options.without:
        found.append(fastest_ctranslate2(exported["ctranslate2"], threads, trial, options))
    if "huggingface" in exported and "huggingface" not in options.without:
        batches = (1,) if request.get("alone") else HF_BATCHES
        candidates = [
            ("huggingface", "huggingface", {"model": str(exported["huggingface"]), "threads": threads, "batch": batch})
            for batch in batches
        ]
        found.append(fastest("huggingface", candidates, trial, options))
    return found


def fastest_ctranslate2(
    folder: Path, threads: int, trial: dict[str, Any], options: argparse.Namespace
) -> tuple[Any, ...]:
    """Try CTranslate2's settings one after the other, and keep the best value of each."""
    best: dict[str, Any] = {"compute_type": "int8", "isa": "AVX512", "layout": (threads, 1), "batch": CT2_BATCHES[0]}
    values: dict[str, Sequence[Any]] = {
        "isa": ISAS,
        "compute_type": COMPUTE_TYPES,
        "layout": sorted({(threads, 1), (1, threads)}, reverse=True),
        "batch": CT2_BATCHES[:1] if trial.get("alone") else CT2_BATCHES,
    }
    for name, choices in values.items():
        candidates = [ctranslate2_side(folder, {**best, name: value}) for value in choices]
        best[name] = choices[candidates.index(fastest("ctranslate2", candidates, trial, options))]
    return ctranslate2_side(folder, best)


def ctranslate2_side(folder: Path, chosen: dict[str, Any]) -> tuple[Any, ...]:
    inter, intra = chosen["layout"]
    setting = {"model": str(folder), "compute_type": chosen["compute_type"], "inter": inter, "intra": intra}
    environment = {"CT2_FORCE_CPU_ISA": chosen["isa"]} if chosen["isa"] else {}
    return "ctranslate2", "ctranslate2", {**setting, "batch": chosen["batch"]}, environment


def fastest(
    name: str, candidates: Sequence[tuple[Any, ...]], trial: dict[str, Any], options: argparse.Namespace
) -> tuple[Any, ...]:
    """Return the fastest candidate in a trial: the best of two runs after a warm-up."""
    if len(candidates) == 1:
        return candidates[0]
    timed = []
    for number, candidate in enumerate(candidates):
        try:
            with running(*candidate) as side:
                side.ask({**trial, "texts": trial["texts"][:20]} if "texts" in trial else trial)
                timed.append((min(seconds_of(side.ask(trial)) for _ in range(2)), number))
        except RuntimeError:  # an instruction set or a number type that this machine lacks
            continue
    if not timed:
        raise SystemExit(f"{name} runs with no setting on this machine")
    return candidates[min(timed)[1]]


def named(value: object) -> str:
    """Return a setting as text; of a path only its last part, which means something on other machines too."""
    return Path(value).name if isinstance(value, Path) or str(value).startswith("/") else str(value)


def seconds_of(found: dict[str, Any]) -> float:
    return float(statistics.median(found["each"])) if "each" in found else float(found["seconds"])


# --- random weights ------------------------------------------------------------------------------------------------


def race_random(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    races = []
    for preset in options.random:
        options.model = folder / preset
        pieces = make_random_model(preset, options.model)
        prime(options)
        exported = {"ctranslate2": export(options.model, "ctranslate2", folder / f"{preset}-ct2")}
        options.without = [*options.without, "pellucid torch"]
        dice = random.Random(1)
        for length, beam_size in itertools.product(options.lengths, (5, 1)):
            count = max(64, (4000 if beam_size == 1 else 1500) // length)
            rows = [dice.choices(pieces, k=length) for _ in range(count)]
            for name, some, threads in [("bulk", rows, options.threads), ("one sentence", rows[:1], 1)]:
                request = {"pieces": some, "beam_size": beam_size, "length": length}
                sides = contenders(options, exported, request, threads=threads)
                races.append(race(f"{preset}, {length} pieces, {name}, beam {beam_size}", sides, request, options))
    return races


def make_random_model(preset: str, folder: Path) -> list[str]:
    """Write a model with random weights and a tokenizer of its size; return the plain pieces of its vocabulary."""
    import torch

    from pellucid.bundle import save_bundle
    from pellucid.config import ModelConfig, TokenizerConfig
    from pellucid.config.model import PRESETS
    from pellucid.model.transformer import Transformer
    from pellucid.text.corpus import SentencePair
    from pellucid.text.tokenizer import train_tokenizer

    dice = random.Random(2)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=dice.randint(2, 9))) for _ in range(20_000)]
    texts = [" ".join(dice.choices(words, k=12)) for _ in range(6000)]
    pairs = [SentencePair(text, text, number, 0) for number, text in enumerate(texts)]
    tokenizer = train_tokenizer(lambda: pairs, TokenizerConfig(vocab_size=VOCABULARY), seed=1, threads=1)
    config = ModelConfig.model_validate(PRESETS[preset]).with_vocabulary(
        source_size=tokenizer.source_vocab_size,
        target_size=tokenizer.target_vocab_size,
        specials=tokenizer.specials,
    )
    torch.manual_seed(1)
    save_bundle(
        folder, Transformer(config).eval(), tokenizer=tokenizer, card="", source_language="de", target_language="en"
    )
    return [tokenizer.source.vocabulary.pieces[i] for i in range(4, tokenizer.source_vocab_size)]


# --- the race ----------------------------------------------------------------------------------------------------


def race(
    name: str, contenders: Sequence[tuple[Any, ...]], request: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Let the sides take turns and return the median of each, with its ratio to the first side's seconds."""
    rounds: list[dict[str, dict[str, Any]]] = []
    with ExitStack() as stack:
        sides = [stack.enter_context(running(*contender)) for contender in contenders]
        for side in sides:
            side.ask(request)
        for number in range(options.rounds):
            order = sides if number % 2 == 0 else sides[::-1]
            rounds.append({side.name: side.ask(request) for side in order})
    result: dict[str, Any] = {"race": name, "sides": {}}
    first = contenders[0][0]
    for contender in contenders:
        own = [found[contender[0]] for found in rounds]
        seconds = [seconds_of(one) for one in own]
        figures: dict[str, Any] = {
            "seconds": statistics.median(seconds),
            "all_seconds": seconds,
            "times_the_first": statistics.median(
                mine / seconds_of(found[first]) for mine, found in zip(seconds, rounds, strict=True)
            ),
            "mebibytes": own[-1]["mebibytes"],
            "setting": [{key: named(value) for key, value in some.items()} for some in contender[2:]],
        }
        if "tokens" in own[0]:
            figures["tokens_per_second"] = own[0]["tokens"] / figures["seconds"]
        if "texts" in own[0]:
            figures |= quality(own[0]["texts"], options)
        result["sides"][contender[0]] = figures
    print(shown(result), flush=True)
    return result


def quality(texts: Sequence[str], options: argparse.Namespace) -> dict[str, float]:
    if options.reference is None:
        return {}
    import sacrebleu

    references = options.reference.read_text(encoding="utf-8").splitlines()[: len(texts)]
    return {"bleu": round(float(sacrebleu.corpus_bleu(list(texts), [references]).score), 2)}


def shown(row: dict[str, Any]) -> str:
    lines = [f"{row['race']}"]
    for name, figures in row["sides"].items():
        speed = figures.get("tokens_per_second")
        what = (
            f"{speed:10,.0f} tokens/s" if speed and "one" not in row["race"] else f"{figures['seconds'] * 1e3:8.2f} ms"
        )
        bleu = f"  BLEU {figures['bleu']:.2f}" if "bleu" in figures else ""
        lines.append(f"  {name:16} {what}  {figures['times_the_first']:6.2f} x{bleu}  {figures['mebibytes']:.0f} MiB")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
