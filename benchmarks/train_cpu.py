"""Compare the CPU training speed of JoeyNMT 2.3, the Hugging Face Trainer and pellucid, in target tokens per second.

    python benchmarks/train_cpu.py --data-dir DIR [--src-lang de --tgt-lang en] [--preset base]

Same text, same SentencePiece pieces, same shape, same batch size in padded tokens, same number of threads, one process
at a time, in turns. Each side uses its normal training loop; one stopwatch (``stopwatch.py``), marked once per step,
times all of them. ``README.md`` in this folder says what is equal, what is not, and how to read the result.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from environments import HUGGINGFACE, JOEYNMT, Environment, environment_python, write_config, write_vocabulary
from machine import Watched, available_cores, commit, machine_facts, run_watched

from pellucid.config import PRESETS
from pellucid.text.store import TokenStore
from pellucid.version import __version__

HERE = Path(__file__).resolve().parent
SIDES = ("JoeyNMT", "HuggingFace-fp32", "HuggingFace-bf16", "pellucid")
ENVIRONMENTS = {"JoeyNMT": JOEYNMT, "HuggingFace-fp32": HUGGINGFACE, "HuggingFace-bf16": HUGGINGFACE}
START_SECONDS = 600.0  # for everything except the timed steps: imports, reading text, building a vocabulary


@dataclass(frozen=True)
class Inputs:
    """The inputs of the sides."""

    recipe: Path
    data: Path
    train: Path
    valid: Path
    vocabulary: Path
    pieces: Path
    validation_tokens: dict[str, int]
    ids: Path
    """The training pairs as ids, for the side that reads no text."""
    num_pieces: int


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    environments = {ENVIRONMENTS[side] for side in options.sides if side in ENVIRONMENTS}
    pythons = {environment: environment_python(environment, work / environment.name) for environment in environments}
    inputs = prepare_inputs(options, work / "race")
    rounds = []
    for number in range(1, options.rounds + 1):
        # The order alternates, so that a machine that slows down or warms up affects all equally.
        order = options.sides if number % 2 else options.sides[::-1]
        rounds.append({side: run_side(side, number, options, inputs, work / "race", pythons) for side in order})
        if number == 1 and "JoeyNMT" in order:
            check_same_pieces(rounds[0]["JoeyNMT"], inputs)
        print(round_line(number, rounds[-1]), flush=True)
    result = collect(options, rounds)
    table = as_table(result)
    print(f"\n{table}")
    for path in write_result(options.results, "train-cpu", result, table):
        print(f"written: {path}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder of {train,valid}.{SRC,TGT} (default: the embedded corpus)")
    add("--src-lang", default=None, help="suffix of the source files (default: de; embedded corpus: en)")
    add("--tgt-lang", default=None, help="suffix of the target files (default: en; embedded corpus: fr)")
    add("--preset", choices=sorted(PRESETS), default="small", help="shape of the model")
    add("--sides", nargs="+", choices=SIDES[:-1], default=list(SIDES[:-1]), help="beside pellucid")
    add("--rounds", type=int, default=3, help="runs of each side")
    add("--steps", type=int, default=None, help="timed steps of a run (default: 100)")
    add("--seconds", type=float, default=None, help="time each run for this time instead of a number of steps")
    add("--warmup-steps", type=int, default=10, help="steps before the clock starts")
    add("--batch-size", type=int, default=2048, help="padded tokens of the longer side")
    add("--threads", type=int, default=2)
    add("--batches", type=int, default=2, help="of a step of pellucid, which its processes share")
    add("--precision", choices=["auto", "fp32", "bf16"], default="auto", help="of pellucid; JoeyNMT has only fp32")
    add("--joeynmt-dropout", choices=["paper", "own"], default="paper", help="own: JoeyNMT's two more per layer")
    add("--seed", type=int, default=1)
    add("--work", type=Path, default=HERE / ".environments", help="environments and runs; can be deleted")
    add("--results", type=Path, default=HERE / "results", help="folder of the result")
    options = parser.parse_args(arguments)
    if options.steps and options.seconds:
        parser.error("--steps and --seconds exclude each other; use one of them")
    if options.threads > available_cores():
        parser.error(f"--threads {options.threads}, but only {available_cores()} cores are available")
    options.sides = [*options.sides, "pellucid"]
    if not options.seconds:
        options.steps = options.steps or 100
    options.src_lang = options.src_lang or ("de" if options.data_dir else "en")
    options.tgt_lang = options.tgt_lang or ("en" if options.data_dir else "fr")
    return options


def prepare_inputs(options: argparse.Namespace, folder: Path) -> Inputs:
    """Train the pieces and write the token store once, with the code of ``pellucid train``."""
    from pellucid.config import recipe_from, to_toml
    from pellucid.jobs.opening import open_run
    from pellucid.jobs.prepare import prepare

    folder.mkdir(exist_ok=True)
    text = options.data_dir.resolve() if options.data_dir else write_embedded_corpus(folder / "text", options)
    files = {
        split: {
            "src": text / f"{split}.{options.src_lang}",
            "tgt": text / f"{split}.{options.tgt_lang}",
            "name": split,
        }
        for split in ("train", "valid")
    }
    table = {
        "preset": options.preset,
        "model": {"dropout": 0.1},  # as on the other sides
        "data": {"train": [files["train"]], "valid": files["valid"]}
        | {"src_lang": options.src_lang, "tgt_lang": options.tgt_lang},
        # Neither side validates or saves during the timed steps.
        "training": {
            "batch_size": options.batch_size // options.batches,
            "accum_count": options.batches,
            "train_steps": 10_000_000,
            "valid_steps": 10_000_000,
            "save_seconds": 1e9,
            "seed": options.seed,
            "threads": options.threads,
            "precision": options.precision,
            "device": "cpu",
        },
    }
    recipe = recipe_from(table, place="the race")
    path = folder / "recipe.toml"
    path.write_text(to_toml(recipe), encoding="utf-8")
    prepared = prepare(open_run(recipe, folder), say=lambda line: print(f"  {line}", flush=True))
    vocabulary = folder / "vocabulary.txt"
    pieces = write_vocabulary(folder / "data" / "tokenizer", vocabulary)
    valid = prepared.valid_store
    tokens = {
        "source": int(valid.source_lengths.sum()) + len(valid),
        "target": int(valid.target_lengths.sum()) + len(valid),
    }
    ids = folder / "pairs.npz"
    write_ids(prepared.store, ids)
    size = len(vocabulary.read_text(encoding="utf-8").split("\n")) - 1
    return Inputs(path, folder / "data", text / "train", text / "valid", vocabulary, pieces, tokens, ids, size)


def write_ids(store: TokenStore, path: Path) -> None:
    """Write the ids of the training pairs as plain arrays."""
    arrays: dict[str, np.ndarray] = {}
    for side, ids, lengths in (
        ("source", store.source_ids, store.source_lengths),
        ("target", store.target_ids, store.target_lengths),
    ):
        arrays[f"{side}_ids"] = ids
        arrays[f"{side}_offsets"] = np.concatenate([[0], np.cumsum(lengths)])
    np.savez(path, **arrays)


def write_embedded_corpus(folder: Path, options: argparse.Namespace, **sizes: int) -> Path:
    """Write the embedded corpus, for a comparison without data files; ``sizes`` are those of ``build_corpus``."""
    from pellucid.sample.corpus import build_corpus

    print("no --data-dir: using the embedded English-French corpus", flush=True)
    folder.mkdir(exist_ok=True)
    corpus = build_corpus(seed=options.seed, **sizes)
    for split, pairs in (("train", corpus.train), ("valid", corpus.valid), ("test", corpus.test)):
        sides = {options.src_lang: [p.source for p in pairs], options.tgt_lang: [p.target for p in pairs]}
        for language, lines in sides.items():
            content = "".join(f"{line}\n" for line in lines)
            (folder / f"{split}.{language}").write_text(content, encoding="utf-8")
    return folder


def run_side(
    side: str,
    number: int,
    options: argparse.Namespace,
    inputs: Inputs,
    folder: Path,
    pythons: Mapping[Environment, Path],
) -> dict[str, object]:
    """Train one side until the stopwatch stops it; return the results of the stopwatch and the machine."""
    run = folder / f"{side.lower()}-run"
    result = folder / f"{side.lower()}-{number}.json"
    log = folder / f"{side.lower()}-{number}.log"
    shutil.rmtree(run, ignore_errors=True)
    result.unlink(missing_ok=True)
    end = ["--seconds", options.seconds] if options.seconds else ["--steps", options.steps]
    timing = ["--warmup-steps", options.warmup_steps, *end]
    if side == "pellucid":
        shutil.copytree(inputs.data, run / "data")
        command = [sys.executable, HERE / "pellucid_side.py", inputs.recipe, run, result, *timing]
    elif side.startswith("HuggingFace"):
        command = [pythons[HUGGINGFACE], HERE / "huggingface" / "side.py", inputs.ids, run, result, *timing]
        command += huggingface_settings(side.removeprefix("HuggingFace-"), options, inputs)
    else:
        config = folder / "joeynmt.yaml"
        write_joeynmt_config(config, run, options, inputs)
        command = [pythons[JOEYNMT], HERE / "joeynmt" / "side.py", config, result, *timing]
        command += ["--threads", options.threads, "--dropout", options.joeynmt_dropout]
    environment = {"OMP_NUM_THREADS": str(options.threads), "MKL_NUM_THREADS": str(options.threads)}
    timeout = START_SECONDS + (options.seconds or 0) + 60 * (options.warmup_steps + (options.steps or 0))
    watched: Watched = run_watched([str(c) for c in command], log=log, environment=environment, timeout=timeout)
    return json.loads(result.read_text(encoding="utf-8")) | {"machine": asdict(watched)}


def huggingface_settings(precision: str, options: argparse.Namespace, inputs: Inputs) -> list[object]:
    """Return the arguments of ``huggingface/side.py`` for the shape of the race."""
    from pellucid.config import load_recipe

    recipe = load_recipe(inputs.recipe)
    return [
        *("--threads", options.threads, "--precision", precision, "--batch-size", options.batch_size),
        *("--vocabulary", inputs.num_pieces, "--layers", recipe.model.num_encoder_layers),
        *("--width", recipe.model.d_model, "--heads", recipe.model.num_heads),
        *("--max-positions", recipe.training.max_length, "--seed", options.seed),
    ]


def write_joeynmt_config(path: Path, run: Path, options: argparse.Namespace, inputs: Inputs) -> None:
    """Write the configuration of the same run for JoeyNMT."""
    from pellucid.config import load_recipe

    recipe = load_recipe(inputs.recipe)
    write_config(
        path,
        run=run,
        layers=recipe.model.num_encoder_layers,
        heads=recipe.model.num_heads,
        width=recipe.model.d_model,
        inner_width=recipe.model.d_feedforward,
        train=inputs.train,
        valid=inputs.valid,
        src_lang=options.src_lang,
        tgt_lang=options.tgt_lang,
        vocabulary=inputs.vocabulary,
        pieces=inputs.pieces,
        batch_size=options.batch_size,
        max_length=recipe.training.max_length,
        seed=options.seed,
    )


def check_same_pieces(joeynmt: Mapping[str, object], inputs: Inputs) -> None:
    """Compare the number of pieces of the whole validation text.

    Raises:
        SystemExit: the numbers differ by more than a thousandth, so the sides do not read the same text.
    """
    facts = joeynmt["facts"]
    assert isinstance(facts, dict)
    theirs, ours = facts["validation tokens"], inputs.validation_tokens
    print(f"pieces of the validation text: JoeyNMT {theirs}, pellucid {ours}", flush=True)
    if any(abs(theirs[side] - ours[side]) > 0.001 * ours[side] for side in ours):
        raise SystemExit("the two sides tokenize the validation text differently, so their speeds are not comparable")


def collect(options: argparse.Namespace, rounds: Sequence[Mapping[str, Mapping[str, object]]]) -> dict[str, object]:
    """Collect speeds, ratios, settings and versions."""
    speeds = {side: [float(r[side]["target_tokens_per_second"]) for r in rounds] for side in options.sides}
    padded = {side: [float(r[side]["padded_tokens_per_second"]) for r in rounds] for side in options.sides}
    ratios = {
        side: [ours / theirs for theirs, ours in zip(values, speeds["pellucid"], strict=True)]
        for side, values in speeds.items()
        if side != "pellucid"
    }
    settings = {
        k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items() if k not in {"work", "results"}
    }
    settings["data_dir"] = options.data_dir.name if options.data_dir else "embedded corpus"
    return {
        "what": "real target tokens with end of sentence per second, whole training loop, after warm-up",
        "median": {side: statistics.median(values) for side, values in speeds.items()},
        "median_padded": {side: statistics.median(values) for side, values in padded.items()},
        "ratio_of_medians": {
            side: statistics.median(speeds["pellucid"]) / statistics.median(speeds[side]) for side in ratios
        },
        "ratio_per_round": ratios,
        "settings": settings,
        "machine": machine_facts(),
        "commit": commit(),
        "pellucid": __version__,
        "rounds": rounds,
    }


def round_line(number: int, sides: Mapping[str, Mapping[str, object]]) -> str:
    """Return the line of a round for the screen."""
    speed = {side: float(run["target_tokens_per_second"]) for side, run in sides.items()}
    shares = [run["machine"]["others_share"] for run in sides.values()]
    busy = max((share for share in shares if share is not None), default=0.0)
    warning = f"   (other processes used {busy:.0%} of the cores: do not record this result)" if busy > 0.05 else ""
    others = "   ".join(f"{s} {v:,.0f} (1 : {speed['pellucid'] / v:.2f})" for s, v in speed.items() if s != "pellucid")
    return f"round {number}: pellucid {speed['pellucid']:,.0f} target tokens/s   {others}{warning}"


def as_table(result: Mapping[str, object]) -> str:
    """Return the result as Markdown, for the screen and the results folder."""
    rounds, ratios, settings, machine = (result[k] for k in ("rounds", "ratio_per_round", "settings", "machine"))
    lines = [
        f"Training preset {settings['preset']} on {machine['processor']} ({', '.join(machine['instructions'])}), "
        f"{settings['threads']} threads, {machine['date'][:10]}",
        "",
        "| round | side | target tokens/s | padded tokens/s | real share | s/step (median) | steps | used by others |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number, sides in enumerate(rounds, start=1):
        for name, run in sides.items():
            share = run["machine"]["others_share"]
            cells = (
                str(number),
                name,
                f"{run['target_tokens_per_second']:,.0f}",
                f"{run['padded_tokens_per_second']:,.0f}",
                f"{run['target_tokens'] / run['padded_tokens']:.0%}",
                f"{run['median_step_seconds']:.3f}",
                str(run["steps"]),
                "unknown" if share is None else f"{share:.1%}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for side, median in result["median"].items():
        line = f"median of {side}: {median:,.0f} target tokens/s"
        if side in ratios:
            each = ", ".join(f"{r:.2f}" for r in ratios[side])
            line += f"; pellucid {result['ratio_of_medians'][side]:.2f} times as fast (per round: {each})"
        lines.append(f"{line}  ")
    lines.append("")
    for name in result["median"]:
        facts = rounds[0][name]["facts"]
        versions = ", ".join(f"{package} {version}" for package, version in facts["versions"].items())
        lines.append(
            f"{name}: {facts['parameters']:,} parameters, {facts['precision']}; {versions}, Python {facts['python']}  "
        )
    told = {k: v for k, v in settings.items() if v is not None}
    lines.append(f"commit {result['commit']}; settings: {', '.join(f'{k} {v}' for k, v in told.items())}")
    return "\n".join(lines)


def write_result(folder: Path, name: str, result: Mapping[str, object], table: str) -> list[Path]:
    """Write JSON and Markdown under a new name, the date before ``name``."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.date.today().isoformat()}-{name}"
    count = 1
    while (folder / f"{stem}.json").exists():
        count += 1
        stem = f"{datetime.date.today().isoformat()}-{name}-{count}"
    paths = [folder / f"{stem}.json", folder / f"{stem}.md"]
    paths[0].write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    paths[1].write_text(table + "\n", encoding="utf-8")
    return paths


if __name__ == "__main__":
    main()
